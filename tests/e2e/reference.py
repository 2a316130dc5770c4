"""What a text is under LSP: lines, positions in three encodings and edits, in the plainest way.

Invariant: slow, obvious, and independent of the server's own document.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.wire import Json

ENCODINGS = ("utf-8", "utf-16", "utf-32")

_LINE_END = re.compile(r"\r\n|\r|\n")
_UNIT_BYTES = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}


def n_units(text: str, encoding: str) -> int:
    """How long a text is in an encoding's units; a lone surrogate counts as one code point."""
    codec, unit_bytes = _UNIT_BYTES[encoding]
    return len(text.encode(codec, "surrogatepass")) // unit_bytes


def line_spans(text: str) -> list[tuple[int, int]]:
    """Where each line begins and ends in code points, its line end left out."""
    ends = list(_LINE_END.finditer(text))
    starts = [0, *(end.end() for end in ends)]
    return list(zip(starts, [*(end.start() for end in ends), len(text)], strict=True))


def position_at(text: str, offset: int, encoding: str) -> Json:
    """The position of a code point; `offset` never stands inside a line end."""
    line, start = max(
        (line, start) for line, (start, _) in enumerate(line_spans(text)) if start <= offset
    )
    return {"line": line, "character": n_units(text[start:offset], encoding)}


def offset_at(text: str, position: Json, encoding: str) -> int:
    """The code point at a position that must exist; ValueError where it does not."""
    start, end = line_spans(text)[position["line"]]
    for offset in range(start, end + 1):
        if n_units(text[start:offset], encoding) == position["character"]:
            return offset
    raise ValueError(f"no character {position['character']} in {text[start:end]!r}")


def sha256(text: str) -> str:
    """The digest that `tabby.inspect` gives for a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def drawn(marked: str) -> tuple[str, int]:
    """A text with its cursor `║` taken out, and where it stood in code points."""
    before, after = marked.split("║")
    return before + after, len(before)
