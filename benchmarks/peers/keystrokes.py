"""What a person types, key by key: the second part of real lines in real files."""

from __future__ import annotations

import inspect
import random
from dataclasses import dataclass
from importlib import import_module

# Each one file of some thousand lines, in every Python from 3.11 on.
MODULES = ("argparse", "tarfile", "configparser", "mailbox", "subprocess", "typing")
N_PLACES_PER_FILE = 4
_MIN_LINE_CHARS = 24
_MAX_TYPED_CHARS = 24
# Far enough into the file that every window of text is full.
_MIN_LINES_ABOVE = 300
_MIN_LINES_BELOW = 80


@dataclass(frozen=True, slots=True)
class Typing:
    """A place in a file, and what is typed there."""

    path: str
    above: str  # ends at the cursor
    typed: str
    below: str  # begins with the end of the cursor's line


def typings() -> list[Typing]:
    """Always the same ones, as long as the standard library is."""
    rng = random.Random("keystrokes")
    return [typing for name in MODULES for typing in _in_file(name, rng)]


def _in_file(name: str, rng: random.Random) -> list[Typing]:
    lines = inspect.getsource(import_module(name)).splitlines(keepends=True)
    numbers = range(_MIN_LINES_ABOVE, len(lines) - _MIN_LINES_BELOW)
    fit = [number for number in numbers if len(lines[number].strip()) >= _MIN_LINE_CHARS]
    return [_at(f"{name}.py", lines, number, rng) for number in rng.sample(fit, N_PLACES_PER_FILE)]


def _at(path: str, lines: list[str], number: int, rng: random.Random) -> Typing:
    line = lines[number].rstrip("\n")
    n_indent = len(line) - len(line.lstrip())
    cursor = rng.randrange(n_indent + 4, n_indent + (len(line) - n_indent) // 2 + 1)
    above = "".join(lines[:number]) + line[:cursor]
    typed = line[cursor : cursor + _MAX_TYPED_CHARS]
    return Typing(path, above, typed, "\n" + "".join(lines[number + 1 :]))
