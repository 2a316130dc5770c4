"""Finds the pieces of code that a question in plain words is about. Pure.

Rare words count for more than common ones (BM25), since a question has few words and most of them
stand everywhere; the likeness of texts by which completion chooses would find next to nothing.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING

from tabby_lsp.domain import Snippet

if TYPE_CHECKING:
    from collections.abc import Sequence

# A file's path below its folder, and its text in pieces.
File = tuple[str, tuple[str, ...]]

# Robertson's and Zaragoza's usual values.
_K1, _B = 1.2, 0.75
_MAX_PER_FILE = 2
# What is asked stands at the end of what is pasted.
_MAX_QUESTION_CHARS = 4_000
_NAME = re.compile(r"[^\W\d]\w+")
_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W\d_A-Za-z]+")
_FEWEST_LETTERS = 3
# What questions are made of and code is not about; also in comments they tell nothing.
_FILLERS = frozenset(
    "and any are can code does file for from has have how into its should that the then there this "
    "was what when where which who why will with work would you".split()
)


def relevant(
    question: str, files: Sequence[File], max_snippets: int, max_chars: int
) -> tuple[Snippet, ...]:
    """The best pieces first, together at most `max_chars` long; none that shares no word."""
    pieces = [
        (path, text.strip("\n") + "\n") for path, texts in files for text in texts if text.strip()
    ]
    chosen: list[Snippet] = []
    n_chars = 0
    for place in _ranked(question, pieces):
        path, text = pieces[place]
        if len(chosen) == max_snippets:
            break
        is_fit = n_chars + len(text) <= max_chars
        if is_fit and sum(each.path == path for each in chosen) < _MAX_PER_FILE:
            chosen.append(Snippet(path, text))
            n_chars += len(text)
    return tuple(chosen)


def _ranked(question: str, pieces: Sequence[tuple[str, str]]) -> list[int]:
    wanted = set(_words(question[-_MAX_QUESTION_CHARS:])) - _FILLERS
    counts = [Counter(_words(f"{path}\n{text}")) for path, text in pieces]
    mean = sum(map(Counter.total, counts)) / (len(counts) or 1) or 1.0
    n_with = {word: sum(word in count for count in counts) for word in wanted}
    rarity = {
        word: math.log(1 + (len(counts) - n + 0.5) / (n + 0.5)) for word, n in n_with.items() if n
    }
    scored = []
    for place, count in enumerate(counts):
        length = 1 - _B + _B * count.total() / mean
        score = sum(
            weight * count[word] * (_K1 + 1) / (count[word] + _K1 * length)
            for word, weight in rarity.items()
        )
        if score > 0:
            scored.append((-score, place))
    return [place for _, place in sorted(scored)]


def _words(text: str) -> tuple[str, ...]:
    """Names and the words in them, in lower case and without the s of the plural."""
    found = []
    for name in _NAME.findall(text):
        parts = _PART.findall(name)
        found += [name] if parts == [name] else [name, *parts]
    return tuple(word.lower().removesuffix("s") for word in found if len(word) >= _FEWEST_LETTERS)
