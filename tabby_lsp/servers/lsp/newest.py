"""Newest wins: a request for a document stops the one before it.

Neovim does not cancel what it has asked, so the server has to.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from tabby_lsp.app import SUPERSEDED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Hashable

Result = TypeVar("Result")


class Newest:
    """The running request of each key; lives as long as the connection."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[object]] = {}

    async def run(self, key: Hashable, work: Awaitable[Result]) -> Result | None:
        """The result of `work`, or None when a newer call for the same key took its place.

        Raises CancelledError when somebody else cancelled the calling task.
        """
        task = asyncio.current_task()
        assert task is not None, "a request is handled in a task"
        older = self._running.get(key)
        self._running[key] = task
        if older is not None:
            older.cancel(SUPERSEDED)
        try:
            return await work
        except asyncio.CancelledError as error:
            if SUPERSEDED in error.args and task.uncancel() == 0:
                return None
            raise
        finally:
            if self._running.get(key) is task:
                del self._running[key]
