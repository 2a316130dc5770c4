"""The engine that asks a server elsewhere: when it is asked, when it is left alone, what it cost.

Invariant: a server that fails is `away`, never `failed`: the requests that come ask it again, with
a pause in between, and the first answer makes it `ready`.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from tabby_lsp.domain import EngineError, EngineState, EngineStatus, Piece, Timings
from tabby_lsp.engines.llama.text import TextStream
from tabby_lsp.engines.remote import faults
from tabby_lsp.engines.remote.connection import Connection
from tabby_lsp.engines.remote.faults import Fault, FaultKind, Place
from tabby_lsp.engines.remote.llama_server import URL as LLAMA_SERVER_URL
from tabby_lsp.engines.remote.llama_server import LlamaServerDialect
from tabby_lsp.engines.remote.ollama import URL as OLLAMA_URL
from tabby_lsp.engines.remote.ollama import OllamaDialect
from tabby_lsp.engines.remote.openai import OpenAIDialect, base_url
from tabby_lsp.engines.remote.tabby import TabbyDialect
from tabby_lsp.engines.remote.text_prompt import control_texts
from tabby_lsp.models.families import families_named

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tabby_lsp.config import EngineSettings
    from tabby_lsp.domain import GenerationRequest
    from tabby_lsp.engines.remote.dialect import Dialect, Said

# After a failure; each further one doubles it. Somebody who starts the server sees it at work soon,
# and a server that refuses is not asked at every key.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 5.0
# No token of code is longer on average; what goes on after that was not asked for.
_MAX_CHARS_PER_TOKEN = 32


class RemoteEngine:
    """Keeps domain.Engine's promise with one server; lives until `close`."""

    def __init__(
        self,
        connection: Connection,
        dialect: Dialect,
        model: str,
        timeout_s: float,
        end_texts: tuple[str, ...] = (),
    ) -> None:
        self._connection = connection
        self._dialect = dialect
        self._timeout_s = timeout_s
        self._end_texts = end_texts
        self._model = model or connection.place.name
        self._state: EngineState = "unloaded"
        self._message = ""
        self._said: dict[FaultKind, str] = {}
        self._greeting: asyncio.Task[None] | None = None
        self._knows_server = False
        self._pause_s = _FIRST_PAUSE_S
        self._paused_until_s = 0.0
        self._n_evaluated_total = 0
        self._n_generated_total = 0

    @property
    def status(self) -> EngineStatus:
        return EngineStatus(
            state=self._state,
            model=self._model,
            message=self._message,
            is_remote=True,
            n_evaluated_total=self._n_evaluated_total,
            n_generated_total=self._n_generated_total,
        )

    async def load(self) -> None:
        if self._knows_server:
            return
        if self._greeting is None or self._greeting.done():
            self._greeting = asyncio.ensure_future(self._greet())
            # Whoever waited may be gone when it fails.
            self._greeting.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.shield(self._greeting)

    async def complete(self, request: GenerationRequest) -> AsyncGenerator[Piece, None]:
        if asyncio.get_running_loop().time() < self._paused_until_s:
            raise EngineError(self._message)
        await self.load()
        started_s = time.perf_counter()
        stream = TextStream((*request.stop, *self._end_texts))
        timings = Timings()
        n_chars = 0
        async with aclosing(self._asked(request)) as answer:
            async for said in answer:
                timings = replace(said.timings, total_ms=(time.perf_counter() - started_s) * 1000)
                n_chars += len(said.text)
                if n_chars > request.max_tokens * _MAX_CHARS_PER_TOKEN:
                    raise self._went_away(faults.flood(self._connection.place))
                # A surrogate is no character, and only a server that lies sends one.
                text = stream.push(said.text.encode("utf-8", "replace"))
                yield Piece(text, 0.0, timings)
                if stream.is_stopped:
                    return
        yield Piece(stream.finish(), 0.0, timings)

    async def close(self) -> None:
        if self._greeting is not None:
            self._greeting.cancel()
            await asyncio.wait([self._greeting])
        await self._connection.close()
        self._state, self._knows_server = "unloaded", False

    async def _greet(self) -> None:
        if self._state == "unloaded":
            self._state, self._message = "loading", f"asking {self._connection.place.url}"
        loop = asyncio.get_running_loop()
        timeout_s = max(self._timeout_s, self._dialect.load_timeout_s)
        try:
            self._model = await self._dialect.greet(loop.time() + timeout_s)
            self._knows_server = True
            self._is_back()
        except Fault as fault:
            raise self._went_away(fault) from fault
        finally:
            if self._state == "loading":
                self._state = "unloaded"

    async def _asked(self, request: GenerationRequest) -> AsyncGenerator[Said, None]:
        """The server's answer; what it fails with is remembered, and so is that it answers."""
        deadline_s = asyncio.get_running_loop().time() + self._timeout_s
        before = Timings()
        try:
            async with aclosing(self._dialect.ask(request, deadline_s)) as answer:
                async for said in answer:
                    self._count(said.timings, before)
                    before = said.timings
                    self._is_back()
                    yield said
        except Fault as fault:
            raise self._went_away(fault) from fault

    def _count(self, timings: Timings, before: Timings) -> None:
        """Add what is new since the piece before; each piece tells of the whole answer so far."""
        n_evaluated = timings.n_evaluated_tokens - before.n_evaluated_tokens
        n_generated = timings.n_generated_tokens - before.n_generated_tokens
        self._n_evaluated_total += max(0, n_evaluated)
        self._n_generated_total += max(0, n_generated)

    def _is_back(self) -> None:
        self._state, self._message = "ready", ""
        self._pause_s, self._paused_until_s = _FIRST_PAUSE_S, 0.0

    def _went_away(self, fault: Fault) -> EngineError:
        """Leave the server alone for a while; it may come back as another one, so greet it anew.

        Of each kind of fault the first sentence stands, so that a server that words it differently
        each time is not heard each time.
        """
        self._knows_server = False
        self._state = "away"
        self._message = self._said.setdefault(fault.kind, str(fault))
        pause_s = max(self._pause_s, fault.retry_after_s)
        self._paused_until_s = asyncio.get_running_loop().time() + pause_s
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
        return EngineError(self._message)


def remote_engine(name: str, settings: EngineSettings, api_key: str) -> RemoteEngine:
    """The engine of a table `[engines.NAME]` whose kind is one of `REMOTE_KINDS`.

    Raises EngineError where its `family` is none.
    """
    families = families_named(settings.family) if settings.family else ()
    family = families[0] if families else None
    default = OLLAMA_URL if settings.kind == "ollama" else LLAMA_SERVER_URL
    url = (settings.url or default).rstrip("/")
    if settings.kind == "openai":
        url = base_url(url)
    place = Place(name=name, url=url, has_key=bool(api_key))
    connection = Connection(place, api_key, settings.connect_timeout_ms / 1000)
    dialect: Dialect
    if settings.kind == "openai":
        dialect = OpenAIDialect(connection, settings.model, family, settings.n_ctx)
    elif settings.kind == "ollama":
        dialect = OllamaDialect(connection, settings.model, family, settings.n_ctx)
    elif settings.kind == "llama-server":
        dialect = LlamaServerDialect(connection, settings.model, families)
    else:
        dialect = TabbyDialect(connection)
    # Where text is all that a server takes, its control tokens may come back as text.
    end_texts = control_texts(family) if family and settings.kind != "llama-server" else ()
    return RemoteEngine(connection, dialect, settings.model, settings.timeout_ms / 1000, end_texts)
