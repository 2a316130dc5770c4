"""What completion and chat with a server have in common: when it is asked, when it is left alone.

Invariant: a server that fails is `away`, never `failed`: the requests that come ask it again, with
a pause in between, and the first answer makes it `ready`.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Generic, TypeVar

from tabby_lsp.domain import (
    ChatRequest,
    EngineError,
    EngineState,
    EngineStatus,
    GenerationRequest,
    Sampling,
    Timings,
    Unusable,
)
from tabby_lsp.engines.remote import faults
from tabby_lsp.engines.remote.deadline import Deadline
from tabby_lsp.engines.remote.faults import Fault, FaultKind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tabby_lsp.engines.remote.dialect import Dialect, Said, Target

Request = TypeVar("Request", bound=GenerationRequest | ChatRequest)

# After a failure; each further one doubles it. Somebody who starts the server sees it at work soon,
# and a server that refuses is not asked at every key.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 5.0
# No token is longer on average; what goes on after that was not asked for.
_MAX_CHARS_PER_TOKEN = 32


class ServerEngine(Generic[Request]):
    """One server, asked in one dialect; lives until `close`."""

    def __init__(self, target: Target, dialect: Dialect[Request], timeout_s: float) -> None:
        self._connection = target.connection
        self._dialect = dialect
        self._timeout_s = timeout_s
        self._model = target.model or target.connection.place.name
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

    async def close(self) -> None:
        if self._greeting is not None:
            self._greeting.cancel()
            await asyncio.wait([self._greeting])
        await self._connection.close()
        self._state, self._knows_server = "unloaded", False

    def _deadline(self) -> Deadline:
        """That of an answer which begins now."""
        return Deadline(self._timeout_s)

    async def _answer(self, request: Request) -> AsyncGenerator[Said, None]:
        """What the server says, no more of it than was asked for; raises EngineError."""
        if asyncio.get_running_loop().time() < self._paused_until_s:
            raise EngineError(self._message)
        await self.load()
        started_s = time.perf_counter()
        n_chars = 0
        has_told = not request.sampling.n_logprobs
        async with aclosing(self._asked(request)) as answer:
            async for said in answer:
                n_chars += len(said.text) + len(said.reasoning)
                if n_chars > request.max_tokens * _MAX_CHARS_PER_TOKEN:
                    raise self._went_away(faults.flood(self._connection.place))
                has_told = has_told or bool(said.logprobs)
                if said.text and not has_told:
                    raise Unusable(
                        f"{self._connection.place.url} tells no log probabilities: leave"
                        " `logprobs` out, or update the server."
                    )
                total_ms = (time.perf_counter() - started_s) * 1000
                yield replace(said, timings=replace(said.timings, total_ms=total_ms))

    async def _greet(self) -> None:
        if self._state == "unloaded":
            self._state, self._message = "loading", f"asking {self._connection.place.url}"
        timeout_s = max(self._timeout_s, self._dialect.load_timeout_s)
        try:
            self._model = await self._dialect.greet(Deadline(timeout_s))
            self._knows_server = True
            self._is_back()
        except Fault as fault:
            raise self._went_away(fault) from fault
        finally:
            if self._state == "loading":
                self._state = "unloaded"

    async def _asked(self, request: Request) -> AsyncGenerator[Said, None]:
        """The server's answer; what it fails with is remembered, and so is that it answers."""
        deadline = self._deadline()
        before = Timings()
        try:
            async with aclosing(self._dialect.ask(request, deadline)) as answer:
                async for said in answer:
                    self._count(said.timings, before)
                    before = said.timings
                    self._is_back()
                    yield said
                    # An empty piece is a sign of life, but no progress.
                    if said.text or said.reasoning:
                        deadline.piece_came()
        except Fault as fault:
            # Completions without wishes of their own are all alike, so of those it is not.
            is_special = isinstance(request, ChatRequest) or request.sampling != Sampling()
            if fault.kind == "refused" and is_special:
                self._is_back()
                raise Unusable(str(fault)) from fault
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
