"""Tokenizes a text that grows at its end without reading its beginning again.

Invariant: the tokens are those of the whole text. That holds for byte-level BPE vocabularies, whose
splitting patterns never join a word and the line end after it.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# A word before a line end: the one place where every vocabulary's pattern splits.
_CUT = re.compile(r"\w(?=\n)")
# What a person is at work on; before it the text seldom changes.
_ALIVE_CHARS = 120
# The prefix in the few ways in which it is cut, of two documents.
_MAX_TEXTS = 8
_KEY_CHARS = 256


class GrowingTokenizer:
    """Remembers the tokens of what texts began with; lives as long as the vocabulary.

    Where `tokenize` raises, what is remembered stays.
    """

    def __init__(self, tokenize: Callable[[str], list[int]]) -> None:
        self._tokenize = tokenize
        self._beginnings: OrderedDict[str, tuple[str, list[int]]] = OrderedDict()

    def __call__(self, text: str) -> list[int]:
        key = text[:_KEY_CHARS]
        beginning, tokens = self._beginnings.get(key, ("", []))
        if not text.startswith(beginning):
            beginning, tokens = "", []
        cut = self._last_cut(text, len(beginning))
        if cut > len(beginning):
            tokens = tokens + self._tokenize(text[len(beginning) : cut])
            beginning = text[:cut]
        if beginning:
            self._beginnings[key] = (beginning, tokens)
            self._beginnings.move_to_end(key)
            if len(self._beginnings) > _MAX_TEXTS:
                self._beginnings.popitem(last=False)
        return tokens + self._tokenize(text[len(beginning) :])

    @staticmethod
    def _last_cut(text: str, start: int) -> int:
        """The last cut outside the part that is alive; 0 where there is none after `start`."""
        end = len(text) - _ALIVE_CHARS
        cuts = [found.end() for found in _CUT.finditer(text, max(start - 1, 0), max(end, 0))]
        return cuts[-1] if cuts else 0
