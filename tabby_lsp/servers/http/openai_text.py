"""OpenAI's `POST /v1/completions`: what comes after a prompt, or between it and a suffix.

Invariant: the text is the model's own, ended by the request's stop strings and by nothing else.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from tabby_lsp.domain import GenerationRequest, Sampling, Segments, TextRequest
from tabby_lsp.servers.http.answering import events, while_listened_to
from tabby_lsp.servers.http.errors import Refusal
from tabby_lsp.servers.http.named import check_able, role_named
from tabby_lsp.servers.http.sampling import AnswerRequest, TokenId, of_choice, sampling_of
from tabby_lsp.servers.http.spoken import Spoken, Tally, Usage, finite, hear, label
from tabby_lsp.talk import SAMPLING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from starlette.requests import Request

    from tabby_lsp.domain import Piece, TokenLogprobs
    from tabby_lsp.rack import Rack, Role
    from tabby_lsp.servers.http.spoken import Label

Text = Annotated[str, Field(max_length=1_000_000)]
Tokens = Annotated[list[TokenId], Field(min_length=1, max_length=262_144)]

MAX_PROMPTS = 8
_MAX_TOKENS = 16  # as OpenAI, where a request does not say
_NO_TEXT = "runs on a server, which takes no text without a suffix: send `suffix`"


class TextCompletionRequest(AnswerRequest):
    """`POST /v1/completions` with a prompt."""

    prompt: (
        Text
        | Annotated[list[Text], Field(min_length=1, max_length=MAX_PROMPTS)]
        | Tokens
        | Annotated[list[Tokens], Field(min_length=1, max_length=MAX_PROMPTS)]
    )
    suffix: Text | None = None
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    echo: bool | None = None
    best_of: int | None = None


class TextLogprobs(BaseModel):
    """The tokens of an answer, one entry each."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]] | None
    text_offset: list[int]  # in code points, from the answer's beginning


class TextChoice(BaseModel):
    """One answer, or in a stream the next bit of it."""

    index: int
    text: str
    logprobs: TextLogprobs | None = None
    finish_reason: Literal["stop", "length"] | None = None


