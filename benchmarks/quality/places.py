"""Places in code where somebody types, drawn over the keys that the code takes.

Invariant: the same files and the same seed give the same places.
"""

from __future__ import annotations

import ast
import io
import keyword
import re
import tokenize
from bisect import bisect
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING, Literal

from benchmarks.quality.repositories import python_files

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Kind = Literal[
    "block", "start of line", "after a dot", "after a bracket", "in a name", "in a call", "other"
]

# So that one long file, or one package of thousands, is not most of what is measured.
_MAX_FILE_CHARS = 15_000
_MAX_REPOSITORY_CHARS = 200_000
_MAX_DRAWS = 200  # for each place
_NAME = re.compile(r"[A-Za-z_]\w{3,}")
_KEYWORDS = frozenset(keyword.kwlist)
_SKIPPED = {tokenize.COMMENT, tokenize.STRING, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT,
            tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """A cursor in a file, of whose line the rest is taken away."""

    repository: Path
    path: str  # below the repository
    line: int  # counted from 0
    column: int
    before: str  # the whole text left of the cursor
    rest: str  # what stood right of it on its line
    after: str  # the text from that line's end on
    kind: Kind
    is_cross_file: bool  # whether the rest has a name that only other files of the folder have

    @property
    def name(self) -> str:
        """By which it is found again in another run."""
        return f"{self.file}:{self.line + 1}:{self.column + 1}"

    @property
    def file(self) -> str:
        """Its file, likewise."""
        return f"{self.repository.name}/{self.path}"


@dataclass(frozen=True)
class _File:
    repository: Path
    path: str
    text: str
    others: tuple[str, ...]  # the texts of the other files in its folder

    @property
    def share(self) -> int:
        return min(len(self.text), _MAX_FILE_CHARS)

    @cached_property
    def rows(self) -> set[int]:
        return code_rows(self.text)

    @cached_property
    def names_of_others(self) -> frozenset[str]:
        return frozenset().union(*map(_names, self.others))


def draw(
    repositories: Iterable[Path], n_places: int, seed: int, *, only_cross_file: bool = False
) -> list[Place]:
    """Places of all repositories, by chance; each key that was typed is as likely as another."""
    random = Random(seed)
    files = [file for each in repositories for file in _thinned(list(_files(each)), random)]
    shares = list(accumulate(file.share for file in files))
    places: dict[str, Place] = {}
    for _ in range(_MAX_DRAWS * n_places):
        if len(places) == n_places:
            break
        file = files[bisect(shares, random.random() * shares[-1])]
        place = _place(file, random.randrange(len(file.text)))
        if place and (place.is_cross_file or not only_cross_file):
            places[place.name] = place
    return list(places.values())


def code_rows(text: str) -> set[int]:
    """Lines that hold code, and not only comments or a docstring, which starts no such line.

    Empty where the text is no Python.
    """
    try:
        ast.parse(text)
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (SyntaxError, ValueError, RecursionError, tokenize.TokenError):
        return set()
    rows = {token.start[0] - 1 for token in tokens if token.type not in _SKIPPED}
    inside = {
        row
        for token in tokens
        if token.type == tokenize.STRING
        for row in range(token.start[0], token.end[0])
    }
    return rows - inside


def kind_of(before: str, above: str) -> Kind:
    """By what stands left of the cursor on its line, and on the line above."""
    if not before.strip():
        is_deeper = len(before) > _indent(above)
        return "block" if above.rstrip().endswith(":") and is_deeper else "start of line"
    last = before[-1]
    if last == ".":
        return "after a dot"
    if last in "([{":
        return "after a bracket"
    if last.isalnum() or last == "_":
        return "in a name"
    return "in a call" if before.count("(") > before.count(")") else "other"


def _files(repository: Path) -> Iterable[_File]:
    texts = dict(python_files(repository))
    folders: dict[str, list[str]] = {}
    for path in texts:
        folders.setdefault(path.rpartition("/")[0], []).append(path)
    for path, text in texts.items():
        others = (other for other in folders[path.rpartition("/")[0]] if other != path)
        yield _File(repository, path, text, tuple(texts[other] for other in others))


def _thinned(files: list[_File], random: Random) -> list[_File]:
    random.shuffle(files)
    sums = accumulate(file.share for file in files)
    return files[: max(1, sum(n <= _MAX_REPOSITORY_CHARS for n in sums))]


def _place(file: _File, index: int) -> Place | None:
    """The cursor before this character; None where it is no key of the code's."""
    text = file.text
    start = text.rfind("\n", 0, index) + 1
    end = text.find("\n", index)
    end = len(text) if end < 0 else end
    line, row = text[start:end], text.count("\n", 0, start)
    rest = text[index:end].rstrip()
    if not rest or index - start < _indent(line) or row not in file.rows:
        return None
    before, after = text[:index], text[end:]
    lines_above = text[:start].rstrip().rpartition("\n")[2]
    begun = re.search(r"\w*$", before)
    missing = _names((begun[0] if begun else "") + rest) - _names(before) - _names(after)
    return Place(
        file.repository, file.path, row, index - start, before, rest, after,
        kind_of(text[start:index], lines_above), bool(missing & file.names_of_others),
    )  # fmt: skip


@lru_cache(maxsize=512)
def _names(text: str) -> frozenset[str]:
    return frozenset(_NAME.findall(text)) - _KEYWORDS


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
