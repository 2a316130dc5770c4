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
    max_bytes,
    number_at,
    text_at,
    texts_at,
)
from tabby_lsp.engines.remote.text_prompt import (
    DEFAULT_N_CTX,
    render_halves,
    render_text,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tabby_lsp.domain import GenerationRequest
    from tabby_lsp.engines.remote.connection import Connection
    from tabby_lsp.models.fim_table import FimFamily

URL = "http://127.0.0.1:11434"
_NS_PER_MS = 1_000_000


class OllamaDialect:
    """Knows the model after it has greeted."""

    # A model of several gigabytes comes from a slow disk.
    load_timeout_s = 120.0

    def __init__(
        self, connection: Connection, model: str, family: FimFamily | None, n_ctx: int
    ) -> None:
        self._connection = connection
        self._n_ctx = n_ctx
        self._configured = model
        self._family = family
        self._model = model

    async def greet(self, deadline_s: float) -> str:
        self._model = self._configured or await self._only_model(deadline_s)
        shown = await self._show(deadline_s)
        abilities = dig(shown, "capabilities")
        # Older versions have no such list; they refuse when they are asked.
        if self._family is None and isinstance(abilities, list) and "insert" not in abilities:
            raise faults.Fault(
                "model",
                f"{faults.quoted(self._model)} cannot fill in the middle in Ollama: set `model` of"
                f" {self._connection.place.table} to one that can, such as qwen2.5-coder, or set"
                " `family` to the way in which this one was trained.",
            )
        load = {"model": self._model, "stream": False, "options": self._context}
        await self._connection.fetch("POST", "/api/generate", load, deadline_s, model=self._model)
        return self._model

    async def ask(
        self, request: GenerationRequest, deadline_s: float
    ) -> AsyncGenerator[Said, None]:
        events = self._connection.events(
            "POST",
            "/api/generate",
            self._body(request),
            deadline_s,
            max_bytes(request.max_tokens),
            model=self._model,
        )
        is_finished = False
        async with aclosing(events):
            async for event in events:
                if "response" not in (event if isinstance(event, dict) else {}):
                    raise faults.strange(self._connection.place, "no `response`")
                is_finished = is_finished or dig(event, "done") is True
                yield Said(text_at(event, "response"), _timings(event))
        if not is_finished:
            raise faults.broken(self._connection.place)

    async def _only_model(self, deadline_s: float) -> str:
        listing = await self._connection.fetch("GET", "/api/tags", None, deadline_s)
        names = texts_at(listing, "name", "models")
        if len(names) != 1:
            raise faults.no_model(self._connection.place, "", names)
        return names[0]

    async def _show(self, deadline_s: float) -> object:
        try:
            return await self._connection.fetch(
                "POST", "/api/show", {"model": self._model}, deadline_s, model=self._model
            )
        except faults.Fault as fault:
            if fault.kind != "place":
                raise
            listing = await self._connection.fetch("GET", "/api/tags", None, deadline_s)
            names = texts_at(listing, "name", "models")
            raise faults.no_model(self._connection.place, self._model, names) from fault

    @property
    def _context(self) -> dict[str, int]:
        """Nothing where the settings do not say: another context than the one that the server was
        started with loads the model anew for us, and once more for the next client.
        """
        return {"num_ctx": self._n_ctx} if self._n_ctx else {}

    def _body(self, request: GenerationRequest) -> dict[str, object]:
        n_room = max(0, (self._n_ctx or DEFAULT_N_CTX) - request.max_tokens)
        options: dict[str, object] = {"temperature": 0, "num_predict": request.max_tokens}
        options |= self._context
        if request.stop:
            options["stop"] = list(request.stop)
        body: dict[str, object] = {"model": self._model, "stream": True, "options": options}
        if self._family is None:
            halves = render_halves(request.segments, n_room)
            return body | {"prompt": halves.prefix, "suffix": halves.suffix}
        prompt = render_text(request.segments, self._family, n_room)
        return body | {"prompt": prompt, "raw": True}


def _timings(event: object) -> Timings:
    """From the last line; it does not tell read tokens from those that the cache held."""
    return Timings(
        n_generated_tokens=count_at(event, "eval_count"),
        prefill_ms=number_at(event, "prompt_eval_duration") / _NS_PER_MS,
        decode_ms=number_at(event, "eval_duration") / _NS_PER_MS,
    )
