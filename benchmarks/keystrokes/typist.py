"""Makes traces: how somebody would have typed some lines of real files. Pure.

Lines come one after the other, with brackets and quotes that the editor closes, newlines that it
indents, slips and second thoughts; between them the typist goes to other places and other files,
and now and then takes what is suggested.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.keystrokes.trace import (
    Back,
    Follow,
    How,
    Key,
    Move,
    Open,
    Over,
    Source,
    Trace,
    Type,
    digest,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CLOSERS = {"(": ")", "[": "]", "{": "}"}
_QUOTES = "\"'"
_INDENT = "    "
_SLIPS = "etaoinsrhl"

_MAX_CUT_LINES = 5
_FEWEST_KEYS = 24  # in one place
# So far apart that going from one to the next is a jump, and each window of text is another one.
_MIN_LINES_BETWEEN = 40
_KEYS_PER_DOCUMENT = 150
_MAX_DOCUMENTS = 8

# Of each key. A typist deletes about one key in fifteen (136 million keystrokes, Dhakal 2018).
_P_SLIP = 0.02
_P_SECOND_THOUGHT = 0.015
_P_FOLLOW = 0.04
_HOWS: tuple[How, ...] = ("type", "type", "word", "line", "all")


@dataclass(slots=True)
class _Region:
    """Lines that are left out, and how many of them have been typed."""

    first: int
    behind: int
    n_typed: int = 0

    @property
    def n_left(self) -> int:
        return self.behind - self.first - self.n_typed


def type_files(files: Sequence[tuple[str, str]], n_keystrokes: int, seed: int) -> Trace:
    """About so many keys, drawn from files given as path and text.

    Raises ValueError where no file has lines to type.
    """
    rng = random.Random(seed)
    plain = [(path, text) for path, text in files if "\r" not in text]
    n_documents = max(2, min(_MAX_DOCUMENTS, n_keystrokes // _KEYS_PER_DOCUMENT))
    n_documents = min(n_documents, len(plain))
    drawn = _with_regions(rng.sample(plain, len(plain)), n_documents, n_keystrokes, rng)
    if not drawn:
        raise ValueError("none of these files has lines to type: name larger ones")
    sources = tuple(
        Source(path, digest(text), tuple((region.first, region.behind) for region in regions))
        for path, text, regions in drawn
    )
    lines = [text.split("\n") for _, text, _ in drawn]
    keys = tuple(_keys(lines, [regions for *_, regions in drawn], rng))
    return Trace(seed, sources, keys)


def _with_regions(
    files: Sequence[tuple[str, str]], n_documents: int, n_keystrokes: int, rng: random.Random
) -> list[tuple[str, str, list[_Region]]]:
    """Files with regions until there is enough to type, and at least two regions each."""
    found: list[tuple[str, str, list[_Region]]] = []
    n_left = n_keystrokes
    for path, text in files:
        if n_left <= 0:
            break
        n_wanted = n_left // max(1, n_documents - len(found)) + 1
        regions, n_keys = _regions(text.split("\n"), n_wanted, rng)
        if regions:
            found.append((path, text, regions))
            n_left -= n_keys
    return found


def _regions(lines: Sequence[str], n_wanted: int, rng: random.Random) -> tuple[list[_Region], int]:
    """Places in a file, in order, and about how many keys they are."""
    found: list[_Region] = []
    n_keys = 0
    starts = range(1, len(lines) - _MAX_CUT_LINES)
    for first in rng.sample(starts, len(starts)):
        if n_keys >= n_wanted:
            break
        n_left = max(n_wanted - n_keys, _FEWEST_KEYS)
        n_lines = rng.randint(1, max(1, min(_MAX_CUT_LINES, n_left // _FEWEST_KEYS)))
        region = _Region(first, first + n_lines)
        cut = lines[region.first : region.behind]
        is_apart = all(
            abs(first - other.first) >= _MIN_LINES_BETWEEN + _MAX_CUT_LINES for other in found
        )
        n_keys_here = sum(len(line.strip()) + 1 for line in cut)
        if is_apart and cut[0].strip() and n_keys_here <= n_left + _FEWEST_KEYS // 2:
            found.append(region)
            n_keys += n_keys_here
    return sorted(found, key=lambda region: region.first), n_keys


def _keys(
    lines: Sequence[Sequence[str]], regions: Sequence[list[_Region]], rng: random.Random
) -> Iterator[Key]:
    """All lines of all regions, some at a time."""
    waiting = [number for number, of_file in enumerate(regions) if of_file]
    opened = -1
    cursors: dict[int, _Region] = {}  # where each document's cursor was left
    while waiting:
        document = rng.choice(waiting)
        if document != opened:
            yield Open(document)
            opened = document
        for _ in range(rng.randint(1, 3)):
            open_regions = [region for region in regions[document] if region.n_left]
            if not open_regions:
                break
            region = rng.choice(open_regions)
            if cursors.get(document) is not region:
                yield _to_end_of(region, lines[document], regions[document])
                cursors[document] = region
            for _ in range(min(region.n_left, rng.randint(2, 4))):
                yield from _line(lines[document], region.first + region.n_typed, rng)
                region.n_typed += 1
        waiting = [number for number in waiting if any(r.n_left for r in regions[number])]


def _to_end_of(region: _Region, lines: Sequence[str], regions: Sequence[_Region]) -> Move:
    """Behind what stands before the next line of a region."""
    number = region.first + region.n_typed - 1
    n_missing = sum(other.n_left for other in regions if other.first < region.first)
    return Move(number - n_missing, len(lines[number]))


def _line(lines: Sequence[str], number: int, rng: random.Random) -> Iterator[Key]:
    """One line, from the newline that begins it."""
    line = lines[number]
    if not line.strip():
        yield Type("\n" + line)
        return
    indent = line[: len(line) - len(line.lstrip())]
    above = next((other for other in reversed(lines[:number]) if other.strip()), "")
    yield from _indented(_indent_below(above), indent)
    yield from _typed(line[len(indent) :], rng)


def _indent_below(above: str) -> str:
    """What an editor indents the next line by."""
    indent = above[: len(above) - len(above.lstrip())]
    return indent + (_INDENT if above.rstrip().endswith((":", *_CLOSERS)) else "")


def _indented(by_editor: str, wanted: str) -> Iterator[Key]:
    yield Type("\n" + by_editor)
    if not wanted.startswith(by_editor):
        kept = by_editor if by_editor.startswith(wanted) else ""
        n_kept = len(wanted) if kept else 0
        yield Back(len(by_editor) - n_kept)
        by_editor = by_editor[:n_kept]
    if wanted != by_editor:
        yield Type(wanted[len(by_editor) :])


def _typed(text: str, rng: random.Random) -> Iterator[Key]:
    closer_at = _pairs(text)
    closers = set(closer_at.values())
    n_plain = 0  # how much was typed since the last bracket: only that is taken back
    for index, char in enumerate(text):
        if rng.random() < _P_SLIP:
            yield Type(rng.choice(_SLIPS))
            yield Back()
        if index in closers:
            yield Over()
            n_plain = 0
        elif index in closer_at:
            yield Type(char, closer=text[closer_at[index]])
            n_plain = 0
        else:
            yield Type(char)
            n_plain = n_plain + 1
        if n_plain > 2 and rng.random() < _P_SECOND_THOUGHT:
            n_back = rng.randint(2, min(n_plain, 5))
            yield from (Back() for _ in range(n_back))
            yield from (Type(again) for again in text[index + 1 - n_back : index + 1])
        if rng.random() < _P_FOLLOW:
            yield Follow(rng.choice(_HOWS))


def _pairs(text: str) -> dict[int, int]:
    """Where brackets and quotes open that close on the same line, and where they close."""
    found: dict[int, int] = {}
    stack: list[int] = []
    for index, char in enumerate(text):
        top = text[stack[-1]] if stack else ""
        if top in _QUOTES and top:
            if char == top:
                found[stack.pop()] = index
        elif char in _QUOTES or char in _CLOSERS:
            stack.append(index)
        elif top and _CLOSERS[top] == char:
            found[stack.pop()] = index
    return found
