"""Which tokens keep an answer in the language of a grammar, byte by byte. Pure.

Invariant: what it says of a token does not depend on the vocabulary; a token may end inside a
character, as long as some character of the grammar's goes on so.
"""

from __future__ import annotations

import codecs
from functools import lru_cache
from typing import TYPE_CHECKING

from tabby_lsp.engines.llama.gbnf import LAST_CODE_POINT, Grammar
from tabby_lsp.engines.llama.recognizer import STEPS_PER_TRY, Recognizer

if TYPE_CHECKING:
    from tabby_lsp.engines.llama.gbnf import CharClass
    from tabby_lsp.engines.llama.recognizer import Column

# Lead bytes of UTF-8, and how many bytes follow them.
_LEADS = {
    **dict.fromkeys(range(0x80), 0),
    **dict.fromkeys(range(0xC2, 0xE0), 1),
    **dict.fromkeys(range(0xE0, 0xF0), 2),
    **dict.fromkeys(range(0xF0, 0xF5), 3),
}
_FIRST_CODE_POINTS = (0, 0x80, 0x800, 0x10000)  # by how many bytes follow
_TRAILS = frozenset(range(0x80, 0xC0))


class Constraint:
    """The grammar of one answer, and how much of it has been said; lives as long as the answer."""

    def __init__(self, grammar: str) -> None:
        """Raises Unusable where the text is no grammar."""
        self._recognizer = Recognizer(Grammar(grammar))
        self._column = self._recognizer.first
        self._pending = b""  # of a character that is not whole

    @property
    def may_end(self) -> bool:
        """Whether what was said is a text of the language."""
        return self._column.is_complete and not self._pending

    def first_bytes(self) -> frozenset[int]:
        """With which bytes a token may begin; some of these may be wrong, the others are."""
        if self._pending:
            return _TRAILS
        classes = {self._recognizer.char_class(place) for place, _ in self._column.scans}
        return frozenset().union(*map(_lead_bytes, classes))

    def allows(self, piece: bytes) -> bool:
        """Whether a token of these bytes may come next."""
        return self._after(piece) is not None

    def take(self, piece: bytes) -> None:
        """Go on behind a token that is allowed."""
        after = self._after(piece)
        assert after is not None, "only what is allowed is taken"
        self._column, self._pending = after
        self._recognizer.n_steps = 0

    def _after(self, piece: bytes) -> tuple[Column, bytes] | None:
        self._recognizer.n_steps -= STEPS_PER_TRY
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            text = decoder.decode(self._pending + piece)
        except UnicodeDecodeError:
            return None
        column: Column | None = self._column
        for character in text:
            if column is None:
                return None
            column = self._recognizer.step(column, ord(character))
        pending = decoder.getstate()[0]
        if column is None or not piece or not self._goes_on(column, pending):
            return None
        return column, pending

    def _goes_on(self, column: Column, pending: bytes) -> bool:
        """Whether half a character may be the beginning of one of the column's."""
        if not pending:
            return True
        first, last = _code_points(pending)
        classes = (self._recognizer.char_class(place) for place, _ in column.scans)
        return any(each.may_have(first, last) for each in classes)


def _code_points(beginning: bytes) -> tuple[int, int]:
    """The first and the last code point whose UTF-8 begins so."""
    n_trails = _LEADS[beginning[0]]
    n_missing = n_trails + 1 - len(beginning)
    code = beginning[0] & (0x7F if not n_trails else 0x3F >> n_trails)
    for byte in beginning[1:]:
        code = code << 6 | byte & 0x3F
    # Nothing that fewer bytes could say.
    first = max(code << 6 * n_missing, _FIRST_CODE_POINTS[n_trails])
    return first, min((code + 1 << 6 * n_missing) - 1, LAST_CODE_POINT)


@lru_cache(maxsize=1024)
def _lead_bytes(char_class: CharClass) -> frozenset[int]:
    return frozenset(byte for byte in _LEADS if char_class.may_have(*_code_points(bytes([byte]))))
