"""Whose turn it is with a model: every window its fair share, and of a document the newest request.

Invariant: whoever was served longest ago comes first; what is only prepared ahead comes last, and
leaves as soon as somebody waits for an answer.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tabby_lsp.domain import EngineError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


# Ghost text and menu may want different answers for one place.
_MAX_OF_A_DOCUMENT = 2


class Superseded(EngineError):
    """A newer request came, or one that somebody waits for."""


@dataclass(eq=False, slots=True)
class Turn:
    """One request that wants the model."""

    window: int
    document: str  # "" where it is none
    is_ahead: bool
    task: asyncio.Task[object] | None = None
    begins: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    is_ended: bool = False  # told to leave while it ran


class Turns:
    """The queue before one model; one request has it at a time."""

    def __init__(self) -> None:
        self._waiting: list[Turn] = []
        self._running: Turn | None = None
        self._served: dict[int, int] = {}  # by window: a number that grows with each turn
        self._n_served = 0

    @property
    def n_waiting(self) -> int:
        return len(self._waiting)

    def forget(self, window: int) -> None:
        """A window has gone."""
        self._served.pop(window, None)

    @asynccontextmanager
    async def turn(self, window: int, document: str, *, is_ahead: bool) -> AsyncIterator[None]:
        """Wait for the model, and have it until this is left; raises Superseded."""
        mine = Turn(window, document, is_ahead, asyncio.current_task())
        self._supersede(mine)
        self._waiting.append(mine)
        self._next()
        try:
            await mine.begins
            yield
        except asyncio.CancelledError:
            if mine.is_ended:
                raise Superseded("Somebody waits for the model.") from None
            raise
        finally:
            self._leave(mine)

    def _supersede(self, newer: Turn) -> None:
        """Of those of one document that still wait, the oldest gives up its place.

        A window stops those that it has no more use for; this is for one that does not.
        """
        same = (newer.window, newer.document, newer.is_ahead)
        older = [
            turn
            for turn in self._waiting
            if newer.document and (turn.window, turn.document, turn.is_ahead) == same
        ]
        if len(older) >= _MAX_OF_A_DOCUMENT:
            _refuse(older[0])
        running = self._running
        if running is not None and running.is_ahead and not newer.is_ahead:
            running.is_ended = True
            if running.task is not None:
                running.task.cancel()

    def _leave(self, turn: Turn) -> None:
        if turn in self._waiting:
            self._waiting.remove(turn)
        if self._running is turn:
            self._running = None
            self._n_served += 1
            self._served[turn.window] = self._n_served
        self._next()

    def _next(self) -> None:
        waiting = [turn for turn in self._waiting if not turn.begins.done()]
        if self._running is not None or not waiting:
            return
        first = min(waiting, key=lambda turn: (turn.is_ahead, self._served.get(turn.window, 0)))
        self._waiting.remove(first)
        self._running = first
        first.begins.set_result(None)


def _refuse(turn: Turn) -> None:
    if not turn.begins.done():
        turn.begins.set_exception(Superseded("A newer request came for the same document."))
