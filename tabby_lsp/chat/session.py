"""One answer of a chat engine, heard as it comes.

Invariant: leaving it, in whatever way, stops the engine.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabby_lsp.domain import Timings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tabby_lsp.domain import ChatEngine, ChatRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the model said."""

    text: str
    model: str
    is_whole: bool  # False where it was cut off at `max_tokens`
    timings: Timings


async def listen(engine: ChatEngine, request: ChatRequest, hear: Callable[[str], None]) -> Answer:
    """The whole answer; `hear` gets each new bit of it.

    Raises EngineError when there is none.
    """
    parts: list[str] = []
    finish, timings = "", Timings()
    async with aclosing(engine.chat(request)) as pieces:
        async for piece in pieces:
            # Blanks before the first word are of nobody's making.
            text = piece.text if parts else piece.text.lstrip()
            if text:
                parts.append(text)
                hear(text)
            finish, timings = piece.finish, piece.timings
    text = "".join(parts).rstrip()
    return Answer(
        text=text, model=engine.status.model, is_whole=finish != "length", timings=timings
    )
