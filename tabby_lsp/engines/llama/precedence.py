"""Who goes first on this machine's cores: completions, while a chat stands still.

Invariant: a chat that has to wait gives up the cores at its next graph node, and keeps what it has
read and said.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tabby_lsp.engines.llama.context import AbortFlag


class Precedence:
    """Shared by all the engines of a process; every method may be called on any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._n_first = 0
        self._flags: set[AbortFlag] = set()  # of those that stand still for others

    @contextmanager
    def first(self) -> Iterator[None]:
        """Everybody else stands still as long as this lasts."""
        with self._changed:
            self._n_first += 1
            for flag in self._flags:
                flag.set()
        try:
            yield
        finally:
            with self._changed:
                self._n_first -= 1
                self._changed.notify_all()

    @contextmanager
    def second(self, flag: AbortFlag) -> Iterator[None]:
        """The work that heeds `flag` stands still when somebody goes first."""
        with self._changed:
            self._flags.add(flag)
        try:
            yield
        finally:
            with self._changed:
                self._flags.discard(flag)

    def wait(self, flag: AbortFlag, is_cancelled: Callable[[], bool]) -> None:
        """Return when nobody goes first any more, with `flag` cleared, or when it is cancelled."""
        with self._changed:
            while self._n_first and not is_cancelled():
                self._changed.wait()
            flag.clear()
        if is_cancelled():
            # It may have been set for that just before it was cleared.
            flag.set()

    def wake(self) -> None:
        """Let those who wait look whether they are cancelled."""
        with self._changed:
            self._changed.notify_all()
