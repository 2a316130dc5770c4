"""Chat with servers that have OpenAI's `/chat/completions`: vLLM, llama-server, Tabby, hosted ones.

The same answer comes as events or as one JSON value; what the model says to itself stands apart in
it where the server knows how to tell.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from tabby_lsp.domain import Timings
from tabby_lsp.engines.remote import faults
from tabby_lsp.engines.remote.connection import DONE
from tabby_lsp.engines.remote.conversation import messages_of, n_answer
from tabby_lsp.engines.remote.dialect import Said, count_at, dig, finish_of, max_bytes, text_at
from tabby_lsp.engines.remote.llama_server import model_name, n_ctx_of
from tabby_lsp.engines.remote.llama_server import timings_of as llama_server_timings
from tabby_lsp.engines.remote.logprobs import tokens_at
from tabby_lsp.engines.remote.openai import LLAMA_SERVER, VLLM, find_model, usage_timings
from tabby_lsp.engines.remote.sampling import llama_server_words, openai_words, vllm_words
from tabby_lsp.engines.remote.tabby import health_of
from tabby_lsp.engines.remote.text_prompt import DEFAULT_N_CTX

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tabby_lsp.domain import ChatRequest
    from tabby_lsp.engines.remote.deadline import Deadline
    from tabby_lsp.engines.remote.dialect import Target

# vLLM's older name and the newer one, which OpenRouter has too.
_REASONING_KEYS = ("reasoning_content", "reasoning")


class OpenAIChat:
    """Knows the server's model after it has greeted."""

    load_timeout_s = 0.0

    def __init__(self, target: Target) -> None:
        self._target = target
        self._model = target.model
        self._n_ctx = target.n_ctx or DEFAULT_N_CTX
        self._owner = ""

    async def greet(self, deadline: Deadline) -> str:
        listed = await find_model(self._target, deadline)
        self._model, self._n_ctx, self._owner = listed.model, listed.n_ctx, listed.owner
        return self._model

    async def ask(self, request: ChatRequest, deadline: Deadline) -> AsyncGenerator[Said, None]:
        words = vllm_words(request) if self._owner == VLLM else openai_words(request)
        body = _body(request, self._n_ctx) | words | {"model": self._model}
        # Mistral's servers, for one, refuse a request in which this stands.
        if self._owner in (VLLM, LLAMA_SERVER):
            body["stream_options"] = {"include_usage": True}
        async with aclosing(_answer(self._target, "/chat/completions", body, deadline)) as bits:
            async for said in bits:
                yield said


class LlamaServerChat:
    """llama.cpp's own server, which keeps what it has read of a conversation."""

    load_timeout_s = 0.0

    def __init__(self, target: Target) -> None:
        self._target = target
        self._n_ctx = DEFAULT_N_CTX

    async def greet(self, deadline: Deadline) -> str:
        props = await self._target.connection.fetch("GET", "/props", None, deadline)
        self._n_ctx = n_ctx_of(props)
        return self._target.model or model_name(props) or "llama-server"

    async def ask(self, request: ChatRequest, deadline: Deadline) -> AsyncGenerator[Said, None]:
        body = _body(request, self._n_ctx) | llama_server_words(request)
        body["cache_prompt"] = True
        if self._target.model:
            body["model"] = self._target.model
        async with aclosing(_answer(self._target, "/v1/chat/completions", body, deadline)) as bits:
            async for said in bits:
                yield said


class TabbyChat:
    """A Tabby server, which always answers in events, and ends them without a word."""

    load_timeout_s = 0.0

    def __init__(self, target: Target) -> None:
        self._target = target

    async def greet(self, deadline: Deadline) -> str:
        health = await health_of(self._target.connection, deadline)
        model = text_at(health, "chat_model")
        if not model:
            raise self._without_model()
        return model

    async def ask(self, request: ChatRequest, deadline: Deadline) -> AsyncGenerator[Said, None]:
        n_ctx = self._target.n_ctx or DEFAULT_N_CTX
        body = _body(request, n_ctx) | openai_words(request) | {"model": ""}
        for path in ("/v1/chat/completions", "/v1beta/chat/completions"):
            said = _answer(self._target, path, body, deadline, ends_silently=True)
            try:
                async with aclosing(said) as bits:
                    async for bit in bits:
                        yield bit
                return
            except faults.Fault as fault:
                if fault.kind == "unable":
                    raise self._without_model() from fault
                # Older versions have it at the second place.
                if fault.kind != "place" or "beta" in path:
                    raise

    def _without_model(self) -> faults.Fault:
        place = self._target.connection.place
        return faults.Fault(
            "model",
            f"This Tabby server has no chat model: start it as `tabby serve --chat-model NAME`, or"
            f" correct `url` of {place.table}.",
        )


def _body(request: ChatRequest, n_ctx: int) -> dict[str, object]:
    """What all of these servers understand; raises EngineError where nothing fits."""
    return {
        "messages": messages_of(request, n_ctx),
        "max_tokens": n_answer(request, n_ctx),
        "stream": True,
    }


async def _answer(
    target: Target,
    path: str,
    body: dict[str, object],
    deadline: Deadline,
    *,
    ends_silently: bool = False,
) -> AsyncGenerator[Said, None]:
    """What the server says, bit by bit; raises Fault.

    `ends_silently`: an answer may be over without a `finish_reason`.
    """
    connection, model = target.connection, text_at(body, "model")
    limit = max_bytes(count_at(body, "max_tokens"), count_at(body, "top_logprobs"))
    events = connection.events("POST", path, body, deadline, limit, model=model)
    timings = Timings()
    is_finished = has_message = False
    async with aclosing(events):
        try:
            async for event in events:
                if event == DONE:
                    is_finished = True
                    break
                if dig(event, "choices") is None:
                    raise faults.strange(connection.place, "no `choices`")
                has_message = has_message or isinstance(_content(event), dict)
                timings = _timings(event) or timings
                finish = finish_of(dig(event, "choices", 0, "finish_reason"))
                is_finished = is_finished or finish != ""
                told = tokens_at(event, "choices", 0, "logprobs", "content")
                yield Said(_text(event), timings, _reasoning(event), finish, told)
        except faults.Fault:
            # Nothing is missing; only the connection did not end as it should.
            if not is_finished:
                raise
    if not is_finished and not ends_silently:
        raise faults.broken(connection.place)
    if not has_message:
        raise faults.strange(connection.place, "no `delta`")


def _content(event: object) -> object:
    """Of an event that is `delta`, of an answer in one piece `message`."""
    return dig(event, "choices", 0, "delta") or dig(event, "choices", 0, "message")


def _text(event: object) -> str:
    """Mistral's servers send a list of parts where their models think."""
    content = dig(_content(event), "content")
    if isinstance(content, list):
        return "".join(text_at(part, "text") for part in content)
    return content if isinstance(content, str) else ""


def _reasoning(event: object) -> str:
    said = _content(event)
    parts = dig(said, "content")
    apart = next((text for key in _REASONING_KEYS if (text := text_at(said, key))), "")
    parts = parts if isinstance(parts, list) else []
    return apart + "".join(text_at(part, "thinking", 0, "text") for part in parts)


def _timings(event: object) -> Timings | None:
    """From llama-server's own word or OpenAI's; None where there is neither."""
    if dig(event, "timings"):
        return llama_server_timings(event)
    return usage_timings(event) if dig(event, "usage") else None
