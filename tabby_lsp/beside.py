"""What the files beside a document say to a place in it; they are read when it is opened.

Invariant: while the cursor stays near a place, what is said there stays the same, since a change of
it makes the engine read the whole prompt again; at most one document's files are read ahead.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabby_lsp.completion.pipeline import Gathered
from tabby_lsp.completion.snippets import SourceText
from tabby_lsp.documents import canonical_uri
from tabby_lsp.index.neighbours import Neighbours
from tabby_lsp.request import gathered_from, query_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tabby_lsp.config import ContextSettings
    from tabby_lsp.request import Ask

    # The question and the settings; None where nothing is to be read.
    Opened = Callable[[], tuple[Ask, ContextSettings] | None]

logger = logging.getLogger(__name__)

# Copilot gives its context providers as long; what has not come by then comes with the next
# request.
_TIMEOUT_S = 0.15
# How far the cursor goes before something else is looked for.
_STICKY_LINES = 12
# An editor that starts opens many documents at once, and shows the last one.
_OPENED_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class _Said:
    line: int  # at which that was
    context: ContextSettings
    gathered: Gathered


class Beside:
    """Lives as long as the app."""

    def __init__(self) -> None:
        self.neighbours = Neighbours()
        self._sticky: dict[str, _Said] = {}  # by the uri
        self._opened: Opened | None = None  # the latest, until it is read round
        self._ahead: asyncio.Task[None] | None = None

    async def of(self, ask: Ask, context: ContextSettings) -> Gathered:
        """What is said to a place; nothing of what is not read in time."""
        uri = canonical_uri(ask.uri)
        said = self._sticky.get(uri)
        if said and said.context == context and abs(ask.line - said.line) <= _STICKY_LINES:
            return said.gathered
        self._opened = None
        gathered, is_complete = await self._look(ask, context, _TIMEOUT_S)
        if is_complete:
            self._sticky[uri] = _Said(ask.line, context, gathered)
        return gathered

    def opened(self, opened: Opened) -> None:
        """Read round a document in a moment; `opened` says then what will be asked in it."""
        self._opened = opened
        if self._ahead is None or self._ahead.done():
            self._ahead = asyncio.ensure_future(self._look_ahead())

    def closed(self, uri: str) -> None:
        """A document is no longer open; `uri` is its canonical one."""
        self._sticky.pop(uri, None)

    def end(self) -> None:
        """Nothing more is read ahead."""
        self._opened = None
        if self._ahead is not None:
            self._ahead.cancel()

    async def _look(
        self, ask: Ask, context: ContextSettings, wait_s: float | None
    ) -> tuple[Gathered, bool]:
        """What is said to a place, and whether all was read in time."""
        if not context.snippets or ask.path is None or ask.root is None:
            return Gathered(), True
        found = await self.neighbours.around(ask.path, ask.root, ask.language, ask.others, wait_s)
        candidates = [SourceText(name, texts) for name, texts in found.files]
        gathered = await asyncio.to_thread(gathered_from, candidates, query_of(ask), context)
        return gathered, found.is_complete

    async def _look_ahead(self) -> None:
        """One after the other: a disk that does not answer holds up nobody who asks."""
        while self._opened is not None:
            await asyncio.sleep(_OPENED_PAUSE_S)
            opened, self._opened = self._opened, None
            try:
                if opened is not None and (wanted := opened()) is not None:
                    await self._look(*wanted, wait_s=None)
            except Exception:
                logger.exception("nothing was read ahead: a fault of tabby-lsp itself")
