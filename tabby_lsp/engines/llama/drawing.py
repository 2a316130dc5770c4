"""Draws the tokens of one answer, as its sampling says and its grammar allows."""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

from tabby_lsp.domain import TokenLogprobs, Unusable
from tabby_lsp.engines.llama.constraint import Constraint
from tabby_lsp.engines.llama.sampling import (
    Choice,
    candidates,
    check,
    logprobs,
    penalized,
    takes_the_likeliest,
)
from tabby_lsp.engines.llama.schema import grammar_of_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tabby_lsp.domain import Sampling
    from tabby_lsp.engines.llama.binding import Model

# After so many tokens that the grammar refuses, all that are left are looked at together.
_N_TRIES = 64


class Sampler:
    """Draws one answer's tokens; lives as long as it."""

    def __init__(
        self, model: Model, sampling: Sampling, end_tokens: Sequence[int], prompt: Sequence[int]
    ) -> None:
        """Raises Unusable where the sampling, its grammar or its schema cannot be used."""
        check(sampling, model.n_vocab)
        self._model = model
        self._sampling = sampling
        self._is_plain = takes_the_likeliest(sampling)
        self._end_tokens = frozenset(end_tokens)
        self._prompt = prompt
        self._said: Counter[int] = Counter()
        self._chance = random.Random(sampling.seed)
        grammar = sampling.grammar
        if sampling.json_schema:
            grammar = grammar_of_schema(sampling.json_schema)
        self._constraint = Constraint(grammar) if grammar else None

    def __call__(self, logits: NDArray[Any]) -> Choice:
        adjusted = logits
        if not self._is_plain:
            adjusted = penalized(logits, self._sampling, self._said, self._prompt)
        if self._constraint is None:
            token, lead = self._pick(adjusted)
        else:
            allowed = self._allowed(adjusted, self._constraint)
            if allowed is None:
                return Choice(None, 0.0)
            token, lead = allowed
        logprob = float(logprobs(logits)[token])
        return Choice(None if token in self._end_tokens else token, logprob, lead)

    def hear(self, token: int) -> None:
        self._said[token] += 1
        if self._constraint is not None:
            self._constraint.take(self._model.piece(token))

    def _pick(self, logits: NDArray[Any]) -> tuple[int, float]:
        """The place of one of the logits, and by how much it leads where chance has no part."""
        import numpy as np

        if not self._sampling.temperature:
            place = int(logits.argmax())
            others = np.delete(logits, place)
            lead = float(logits[place] - others[others.argmax()]) if len(others) else math.inf
            return place, lead
        tokens, shares = candidates(logits, self._sampling)
        if len(tokens) == 1:
            return int(tokens[0]), math.inf
        index = int(np.searchsorted(np.cumsum(shares), self._chance.random(), side="right"))
        return int(tokens[min(index, len(tokens) - 1)]), math.inf

    def _allowed(self, logits: NDArray[Any], constraint: Constraint) -> tuple[int, float] | None:
        """One of the tokens that the grammar allows, the end where it may end; None as the end.

        With its lead before the next best, of which nobody knows whether the grammar allows it.

        To draw among all and to draw again where the grammar refuses comes to the same as to draw
        among those that it allows, which are seldom known.
        """
        import numpy as np

        possible = self._possible(constraint)
        left = logits[possible]
        for n_tries in range(len(possible)):
            if n_tries == _N_TRIES:
                fits = [self._fits(int(token), constraint) for token in possible]
                left[~np.array(fits)] = -np.inf
            if not np.isfinite(left).any():
                break
            place, lead = self._pick(left)
            token = int(possible[place])
            if self._fits(token, constraint):
                return token, lead
            left[place] = -np.inf
        if constraint.may_end:
            return None
        raise Unusable(
            "The grammar leaves this model nothing to say: none of its tokens goes on with the "
            "text. Change the grammar."
        )

    def _possible(self, constraint: Constraint) -> NDArray[Any]:
        """The tokens whose first byte the grammar allows, and the ends where it may end."""
        import numpy as np

        allowed = np.zeros(257, dtype=bool)
        allowed[list(constraint.first_bytes())] = True
        is_possible = allowed[self._model.first_bytes]
        is_possible[list(self._end_tokens)] = constraint.may_end
        possible: NDArray[Any] = np.flatnonzero(is_possible)
        return possible

    def _fits(self, token: int, constraint: Constraint) -> bool:
        if token in self._end_tokens:
            return constraint.may_end
        return constraint.allows(self._model.piece(token))


def tell(model: Model, logits: NDArray[Any], token: int, n_most: int) -> TokenLogprobs:
    """Of a chosen token, and of the `n_most` likeliest at its place, itself perhaps among them."""
    import numpy as np

    told = logprobs(logits)
    n_most = min(n_most, model.n_vocab)
    best = np.argpartition(told, -n_most)[-n_most:]
    best = best[np.argsort(-told[best], kind="stable")]
    others = ((*_shown(model, int(other)), float(told[other])) for other in best)
    return TokenLogprobs(*_shown(model, token), float(told[token]), tuple(others))


def _shown(model: Model, token: int) -> tuple[str, bytes]:
    raw = model.piece(token, controls=True)
    return raw.decode("utf-8", "replace"), raw
