"""How likely an answer is, as the model itself sees it, and whether that is enough to show it.

Invariant: an engine that tells no probabilities is believed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tabby_lsp.domain import Piece


@dataclass(slots=True)
class Confidence:
    """The probability of an answer's first line; it only falls while the line is written.

    As a whole, and not by the token: among answers to real code that tells the right ones from the
    wrong ones better than the mean or the first token does (docs/log.md, 2026-11-29). Of the first
    line, so that a block is not doubted for its length.
    """

    logprob: float = 0.0
    _line: str = field(default="", init=False)

    def hear(self, piece: Piece) -> None:
        """Take in the next piece of the answer."""
        if "\n" not in self._line:
            self.logprob += piece.logprob
            self._line = (self._line + piece.text).lstrip()

    def is_less_than(self, percent: float) -> bool:
        """Whether it is less likely than that."""
        return percent > 0 and self.logprob < math.log(percent / 100)
