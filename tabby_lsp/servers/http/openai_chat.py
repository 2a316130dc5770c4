"""OpenAI's and Tabby's chat: the assistant's next message, as a whole or as a stream."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from tabby_lsp.domain import ChatRequest, Sampling
from tabby_lsp.servers.http.answering import events, while_listened_to
from tabby_lsp.servers.http.errors import Refusal
from tabby_lsp.servers.http.named import ANY_MODEL, role_named
from tabby_lsp.servers.http.openai_shapes import (
    AssistantMessage,
    ChatChoice,
    ChatChunkChoice,
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionRequest,
    ChatLogprobs,
    Delta,
    TokenLogprob,
    TopLogprob,
)
from tabby_lsp.servers.http.sampling import of_choice, sampling_of
from tabby_lsp.servers.http.spoken import Spoken, Tally, finite, hear, label
from tabby_lsp.talk import SAMPLING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from starlette.requests import Request

    from tabby_lsp.domain import TokenLogprobs
    from tabby_lsp.rack import Rack
    from tabby_lsp.servers.http.spoken import Label

TABBYS_OWN_PATH = "/v1beta/"


@dataclass(frozen=True, slots=True)
class _Plan:
    """A request that can be answered, as far as can be told before its turn."""

    body: ChatCompletionRequest
    max_tokens: int
    sampling: Sampling

    def request(self, index: int) -> ChatRequest:
        """The question for one of the answers."""
        return ChatRequest(
            messages=tuple(message.said for message in self.body.messages),
            max_tokens=self.max_tokens,
            stop=self.body.stops,
            sampling=of_choice(self.sampling, index),
            keeps_last=True,
        )


async def chat(
    request: Request, body: ChatCompletionRequest, rack: Rack, max_tokens: int
) -> Response:
    """Answer as a whole or as a stream; `max_tokens` where the request does not say."""
    role_named(rack, body.model, ("chat",))
    plan = _plan(body, max_tokens)
    if _wants_stream(request, body):
        # Tabby's streams have no end but their own.
        is_tabbys = request.url.path.startswith(TABBYS_OWN_PATH)
        return await events(request, _stream(rack, plan), has_done=not is_tabbys)
    answer = await while_listened_to(request, _whole(rack, plan))
    return JSONResponse(answer.model_dump())


def _wants_stream(request: Request, body: ChatCompletionRequest) -> bool:
    """Tabby always streams and OpenAI does not, where a request says nothing of it."""
    if body.stream is not None:
        return body.stream
    accepted = request.headers.get("accept", "")
    if request.url.path.startswith(TABBYS_OWN_PATH) or "text/event-stream" in accepted:
        return True
    is_tabbys = body.model is not None and body.model.lower() in ANY_MODEL
    return is_tabbys and "application/json" not in accepted


def _plan(body: ChatCompletionRequest, max_tokens: int) -> _Plan:
    if (body.tools or body.functions) and body.tool_choice != "none":
        raise Refusal(400, "No model here calls tools: leave out `tools` and `functions`.")
    said = [message.role for message in body.messages if message.role in ("user", "assistant")]
    if said[-1:] != ["user"]:
        raise Refusal(400, "The last message must be the user's.")
    if body.top_logprobs is not None and not body.logprobs:
        raise Refusal(400, "`top_logprobs` needs `logprobs: true`.")
    n_logprobs = max(1, body.top_logprobs or 0) if body.logprobs else 0
    n_most = max_tokens if body.max_tokens is None else body.max_tokens
    return _Plan(body, n_most, sampling_of(body, SAMPLING, n_logprobs))


async def _whole(rack: Rack, plan: _Plan) -> ChatCompletion:
    tally, choices = Tally(), []
    async with rack.using("chat") as engine:
        name = label("chatcmpl", rack.name("chat"))
        for index in range(plan.body.n):
            async with aclosing(engine.chat(plan.request(index))) as pieces:
                spoken = await hear(pieces)
            tally.add(spoken.timings, is_first_of_prompt=index == 0)
            choices.append(
                ChatChoice(
                    index=index,
                    message=AssistantMessage(content=spoken.text),
                    logprobs=_logprobs(plan.body, spoken.tokens),
                    finish_reason=spoken.end(plan.max_tokens),
                )
            )
    return ChatCompletion(
        id=name.id, created=name.created, model=name.model, choices=choices, usage=tally.usage
    )


async def _stream(rack: Rack, plan: _Plan) -> AsyncGenerator[dict[str, Any], None]:
    tally = Tally()
    async with rack.using("chat") as engine:
        name = label("chatcmpl", rack.name("chat"))
        for index in range(plan.body.n):
            spoken, has_begun = Spoken(), False
            async with aclosing(engine.chat(plan.request(index))) as pieces:
                async for piece in pieces:
                    spoken.add(piece)
                    if not has_begun:
                        has_begun = True
                        yield _chunk(name, index, Delta(role="assistant", content=""))
                    if piece.text or piece.logprobs:
                        told = _logprobs(plan.body, piece.logprobs)
                        yield _chunk(name, index, Delta(content=piece.text), logprobs=told)
            tally.add(spoken.timings, is_first_of_prompt=index == 0)
            end = spoken.end(plan.max_tokens)
            yield _chunk(name, index, Delta(), finish_reason=end)
    if plan.body.tells_usage:
        chunk = ChatCompletionChunk(
            id=name.id, choices=[], created=name.created, model=name.model, usage=tally.usage
        )
        yield chunk.model_dump()


def _chunk(name: Label, index: int, delta: Delta, **more: Any) -> dict[str, Any]:
    choice = ChatChunkChoice(index=index, delta=delta, **more)
    return ChatCompletionChunk(
        id=name.id, choices=[choice], created=name.created, model=name.model
    ).model_dump()


def _logprobs(body: ChatCompletionRequest, tokens: Sequence[TokenLogprobs]) -> ChatLogprobs | None:
    if not body.logprobs:
        return None
    return ChatLogprobs(
        content=[
            TokenLogprob(
                token=token.text,
                logprob=finite(token.logprob),
                bytes=list(token.raw),
                top_logprobs=[
                    TopLogprob(token=text, logprob=finite(logprob), bytes=list(raw))
                    for text, raw, logprob in token.others[: body.top_logprobs or 0]
                ],
            )
            for token in tokens
        ]
    )
