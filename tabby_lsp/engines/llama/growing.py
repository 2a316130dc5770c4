"""Tokenizes a text that grows at its end without reading its beginning again.

Invariant: the tokens are those of the whole text. Where a text is cut, both parts together were
seen to have the tokens of the whole, and that holds while more comes far behind the cut: it lies
beside a word, where the patterns of byte-level BPE vocabularies split.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# A word before a line end, or before another word.
_CUT = re.compile(r"[^\W_](?=\n)|[^\W\d_](?= [^\W\d_])")
# What a person is at work on; before it the text seldom changes.
_ALIVE_CHARS = 80
# What is read again at each key; to cut costs two more readings, once.
_LONG_CHARS = 2 * _ALIVE_CHARS
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
        rest = text[len(beginning) :]
        found = self._tokenize(rest)
        if len(rest) > _LONG_CHARS and (cut := _last_cut(rest)):
            before = self._tokenize(rest[:cut])
            if before + self._tokenize(rest[cut:]) == found:
                self._remember(key, beginning + rest[:cut], tokens + before)
        elif beginning:
            self._remember(key, beginning, tokens)
        return tokens + found

    def _remember(self, key: str, beginning: str, tokens: list[int]) -> None:
        self._beginnings[key] = (beginning, tokens)
        self._beginnings.move_to_end(key)
        if len(self._beginnings) > _MAX_TEXTS:
            self._beginnings.popitem(last=False)


def _last_cut(text: str) -> int:
    """The last place to cut at outside the part that is alive; 0 where there is none."""
    end = len(text) - _ALIVE_CHARS
    return max((found.end() for found in _CUT.finditer(text, 0, end)), default=0)
