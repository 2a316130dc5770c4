"""How each of the compared asks for a completion, and what one answer cost."""

from __future__ import annotations

import time
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import httpx2

from benchmarks.peers.llama_vim import headers, infill_body
from benchmarks.peers.real_server import KEY
from tabby_lsp.config import ContextSettings, EngineSettings
from tabby_lsp.documents import Document, Position
from tabby_lsp.domain import GenerationRequest, Segments, Timings
from tabby_lsp.engines.remote.engine import remote_engine

if TYPE_CHECKING:
    from benchmarks.peers.wire import CountingWire
    from tabby_lsp.domain import Engine

# The shortest of the limits that the language server has for a line.
_MAX_LINE_TOKENS = 48


@dataclass(frozen=True, slots=True)
class Cost:
    """What one answer cost."""

    n_evaluated: int  # prompt tokens that the model read for it
    prefill_ms: float  # for reading them, by the engine's own clock
    total_ms: float  # from the question to the last of the answer
    sent_bytes: int = 0


class Asker(Protocol):
    """Who asks for a completion at a place in a file."""

    async def ask(self, path: str, before: str, after: str) -> Cost:
        """One question, and its whole answer."""


class LlamaVim:
    """The Vim plugin: one whole answer for each question, over a new connection."""

    def __init__(self, wire: CountingWire) -> None:
        self._wire = wire
        limits = httpx2.Limits(max_keepalive_connections=0)
        self._client = httpx2.AsyncClient(limits=limits, timeout=60, trust_env=False)

    async def ask(self, path: str, before: str, after: str) -> Cost:
        body = infill_body(before, after)
        n_before, started_s = self._wire.n_sent_bytes, time.perf_counter()
        response = await self._client.post(
            f"{self._wire.url}/infill", json=body, headers=headers(KEY)
        )
        total_ms = (time.perf_counter() - started_s) * 1_000
        answer = response.raise_for_status().json()
        sent_bytes = self._wire.n_sent_bytes - n_before
        read = (int(answer["timings/prompt_n"]), float(answer["timings/prompt_ms"]))
        return Cost(*read, total_ms, sent_bytes)

    async def close(self) -> None:
        await self._client.aclose()


class TabbyLsp:
    """The language server's engine, asked for a line with the text that it would be given."""

    def __init__(self, engine: Engine, wire: CountingWire | None = None) -> None:
        self._engine = engine
        self._wire = wire

    async def ask(self, path: str, before: str, after: str) -> Cost:
        context = ContextSettings()
        document = Document(f"file:///{path}", "python", 0, before + after, "utf-16")
        line_start = before.rfind("\n") + 1
        cursor = Position(before.count("\n"), len(before[line_start:].encode("utf-16-le")) // 2)
        prefix, suffix = document.windows(cursor, context.prefix_chars, context.suffix_chars)
        segments = Segments(
            prefix=prefix, suffix=suffix, path=path, repository="lib", language="python"
        )
        n_before, started_s = self._n_sent_bytes, time.perf_counter()
        timings = await self._answer(GenerationRequest(segments, _MAX_LINE_TOKENS, ("\n",)))
        total_ms = (time.perf_counter() - started_s) * 1_000
        sent_bytes = self._n_sent_bytes - n_before
        return Cost(timings.n_evaluated_tokens, timings.prefill_ms, total_ms, sent_bytes)

    async def close(self) -> None:
        await self._engine.close()

    async def _answer(self, request: GenerationRequest) -> Timings:
        timings = Timings()
        async with aclosing(self._engine.complete(request)) as pieces:
            async for piece in pieces:
                timings = piece.timings
        return timings

    @property
    def _n_sent_bytes(self) -> int:
        return self._wire.n_sent_bytes if self._wire else 0


def elsewhere(wire: CountingWire, **settings: Any) -> TabbyLsp:
    """The engine that asks a llama-server, with settings of its table `[engines.NAME]`."""
    engine = EngineSettings(kind="llama-server", url=wire.url, **settings)
    return TabbyLsp(remote_engine("peer", engine, KEY), wire)
