"""One completion of an engine, to see that it does what it should."""

from __future__ import annotations

import time
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabby_lsp.domain import GenerationRequest, Segments

if TYPE_CHECKING:
    from tabby_lsp.domain import Engine

_SEGMENTS = Segments(
    prefix="def add(a, b):\n    return ", suffix="\n", path="add.py", language="python"
)
_MAX_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Trial:
    """What an engine said, and how long it took."""

    text: str
    load_ms: float
    answer_ms: float

    def __str__(self) -> str:
        return f"`return {self.text}` in {self.answer_ms:.0f} ms"


async def tried(engine: Engine) -> Trial:
    """Have one line completed, and close the engine; raises EngineError."""
    try:
        started_s = time.perf_counter()
        await engine.load()
        loaded_s = time.perf_counter()
        text = ""
        asked = GenerationRequest(_SEGMENTS, _MAX_TOKENS, ("\n",))
        async with aclosing(engine.complete(asked)) as pieces:
            async for piece in pieces:
                text += piece.text
        answered_s = time.perf_counter()
    finally:
        await engine.close()
    return Trial(text, (loaded_s - started_s) * 1000, (answered_s - loaded_s) * 1000)
