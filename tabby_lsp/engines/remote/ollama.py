"""Ollama by its own `/api/generate`, which is surer than its OpenAI face.

It says beforehand whether a model can fill in the middle, loads it when it is greeted, and tells
what an answer cost.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from tabby_lsp.domain import Timings
from tabby_lsp.engines.remote import faults
from tabby_lsp.engines.remote.dialect import (
    Said,
    count_at,
    dig,
    finish_of,
    max_bytes,
    number_at,
    text_at,
    texts_at,
)
from tabby_lsp.engines.remote.logprobs import tokens_at
from tabby_lsp.engines.remote.sampling import ollama_words
from tabby_lsp.engines.remote.text_prompt import (
    DEFAULT_N_CTX,
    render_halves,
    render_text,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tabby_lsp.domain import GenerationRequest
    from tabby_lsp.engines.remote.deadline import Deadline
    from tabby_lsp.engines.remote.dialect import Target

URL = "http://127.0.0.1:11434"
_NS_PER_MS = 1_000_000
# A model of several gigabytes comes from a slow disk.
LOAD_TIMEOUT_S = 120.0


class OllamaDialect:
    """Knows the model after it has greeted."""

    load_timeout_s = LOAD_TIMEOUT_S

    def __init__(self, target: Target) -> None:
        self._target = target
        self._connection = target.connection
        self._family = target.family
        self._model = target.model

    async def greet(self, deadline: Deadline) -> str:
        self._model, abilities = await find_model(self._target, deadline)
        # Older versions have no such list; they refuse when they are asked.
        if self._family is None and abilities is not None and "insert" not in abilities:
            raise faults.Fault(
                "model",
                f"{faults.quoted(self._model)} cannot fill in the middle in Ollama: set `model` of"
                f" {self._connection.place.table} to one that can, such as qwen2.5-coder, or set"
                " `family` to the way in which this one was trained.",
            )
        await load(self._target, self._model, deadline)
        return self._model

    async def ask(
        self, request: GenerationRequest, deadline: Deadline
    ) -> AsyncGenerator[Said, None]:
        events = self._connection.events(
            "POST",
            "/api/generate",
            self._body(request),
            deadline,
            max_bytes(request.max_tokens, request.sampling.n_logprobs),
            model=self._model,
        )
        is_finished = False
        async with aclosing(events):
            async for event in events:
                if "response" not in (event if isinstance(event, dict) else {}):
                    raise faults.strange(self._connection.place, "no `response`")
                text = "" if is_finished else text_at(event, "response")
                is_finished = is_finished or dig(event, "done") is True
                yield Said(
                    text,
                    timings_of(event),
                    finish=finish_of(dig(event, "done_reason")),
                    logprobs=tokens_at(event, "logprobs"),
                )
        if not is_finished:
            raise faults.broken(self._connection.place)

    def _body(self, request: GenerationRequest) -> dict[str, object]:
        n_room = max(0, (self._target.n_ctx or DEFAULT_N_CTX) - request.max_tokens)
        options, beside = ollama_words(request)
        options |= {"num_predict": request.max_tokens, **context_of(self._target)}
        body = {"model": self._model, "stream": True, "options": options, **beside}
        if self._family is None:
            halves = render_halves(request.segments, n_room)
            return body | {"prompt": halves.prefix, "suffix": halves.suffix}
        prompt = render_text(request.segments, self._family, n_room)
        return body | {"prompt": prompt, "raw": True}


async def find_model(target: Target, deadline: Deadline) -> tuple[str, tuple[str, ...] | None]:
    """The model of the settings, or the only one there, and what it can do; raises Fault.

    None for its abilities where this version of Ollama does not tell.
    """
    model = target.model or await _only_model(target, deadline)
    abilities = dig(await _show(target, model, deadline), "capabilities")
    return model, tuple(map(str, abilities)) if isinstance(abilities, list) else None


async def load(target: Target, model: str, deadline: Deadline) -> None:
    """Have Ollama bring the model into memory; raises Fault."""
    body = {"model": model, "stream": False, "options": context_of(target)}
    await target.connection.fetch("POST", "/api/generate", body, deadline, model=model)


def context_of(target: Target) -> dict[str, int]:
    """Nothing where the settings do not say: another context than the one that the server was
    started with loads the model anew for us, and once more for the next client.
    """
    return {"num_ctx": target.n_ctx} if target.n_ctx else {}


async def _only_model(target: Target, deadline: Deadline) -> str:
    listing = await target.connection.fetch("GET", "/api/tags", None, deadline)
    names = texts_at(listing, "name", "models")
    if len(names) != 1:
        raise faults.no_model(target.connection.place, "", names)
    return names[0]


async def _show(target: Target, model: str, deadline: Deadline) -> object:
    connection = target.connection
    try:
        return await connection.fetch("POST", "/api/show", {"model": model}, deadline, model=model)
    except faults.Fault as fault:
        if fault.kind != "place":
            raise
        listing = await connection.fetch("GET", "/api/tags", None, deadline)
        names = texts_at(listing, "name", "models")
        raise faults.no_model(connection.place, model, names) from fault


def timings_of(event: object) -> Timings:
    """From the last line; older versions do not tell how much of the prompt the cache held."""
    n_prompt = count_at(event, "prompt_eval_count")
    n_reused = min(count_at(event, "prompt_eval_cached_count"), n_prompt)
    return Timings(
        n_prompt_tokens=n_prompt,
        n_reused_tokens=n_reused,
        n_evaluated_tokens=n_prompt - n_reused,
        n_generated_tokens=count_at(event, "eval_count"),
        prefill_ms=number_at(event, "prompt_eval_duration") / _NS_PER_MS,
        decode_ms=number_at(event, "eval_duration") / _NS_PER_MS,
    )
