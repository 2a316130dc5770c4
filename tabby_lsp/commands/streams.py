"""Standard input, output and error as a command finds them: closed, full, or without an alphabet.

Invariant: 0, 1 and 2 are never the numbers of a file of ours, into which a library would write.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class OutputUnusable(Exception):
    """Standard output takes nothing; the text is the sentence to say."""


def fill_gaps() -> None:
    """Put the null device where a standard stream is closed; the next file would come there."""
    while (file := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(file)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")


def prepare_output() -> None:
    """Make standard output one that spells everything, and that says why it cannot."""
    if sys.stdout is None:
        sys.stdout = _Closed(io.BytesIO())
    elif type(sys.stdout) is io.TextIOWrapper:
        old = sys.stdout
        how = (old.encoding, "backslashreplace", None, old.line_buffering, old.write_through)
        sys.stdout = _Output(old.detach(), *how)
    elif isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def give_up_output() -> None:
    """Throw away what could not be written; Python would complain of it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


class _Output(io.TextIOWrapper):
    """Standard output; a reader that has gone stays a BrokenPipeError."""

    def write(self, text: str, /) -> int:
        with _told():
            return super().write(text)

    def flush(self) -> None:
        with _told():
            super().flush()


class _Closed(io.TextIOWrapper):
    def write(self, text: str, /) -> int:
        raise OutputUnusable("standard output cannot be written: it is closed")


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        message = f"standard output cannot be written: {error.strerror or error}"
        raise OutputUnusable(message) from error
