"""One completion or one answer of an engine, to see that it does what it should."""

from __future__ import annotations

import time
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tabby_lsp.domain import ChatMessage, ChatRequest, GenerationRequest, Segments

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tabby_lsp.domain import ChatEngine, Engine, Piece

_SEGMENTS = Segments(
    prefix="def add(a, b):\n    return ", suffix="\n", path="add.py", language="python"
)
_QUESTION = "Say hello in one word."
_MAX_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Trial:
    """What an engine said, and how long it took."""

    said: str
    load_ms: float
    answer_ms: float

    def __str__(self) -> str:
        return f"`{self.said}` in {self.answer_ms:.0f} ms"


async def tried(engine: Engine) -> Trial:
    """Have one line completed, and close the engine; raises EngineError."""
    asked = GenerationRequest(_SEGMENTS, _MAX_TOKENS, ("\n",))
    trial = await _timed(engine, lambda: engine.complete(asked))
    return replace(trial, said=f"return {trial.said}")


async def talked(engine: ChatEngine) -> Trial:
    """Have one question answered, and close the engine; raises EngineError."""
    asked = ChatRequest(messages=(ChatMessage("user", _QUESTION),), max_tokens=_MAX_TOKENS)
    trial = await _timed(engine, lambda: engine.chat(asked))
    return replace(trial, said=" ".join(trial.said.split()))


async def _timed(
    engine: Engine | ChatEngine, ask: Callable[[], AsyncGenerator[Piece, None]]
) -> Trial:
    try:
        started_s = time.perf_counter()
        await engine.load()
        loaded_s = time.perf_counter()
        said = ""
        async with aclosing(ask()) as pieces:
            async for piece in pieces:
                said += piece.text
        answered_s = time.perf_counter()
    finally:
        await engine.close()
    return Trial(said, (loaded_s - started_s) * 1000, (answered_s - loaded_s) * 1000)