class TextCompletion(BaseModel):
    """The answer to a prompt; in a stream each event is one."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[TextChoice]
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class _Plan:
    """A request that can be answered, as far as can be told before its turn."""

    body: TextCompletionRequest
    role: Role
    fills: bool  # whether it asks for what is between prompt and suffix
    max_tokens: int
    sampling: Sampling

    def pieces(self, engine: Any, prompt: str, index: int) -> AsyncGenerator[Piece, None]:
        """The answer for one prompt; `index` among all answers."""
        sampling, stop = of_choice(self.sampling, index), self.body.stops
        answer: AsyncGenerator[Piece, None]
        if self.fills:
            segments = Segments(prefix=prompt, suffix=self.body.suffix or "")
            request = GenerationRequest(segments, self.max_tokens, stop, sampling)
            answer = engine.complete(request)
        else:
            check_able(engine, "continue_text", _NO_TEXT)
            answer = engine.continue_text(TextRequest(prompt, self.max_tokens, stop, sampling))
        return answer


async def complete(request: Request, body: TextCompletionRequest, rack: Rack) -> Response:
    """Answer as a whole or as a stream; raises Refusal."""
    plan = _plan(body, rack)
    if body.stream:
        return await events(request, _stream(rack, plan))
    answer = await while_listened_to(request, _whole(rack, plan))
    return JSONResponse(answer.model_dump())


def _plan(body: TextCompletionRequest, rack: Rack) -> _Plan:
    if body.echo:
        raise Refusal(400, "`echo` is not offered: the prompt is yours already.")
    if body.best_of not in (None, body.n):
        raise Refusal(400, "`best_of` is not offered: ask for `n` answers and choose.")
    role = role_named(rack, body.model, ("completion", "chat"))
    fills = body.suffix is not None
    if fills and role == "chat":
        if body.suffix:
            raise Refusal(400, "A chat model fills in nothing between `prompt` and `suffix`.")
        fills = False
    # One answer in the middle of code is best where it is the likeliest.
    advised = Sampling() if fills and body.n == 1 else SAMPLING
    n_logprobs = 0 if body.logprobs is None else max(1, body.logprobs)
    max_tokens = _MAX_TOKENS if body.max_tokens is None else body.max_tokens
    return _Plan(body, role, fills, max_tokens, sampling_of(body, advised, n_logprobs))


async def _whole(rack: Rack, plan: _Plan) -> TextCompletion:
    tally, choices = Tally(), []
    async with rack.using(plan.role) as engine:
        name = label("cmpl", rack.name(plan.role))
        for index, prompt in enumerate(await _prompts(engine, plan.body)):
            async with aclosing(plan.pieces(engine, prompt, index)) as pieces:
                spoken = await hear(pieces)
            tally.add(spoken.timings, is_first_of_prompt=index % plan.body.n == 0)
            told = _Trail(plan.body.logprobs).tell(spoken.tokens, spoken.text)
            end = spoken.end(plan.max_tokens)
            choices.append(
                TextChoice(index=index, text=spoken.text, logprobs=told, finish_reason=end)
            )
    return _completion(name, choices, tally.usage)


async def _stream(rack: Rack, plan: _Plan) -> AsyncGenerator[dict[str, Any], None]:
    tally = Tally()
    async with rack.using(plan.role) as engine:
        name = label("cmpl", rack.name(plan.role))
        for index, prompt in enumerate(await _prompts(engine, plan.body)):
            spoken, trail = Spoken(), _Trail(plan.body.logprobs)
            async with aclosing(plan.pieces(engine, prompt, index)) as pieces:
                async for piece in pieces:
                    spoken.add(piece)
                    told = trail.tell(piece.logprobs, piece.text)
                    if piece.text or piece.logprobs:
                        choice = TextChoice(index=index, text=piece.text, logprobs=told)
                        yield _completion(name, [choice]).model_dump()
            tally.add(spoken.timings, is_first_of_prompt=index % plan.body.n == 0)
            end = spoken.end(plan.max_tokens)
            choice = TextChoice(index=index, text="", finish_reason=end)
            yield _completion(name, [choice]).model_dump()
    if plan.body.tells_usage:
        yield _completion(name, [], tally.usage).model_dump()


def _completion(
    name: Label, choices: list[TextChoice], usage: Usage | None = None
) -> TextCompletion:
    return TextCompletion(
        id=name.id, created=name.created, model=name.model, choices=choices, usage=usage
    )


async def _prompts(engine: Any, body: TextCompletionRequest) -> list[str]:
    """The prompts as texts, each as often as it is to be answered."""
    texts = await as_texts(engine, body.prompt)
    if len(texts) * body.n > MAX_PROMPTS:
        raise Refusal(400, f"No more than {MAX_PROMPTS} answers at once: prompts times `n`.")
    return [text for text in texts for _ in range(body.n)]


async def as_texts(
    engine: Any, given: str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]]
) -> list[str]:
    """One text or several, any of them perhaps as token ids; raises Refusal and EngineError."""
    if isinstance(given, str):
        return [given]
    parts: list[Any] = list(given)
    if isinstance(parts[0], int):
        parts = [parts]
    if all(isinstance(part, str) for part in parts):
        return parts
    check_able(engine, "decode", "takes text, and no token ids")
    return [await engine.decode(part, controls=False) for part in parts]


class _Trail:
    """Where in an answer its tokens stand; an instance lives as long as one answer.

    A token may be part of a character, or a control token, which has no text.
    """

    def __init__(self, most_others: int | None) -> None:
        self._most_others = most_others
        self._text = b""
        self._n_bytes = 0

    def tell(self, tokens: Sequence[TokenLogprobs], text: str) -> TextLogprobs | None:
        """The next tokens, with the text that comes with them."""
        if self._most_others is None:
            return None
        self._text += text.encode()
        offsets = [self._place(token.raw) for token in tokens]
        others = [
            {text: finite(logprob) for text, _, logprob in token.others[: self._most_others]}
            for token in tokens
        ]
        return TextLogprobs(
            tokens=[token.text for token in tokens],
            token_logprobs=[finite(token.logprob) for token in tokens],
            top_logprobs=others if self._most_others else None,
            text_offset=offsets,
        )

    def _place(self, raw: bytes) -> int:
        before, rest = self._text[: self._n_bytes], self._text[self._n_bytes :]
        if rest and (rest.startswith(raw) or raw.startswith(rest)):
            self._n_bytes += len(raw)
        return len(before.decode(errors="ignore"))
