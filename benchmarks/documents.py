"""What one typed character costs in a very large document, beside pygls' own `TextDocument`.

Run: `python -m benchmarks.documents`
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.workspace import TextDocument

from tabby_lsp.documents import Change, Document, Position

if TYPE_CHECKING:
    from collections.abc import Callable

N_EDITS = 300
N_EDITS_OF_PYGLS = 15  # it needs up to seconds for one

MANY_LINES_CHARS = 5_000_000
ONE_LINE_CHARS = 1_000_000
ASCII_LINE = "    result = compute(first, second)  # a line\n"
OTHER_LINE = "    größe = 計算(first, second)  # \N{GRINNING FACE} one\n"


def main() -> None:
    """Print a line per document: medians and 99th percentiles in milliseconds, and the ratio."""
    print(f"{'one character typed (UTF-16)':32} {'tabby-lsp':>17} {'pygls':>19} {'medians':>9}")
    print(f"{'':32} {'p50':>8} {'p99':>8} {'p50':>10} {'p99':>8} {'ratio':>9}   ms")
    for name, line in (("ASCII", ASCII_LINE), ("CJK and emoji", OTHER_LINE)):
        measure(f"5 million characters, {name}", repeated(line, MANY_LINES_CHARS))
        measure(f"1 million in one line, {name}", repeated(line.rstrip("\n"), ONE_LINE_CHARS))


def repeated(line: str, n_chars: int) -> str:
    """Fill `n_chars` with copies of a line."""
    return line * (n_chars // len(line))


def measure(name: str, text: str) -> None:
    """Type into both documents at the same random places, and print what it took."""
    ours = Document("file:///x.py", "python", 0, text, "utf-16")
    theirs = TextDocument("file:///x.py", text, 0, "python")
    places = random_places(ours, N_EDITS)

    def type_in_ours(place: Position) -> None:
        ours.apply(ours.version + 1, [Change("x", place, place)])
        ours.around(place, 4_000, 1_000)  # what the completion that follows reads

    def type_in_theirs(place: Position) -> None:
        # Positions of its own for both ends, since pygls writes into them.
        start, end = (types.Position(place.line, place.character) for _ in range(2))
        theirs.apply_change(types.TextDocumentContentChangePartial(types.Range(start, end), "x"))

    our_ms = timings_ms(type_in_ours, places)
    their_ms = timings_ms(type_in_theirs, places[:N_EDITS_OF_PYGLS])
    figures = (*percentiles(our_ms), *percentiles(their_ms))
    ratio = figures[2] / figures[0]
    print("{:32} {:8.3f} {:8.3f} {:10.1f} {:8.1f} {:9,.0f}".format(name, *figures, ratio))


def random_places(document: Document, n_places: int) -> list[Position]:
    """Draw places, always the same ones, from the whole document."""
    rng = random.Random(0)
    n_lines = document.n_lines
    n_columns = document.clamp(Position(0, 2**31 - 1)).character
    drawn = (Position(rng.randrange(n_lines), rng.randrange(n_columns)) for _ in range(n_places))
    return [document.clamp(place) for place in drawn]


def timings_ms(edit: Callable[[Position], None], places: list[Position]) -> list[float]:
    """Measure each edit for itself."""
    timings = []
    for place in places:
        start = time.perf_counter()
        edit(place)
        timings.append((time.perf_counter() - start) * 1_000)
    return timings


def percentiles(timings: list[float]) -> tuple[float, float]:
    """Give the median and the 99th percentile, which of few values is the largest."""
    ordered = sorted(timings)
    return ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]


if __name__ == "__main__":
    main()
