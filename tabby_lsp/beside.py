"""What the files beside a document say to a place in it; they are read when it is opened.

Invariant: while the cursor stays near a place, what is said there stays the same, since a change of
it makes the engine read the whole prompt again; at most one document's files are read ahead.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from tabby_lsp.completion.pipeline import Gathered
from tabby_lsp.completion.snippets import SourceText
from tabby_lsp.documents import canonical_uri
from tabby_lsp.index.neighbours import Neighbours
from tabby_lsp.request import gathered_from, query_of

if TYPE_CHECKING:
    from tabby_lsp.config import ContextSettings
    from tabby_lsp.request import Ask

logger = logging.getLogger(__name__)

# Copilot gives its context providers as long; what has not come by then comes with the next
# request.
_TIMEOUT_S = 0.15
# How far the cursor goes before something else is looked for.
_STICKY_LINES = 12
# An editor that starts opens many documents at once, and shows the last one.
_OPENED_PAUSE_S = 0.05
# A disk that has not answered by then may never.
_OPENED_TIMEOUT_S = 10.0


class Beside:
    """Lives as long as the app."""

    def __init__(self) -> None:
        self.neighbours = Neighbours()
        self._sticky: dict[str, tuple[int, Gathered]] = {}  # the line and what, by the uri
        self._ahead: asyncio.Task[None] | None = None

    async def of(self, ask: Ask, context: ContextSettings) -> Gathered:
        """What is said to a place; nothing of what is not read in time."""
        uri = canonical_uri(ask.uri)
        line, gathered = self._sticky.get(uri, (None, Gathered()))
        if line is not None and abs(ask.line - line) <= _STICKY_LINES:
            return gathered
        self.end()
        gathered, is_complete = await self._look(ask, context, _TIMEOUT_S)
        if is_complete:
            self._sticky[uri] = (ask.line, gathered)
        return gathered

    def opened(self, ask: Ask, context: ContextSettings) -> None:
        """A document was opened, in which somebody will ask: the first key is not to wait."""
        self.end()
        self._ahead = asyncio.ensure_future(self._look_ahead(ask, context))

    def closed(self, uri: str) -> None:
        """A document is no longer open; `uri` is its canonical one."""
        self._sticky.pop(uri, None)

    def forget(self) -> None:
        """Other settings hold now."""
        self._sticky.clear()

    def end(self) -> None:
        """Nothing more is read ahead."""
        if self._ahead is not None:
            self._ahead.cancel()

    async def _look(
        self, ask: Ask, context: ContextSettings, wait_s: float
    ) -> tuple[Gathered, bool]:
        """What is said to a place, and whether all was read in time."""
        if not context.snippets or ask.path is None or ask.root is None:
            return Gathered(), True
        found = await self.neighbours.around(ask.path, ask.root, ask.language, ask.others, wait_s)
        candidates = [SourceText(name, texts) for name, texts in found.files]
        gathered = await asyncio.to_thread(gathered_from, candidates, query_of(ask), context)
        return gathered, found.is_complete

    async def _look_ahead(self, ask: Ask, context: ContextSettings) -> None:
        await asyncio.sleep(_OPENED_PAUSE_S)
        try:
            await self._look(ask, context, _OPENED_TIMEOUT_S)
        except Exception:
            logger.exception("nothing was read ahead: a fault of tabby-lsp itself")
