"""Prepares the next answer while somebody looks at the last one.

Invariant: at most one at a time, ended by the first request that does not lead to it; whoever asks
goes before it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from tabby_lsp.completion.pipeline import GaveWayError
from tabby_lsp.completion.place import typed_since
from tabby_lsp.documents import canonical_uri
from tabby_lsp.domain import EngineError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tabby_lsp.completion.place import Place

logger = logging.getLogger(__name__)

# The keys of a roll, a macro or a fast typist come within this, and nothing was begun in vain;
# somebody who accepts has to read first, which takes several times as long.
PAUSE_S = 0.05


class Ahead:
    """Lives as long as the app."""

    def __init__(self) -> None:
        self._place: Place | None = None  # for which an answer is prepared
        self._task: asyncio.Task[None] | None = None

    def begin(self, place: Place, prepare: Callable[[], Awaitable[object]]) -> None:
        """Have an answer prepared in a moment, and nothing else any more."""
        if self._task is not None and not self._task.done() and place == self._place:
            return
        self.end()
        self._place = place
        self._task = asyncio.ensure_future(_after_a_pause(prepare))

    def heed(self, place: Place) -> None:
        """Somebody asks for a place: what is not on the way from there is ended."""
        if self._place is not None and next(typed_since(place, self._place), None) is None:
            self.end()

    def end(self, uri: str | None = None) -> None:
        """End what is prepared, in the document with this canonical uri, or in any."""
        if self._place is not None and uri in (None, canonical_uri(self._place.uri)):
            self._place = None
            if self._task is not None:
                self._task.cancel()


async def _after_a_pause(prepare: Callable[[], Awaitable[object]]) -> None:
    await asyncio.sleep(PAUSE_S)
    try:
        await prepare()
    except (EngineError, GaveWayError) as error:
        # Nobody has asked, so nobody is told.
        logger.debug("nothing was prepared: %s", error)
    except Exception:
        logger.exception("nothing was prepared: a fault of tabby-lsp itself")
