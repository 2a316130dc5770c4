"""Tokenizes a text that grows at its end without reading its beginning again.

Invariant: the tokens are those of the whole text. Where a text is cut, both parts together were
seen to have the tokens of the whole, and that holds whatever comes behind the cut: it lies between
a word and what is seen to end it, where the patterns of byte-level BPE vocabularies split.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

# A word before a line end, before another word, or before what stands in code beside words.
_CUT = re.compile(r"[^\W_](?=\n)|[^\W\d_](?= [^\W\d_]|[.,:;()\[\]{}=])")
# So much behind a cut says that it is one, and has to be there as long as it is used.
_SEEN_CHARS = 2
# Less than that is read again at each key; to cut costs two more readings, once.
_LONG_CHARS = 32
# What was deleted is seldom more than what stands behind the first of so many.
_MAX_CUTS = 8
# The prefix in the few ways in which it is cut, of two documents.
_MAX_TEXTS = 8
_KEY_CHARS = 256


class _Cut(NamedTuple):
    seen: str  # the text up to it, and what is seen behind it
    n_chars: int
    tokens: list[int]  # up to it


class GrowingTokenizer:
    """Remembers the tokens of what texts began with; lives as long as the vocabulary.

    Where `tokenize` raises, what is remembered stays.
    """

    def __init__(self, tokenize: Callable[[str], list[int]]) -> None:
        self._tokenize = tokenize
        # The nearest to the end last.
        self._cuts: OrderedDict[str, tuple[_Cut, ...]] = OrderedDict()
        self._long_chars = _LONG_CHARS

    def __call__(self, text: str) -> list[int]:
        key = text[:_KEY_CHARS]
        cuts = self._cuts.get(key, ())
        while cuts and not text.startswith(cuts[-1].seen):
            cuts = cuts[:-1]
        start, before = (cuts[-1].n_chars, cuts[-1].tokens) if cuts else (0, [])
        rest = text[start:]
        found = self._tokenize(rest)
        if len(rest) > self._long_chars and (n_chars := _last_cut(rest)):
            head = self._tokenize(rest[:n_chars])
            if head + self._tokenize(rest[n_chars:]) == found:
                n_chars += start
                cut = _Cut(text[: n_chars + _SEEN_CHARS], n_chars, before + head)
                cuts = (*cuts, cut)[-_MAX_CUTS:]
            else:
                # A vocabulary that joins words is asked less and less often.
                self._long_chars *= 2
        if cuts:
            self._remember(key, cuts)
        return before + found

    def _remember(self, key: str, cuts: tuple[_Cut, ...]) -> None:
        self._cuts[key] = cuts
        self._cuts.move_to_end(key)
        if len(self._cuts) > _MAX_TEXTS:
            self._cuts.popitem(last=False)


def _last_cut(text: str) -> int:
    """The last place to cut at behind which enough is seen; 0 where there is none."""
    found = 0
    for each in _CUT.finditer(text, 0, len(text) - _SEEN_CHARS):
        found = each.end()
    return found
