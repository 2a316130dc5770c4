"""How sure a model was of its answer, and whether that is enough to show it unasked.

Invariant: an engine that tells no probabilities is believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tabby_lsp.domain import Piece


@dataclass(slots=True)
class Confidence:
    """Natural logarithms of the probabilities that a model gave its own tokens; 0 is certainty."""

    first_logprob: float = 0.0
    total_logprob: float = 0.0
    n_tokens: int = 0

    @property
    def mean_logprob(self) -> float:
        return self.total_logprob / max(1, self.n_tokens)

    def hear(self, piece: Piece) -> None:
        """Take in the next piece of the answer."""
        if not self.n_tokens:
            self.first_logprob = piece.logprob
        self.total_logprob += piece.logprob
        self.n_tokens = piece.timings.n_generated_tokens
