"""Chat with Ollama by its own `/api/chat`, which takes a context and tells what an answer cost."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from tabby_lsp.engines.remote import faults
from tabby_lsp.engines.remote.conversation import messages_of, n_answer
from tabby_lsp.engines.remote.dialect import Said, dig, finish_of, max_bytes, text_at
from tabby_lsp.engines.remote.logprobs import tokens_at
from tabby_lsp.engines.remote.ollama import (
    LOAD_TIMEOUT_S,
    context_of,
    find_model,
    load,
    timings_of,
)
from tabby_lsp.engines.remote.sampling import ollama_words
from tabby_lsp.engines.remote.text_prompt import DEFAULT_N_CTX

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tabby_lsp.domain import ChatRequest
    from tabby_lsp.engines.remote.deadline import Deadline
    from tabby_lsp.engines.remote.dialect import Target


class OllamaChat:
    """Knows the model after it has greeted."""

    load_timeout_s = LOAD_TIMEOUT_S

    def __init__(self, target: Target) -> None:
        self._target = target
        self._model = target.model
        self._thinks = False

    async def greet(self, deadline: Deadline) -> str:
        self._model, abilities = await find_model(self._target, deadline)
        # Older versions have no such list; they refuse when they are asked.
        if abilities is not None and "completion" not in abilities:
            raise faults.Fault(
                "model",
                f"{faults.quoted(self._model)} cannot chat in Ollama: set `model` of"
                f" {self._target.connection.place.table} to one that can, such as"
                " qwen2.5-coder:7b.",
            )
        self._thinks = "thinking" in (abilities or ())
        await load(self._target, self._model, deadline)
        return self._model

    async def ask(self, request: ChatRequest, deadline: Deadline) -> AsyncGenerator[Said, None]:
        connection = self._target.connection
        limit = max_bytes(request.max_tokens, request.sampling.n_logprobs)
        events = connection.events(
            "POST", "/api/chat", self._body(request), deadline, limit, model=self._model
        )
        is_finished = False
        async with aclosing(events):
            async for event in events:
                message = dig(event, "message")
                if not isinstance(message, dict):
                    raise faults.strange(connection.place, "no `message`")
                if is_finished:
                    continue
                is_finished = dig(event, "done") is True
                text, reasoning = text_at(message, "content"), text_at(message, "thinking")
                finish = finish_of(dig(event, "done_reason"))
                told = tokens_at(event, "logprobs")
                yield Said(text, timings_of(event), reasoning, finish, told)
        if not is_finished:
            raise faults.broken(connection.place)

    def _body(self, request: ChatRequest) -> dict[str, object]:
        n_ctx = self._target.n_ctx or DEFAULT_N_CTX
        options, beside = ollama_words(request)
        options |= {"num_predict": n_answer(request, n_ctx), **context_of(self._target)}
        body: dict[str, object] = {
            "model": self._model,
            "messages": messages_of(request, n_ctx),
            "stream": True,
            "options": options,
            **beside,
        }
        # Models that do not think refuse to be told not to.
        return body | {"think": False} if self._thinks else body
