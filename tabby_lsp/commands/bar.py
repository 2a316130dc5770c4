"""A bar of progress on standard error, and lines where nobody looks at a terminal."""

from __future__ import annotations

import shutil
import sys
from typing import Self

from tqdm import tqdm


class Bar:
    """Shows one thing at a time; leaving it ends the bar."""

    def __init__(self) -> None:
        self._what = ""
        self._bar: tqdm[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def say(self, text: str) -> None:
        """A line of text, above the bar."""
        self._end()
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def step(self, what: str, done_bytes: int, size_bytes: int) -> None:
        """How much of `what` is done; `size_bytes` 0 where that is not known."""
        if what != self._what:
            self._begin(what, done_bytes, size_bytes)
        if self._bar is not None:
            self._bar.total = size_bytes or None
            self._bar.update(done_bytes - self._bar.n)

    def _begin(self, what: str, done_bytes: int, size_bytes: int) -> None:
        self._end()
        self._what = what
        if not sys.stderr.isatty():
            self.say(what)
            self._what = what
            return
        # tqdm shows nothing in a terminal that does not know its size.
        columns, lines = shutil.get_terminal_size()
        # What is there already is no speed.
        self._bar = tqdm(
            desc=what,
            total=size_bytes or None,
            initial=done_bytes,
            unit="B",
            unit_scale=True,
            file=sys.stderr,
            leave=False,
            ncols=columns,
            nrows=lines,
        )

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._what, self._bar = "", None
