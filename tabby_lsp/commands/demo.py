"""`tabby-lsp demo`: the real language server completes real code, key by key, in the terminal."""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tabby_lsp.commands.editor import Editor, Suggestion

if TYPE_CHECKING:
    from collections.abc import Sequence

# What is typed. Nothing of it is prepared for the model: it sees each key for the first time, and a
# suggestion that does not fit is shown like any other.
PROGRAM = '''\
"""A shelf of books that is kept in a file."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Book:
    title: str
    author: str
    year: int


class Shelf:
    def __init__(self, path):
        self.path = path
        self.books = []

    def add(self, book):
        self.books.append(book)

    def remove(self, book):
        self.books.remove(book)

    def find(self, title):
        for book in self.books:
            if book.title == title:
                return book
        return None

    def __len__(self):
        return len(self.books)

    def __iter__(self):
        return iter(self.books)
'''
# The part that stands there when the demonstration begins.
_GIVEN = PROGRAM.index("class Shelf")

_DIM, _INVERSE, _BOLD, _RESET = "\x1b[2m", "\x1b[7m", "\x1b[1m", "\x1b[0m"
_CLEAR = "\x1b[H\x1b[J"
_N_LINES_SHOWN = 22
_KEY_PAUSE_S = 0.03
_LOOK_PAUSE_S = 0.6
_MIN_ACCEPTED_CHARS = 3


@dataclass(slots=True)
class _Tally:
    n_keys: int = 0
    n_accepted: int = 0
    n_accepted_chars: int = 0
    waits_ms: list[float] = field(default_factory=list)
    n_evaluated: list[int] = field(default_factory=list)

    def count(self, suggestion: Suggestion) -> None:
        self.waits_ms.append(suggestion.wait_ms)
        self.n_evaluated.append(suggestion.decision["timings"]["n_evaluated_tokens"])


def demo(server_arguments: Sequence[str]) -> int:
    """Type a program into a real server and draw what it suggests; the exit status."""
    is_terminal = sys.stdout.isatty()
    tally = _Tally()
    try:
        with Editor(server_arguments, "shelf.py") as editor:
            started_s = time.perf_counter()
            editor.open(PROGRAM[:_GIVEN])
            engine = editor.engine()
            if engine["state"] in ("failed", "away"):
                sys.stderr.write(f"tabby-lsp demo: {engine['message']}\n")
                return 1
            load_ms = (time.perf_counter() - started_s) * 1000
            where = "asked on its server" if engine["is_remote"] else "everything on this machine"
            _write(f"model {engine['model']}, ready in {load_ms:.0f} ms, {where}\n")
            _type(editor, tally, is_terminal)
    except RuntimeError as error:
        sys.stderr.write(f"tabby-lsp demo: {error}\n")
        return 1
    except KeyboardInterrupt:
        _write("\n")
    _write(_summary(tally))
    return 0


def _type(editor: Editor, tally: _Tally, is_terminal: bool) -> None:
    while len(editor.text) < len(PROGRAM):
        ahead = PROGRAM[len(editor.text) :]
        editor.insert(ahead[0])
        tally.n_keys += 1
        if ahead[0] in " \n" or len(ahead) == 1:
            continue
        suggestion = editor.suggestion()
        tally.count(suggestion)
        is_right = _is_right(suggestion.text, ahead[1:])
        if is_terminal:
            _draw(editor.text, suggestion, tally)
            time.sleep(_LOOK_PAUSE_S if is_right else _KEY_PAUSE_S)
        if is_right:
            _print_line(editor.text, suggestion, is_terminal)
            editor.insert(suggestion.text)
            tally.n_keys += 1
            tally.n_accepted += 1
            tally.n_accepted_chars += len(suggestion.text)


def _is_right(text: str, ahead: str) -> bool:
    """Whether somebody who wants to write `ahead` would press Tab now."""
    ends_there = ahead[len(text) : len(text) + 1] in ("", "\n")
    return len(text) >= _MIN_ACCEPTED_CHARS and ahead.startswith(text) and ends_there


def _draw(text: str, suggestion: Suggestion, tally: _Tally) -> None:
    lines = text.split("\n")[-_N_LINES_SHOWN:]
    first, *others = suggestion.text.split("\n")
    timings = suggestion.decision["timings"]
    status = (
        f" {suggestion.wait_ms:5.1f} ms   evaluated {timings['n_evaluated_tokens']:3}   reused "
        f"{timings['n_reused_tokens']:4}   generated {timings['n_generated_tokens']:2}   "
        f"{suggestion.decision['reason']:<16} keys {tally.n_keys}, accepted {tally.n_accepted} "
    )
    below = "".join(f"\n{_DIM}{line}{_RESET}" for line in others)
    code = "\n".join(lines)
    _write(f"{_CLEAR}{code}{_DIM}{first}{_RESET}{below}\n\n{_INVERSE}{status}{_RESET}\n")


def _print_line(text: str, suggestion: Suggestion, is_terminal: bool) -> None:
    """Where nothing can be drawn, each accepted suggestion on a line of its own."""
    if not is_terminal:
        typed = text.rpartition("\n")[2]
        shown = suggestion.text.replace("\n", "\\n")
        evaluated = suggestion.decision["timings"]["n_evaluated_tokens"]
        _write(f"{suggestion.wait_ms:6.1f} ms  {evaluated:3} tokens read  {typed}[{shown}]\n")


def _summary(tally: _Tally) -> str:
    if not tally.waits_ms:
        return "nothing was typed\n"
    n_typed = tally.n_keys
    n_written = n_typed - tally.n_accepted + tally.n_accepted_chars
    return (
        f"{n_written} characters written with {n_typed} keys: {tally.n_accepted} suggestions "
        f"taken, {1 - n_typed / n_written:.0%} of the keys saved.\n"
        f"From key to suggestion: median {statistics.median(tally.waits_ms):.1f} ms; prompt tokens "
        f"evaluated per key: median {statistics.median(tally.n_evaluated):.0f}.\n"
        "Next: point your editor at `tabby-lsp` (docs/editors/), or try "
        "`tabby-lsp complete FILE:LINE:COL`.\n"
    )


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
