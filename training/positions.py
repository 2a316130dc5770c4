"""Where people type, and what they are about to type there.

Invariant: pure; the same generator gives the same places.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from random import Random

Kind = Literal["line", "block", "word"]

_MAX_BLOCK_LINES = 10
_CLOSERS = re.compile(r"[)\]}\"']+[:,]?$")
_WORD = re.compile(r"\w+")
# What lines of code have and lines of prose, in docstrings, as a rule do not.
_CODE = re.compile(
    r"[=(\[@:]|\w\.\w|^\s*(?:return|raise|yield|import|from|pass|else|try|break|continue)\b"
)


@dataclass(frozen=True, slots=True)
class Hole:
    """A piece of a text that is taken out: what stands there is to be written."""

    start: int
    end: int
    kind: Kind


def hole(text: str, starts: list[int], random: Random) -> Hole | None:
    """A place in one line of code; `starts` are where the text's lines begin."""
    line = random.randrange(len(starts))
    start = starts[line]
    end = text.find("\n", start)
    end = len(text) if end < 0 else end
    code = text[start:end]
    indent = len(code) - len(code.lstrip())
    is_code = _CODE.search(code) and not code.lstrip().startswith("#")
    if not code.strip() or (not is_code and random.random() < 0.8):
        return None
    if line > 0 and text[: start - 1].endswith(":") and random.random() < 0.3:
        return _block(text, starts, line, start + indent)
    cursor = start + _column(code, indent, random)
    if random.random() < 0.06:
        word = _WORD.match(text, cursor, end)
        return Hole(cursor, word.end() if word else end, "word")
    closers = _CLOSERS.search(text, cursor, end)
    if closers and closers.start() > cursor and random.random() < 0.35:
        # The editor has closed the bracket already.
        end = random.randint(closers.start(), closers.end() - 1)
    return Hole(cursor, end, "line")


def _column(code: str, indent: int, random: Random) -> int:
    """One of the line's keystrokes; its beginning, and what follows a sign, come more often."""
    chance = random.random()
    if chance < 0.25:
        return indent
    if chance < 0.4:
        signs = [m.end() for m in re.finditer(r"[.(\[=,] ?", code[indent:])]
        if signs:
            return indent + random.choice(signs)
    return random.randint(indent, len(code))


def _block(text: str, starts: list[int], line: int, start: int) -> Hole | None:
    """From here to where the indentation ends, or some lines of it."""
    indent = start - starts[line]
    end = line + 1
    while end < len(starts) and end - line <= _MAX_BLOCK_LINES:
        code = text[starts[end] : starts[end + 1] if end + 1 < len(starts) else len(text)]
        if code.strip() and len(code) - len(code.lstrip()) < indent:
            break
        end += 1
    else:
        return None
    stop = starts[end] if end < len(starts) else len(text)
    return Hole(start, start + len(text[start:stop].rstrip()), "block")
