"""The engine by itself, in this process: its time over the floor, and how soon it lets go."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.keystrokes.figures import percentile
from benchmarks.keystrokes.floor import Raw
from tabby_lsp.config import LocalSettings
from tabby_lsp.domain import GenerationRequest, Segments, Timings
from tabby_lsp.engines.llama.engine import LlamaEngine
from tabby_lsp.engines.llama.precedence import Precedence
from tabby_lsp.models.families import fim_of
from tabby_lsp.models.gguf import read_header

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.keystrokes.comparison import Subject

_N_DOCUMENTS = 4
_N_KEYS = 12
_N_TOKENS = 8
_PREFIX_CHARS, _SUFFIX_CHARS = 1_600, 500
_N_CANCELLED = 60
_LATEST_CANCEL_MS = 300


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """Of one model."""

    prefill_per_s: float  # tokens, by llama.cpp alone
    decode_per_s: float
    over_floor: float  # the engine's time by llama.cpp's for the same tokens, four documents open
    cancel_ms_p50: float  # from the cancelling to an engine that does the next thing
    cancel_ms_p99: float


async def engine_figures(
    model: Subject, n_threads: int, texts: Sequence[str], seed: int
) -> EngineFigures:
    """`texts` are at least four files' texts."""
    header = read_header(model.path)
    settings = LocalSettings(n_threads=n_threads, n_ctx=model.n_ctx)
    engine = LlamaEngine(model.name, header, fim_of(header), settings, Precedence())
    try:
        await engine.load()
        with Raw(model.path, model.n_ctx, n_threads) as raw:
            over_floor = await _over_floor(engine, raw, texts)
            rates = raw.tokens_per_s()
        waits_ms = await _cancelled(engine, texts, random.Random(seed))
    finally:
        await engine.close()
    return EngineFigures(*rates, over_floor, percentile(waits_ms, 0.5), percentile(waits_ms, 0.99))


async def _over_floor(engine: LlamaEngine, raw: Raw, texts: Sequence[str]) -> float:
    """Sums of what keys in the middle of a line take, in each of four open documents.

    Both by turns, for all the keys in a document, so that each finds in the processor's caches what
    it has left there.
    """
    documents = [(f"{number}.py", text) for number, text in enumerate(texts[:_N_DOCUMENTS])]
    for path, text in documents:
        await _answer(engine, _request(path, text, len(text) // 2))
    engine_ms = floor_ms = 0.0
    for path, text in documents:
        start = len(text) // 2
        await _answer(engine, _request(path, text, start))  # comes back from where it was parked
        answers = []
        for n_typed in range(1, _N_KEYS + 1):
            request = _request(path, text, start, n_typed)
            started_s = time.perf_counter()
            answers.append(await _answer(engine, request))
            engine_ms += (time.perf_counter() - started_s) * 1_000
        floor_ms += raw.answers_ms(
            [
                (each.n_reused_tokens, each.n_evaluated_tokens, each.n_generated_tokens)
                for each in answers
            ]
        )
    return engine_ms / floor_ms


async def _cancelled(engine: LlamaEngine, texts: Sequence[str], rng: random.Random) -> list[float]:
    """Requests for new places, given up at any moment from the first on."""
    waits_ms = []
    text = "\n".join(texts)
    whole_ms = await _elapsed_ms(engine, _request("cancelled.py", text, _PREFIX_CHARS))
    latest_ms = min(whole_ms, _LATEST_CANCEL_MS)
    for _ in range(_N_CANCELLED):
        request = _request("cancelled.py", text, rng.randrange(_PREFIX_CHARS, len(text)))
        running = asyncio.ensure_future(_answer(engine, request))
        await asyncio.sleep(rng.uniform(0, latest_ms) / 1_000)
        if running.done():
            continue
        started_s = time.perf_counter()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await engine.encode("x", controls=False, bos=False)  # its thread is free again
        waits_ms.append((time.perf_counter() - started_s) * 1_000)
    return waits_ms


def _request(path: str, text: str, cursor: int, n_typed: int = 0) -> GenerationRequest:
    """At a cursor, behind so many characters that somebody types there."""
    segments = Segments(
        prefix=text[max(0, cursor - _PREFIX_CHARS) : cursor + n_typed],
        suffix="\n" + text[cursor + _N_KEYS : cursor + _N_KEYS + _SUFFIX_CHARS],
        path=path,
        repository="benchmark",
        language="python",
    )
    return GenerationRequest(segments, _N_TOKENS, document=path)


async def _answer(engine: LlamaEngine, request: GenerationRequest) -> Timings:
    timings = Timings()
    async with aclosing(engine.complete(request)) as pieces:
        async for piece in pieces:
            timings = piece.timings
    return timings


async def _elapsed_ms(engine: LlamaEngine, request: GenerationRequest) -> float:
    started_s = time.perf_counter()
    await _answer(engine, request)
    return (time.perf_counter() - started_s) * 1_000
