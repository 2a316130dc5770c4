"""Reads what was chosen together with what is drafted, and takes back what turns out otherwise.

Invariant: what is chosen is what would be chosen without drafts; at its end the context holds what
was said, and nothing that was only drafted.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from tabby_lsp.engines.llama.drafting import LEAST_LEAD

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from tabby_lsp.engines.llama.context import Context
    from tabby_lsp.engines.llama.drafting import Drafting
    from tabby_lsp.engines.llama.sampling import Choice

    # Appends tokens to the KV cache, and knows what comes after the last so many; raises Aborted
    # where that was stopped for good.
    Read = Callable[[Sequence[int], int], None]


class Speculation:
    """Lives as long as one answer."""

    def __init__(self, context: Context, read: Read, drafting: Drafting | None) -> None:
        self._context = context
        self._read = read
        self._drafting = drafting if context.can_draft else None
        self.n_drafted = self.n_accepted = 0
        self._drafted: list[int] = []  # in the context, behind what was said
        # From which place on what comes next was computed with others than without drafts.
        self._unsure_from: float = math.inf

    @property
    def n_read(self) -> int:
        """How many tokens of prompt and answer the context holds."""
        return len(self._context.tokens) - len(self._drafted)

    def read(self, tokens: Sequence[int], n_more: int) -> None:
        """Have the context hold these too, and what is drafted behind them, `n_more` at the most.

        Raises Aborted.
        """
        if self.has_read(tokens):
            del self._drafted[: len(tokens)]
            self.n_accepted += len(tokens)
            return
        self._take_back()
        drafting, context = self._drafting, self._context
        if drafting is None:
            self._read(tokens, 1)
            return
        n_room = context.n_ctx - len(context.tokens) - len(tokens)
        drafted = drafting.draft(len(tokens), min(n_more, n_room))
        started_s = time.perf_counter()
        self._read([*tokens, *drafted], 1 + len(drafted))
        context.logits()  # a graphics card is waited for here
        drafting.pace.took(len(tokens) + len(drafted), time.perf_counter() - started_s)
        self._drafted = drafted
        self.n_drafted += len(drafted)
        # A prompt's tokens are many in any case.
        self._unsure_from = self.n_read + (len(tokens) > 1) if drafted else math.inf

    def doubts(self, lead: float) -> bool:
        """Whether a token with such a lead might be another one if it were computed alone."""
        return lead < LEAST_LEAD and self.n_read >= self._unsure_from

    def read_alone(self) -> None:
        """Compute once more what comes next, without drafts; raises Aborted."""
        n_read = self.n_read
        last = self._context.tokens[n_read - 1]
        self._drafted, self._unsure_from = [], math.inf
        self._context.keep(n_read - 1)
        self._read([last], 1)

    def has_read(self, tokens: Sequence[int]) -> bool:
        """Whether these were drafted, and nothing has to be computed."""
        return bool(tokens) and self._drafted[: len(tokens)] == [*tokens]

    def says(self, *, notes: bool) -> NDArray[np.float32]:
        """What the model says now, noted if so wished; until the next is read."""
        context = self._context
        noted = context.noted(self.n_read)
        if noted is not None:
            return noted
        logits = context.logits(len(self._drafted))
        if notes:
            context.note(self.n_read, logits)
        return logits

    def hear(self, choice: Choice) -> None:
        """What was chosen."""
        if self._drafting is not None:
            self._drafting.hear(choice.token, choice.lead)

    def end(self) -> None:
        """Leave in the context what was said."""
        self._take_back()
        if self._drafting is not None:
            self._drafting.end()

    def _take_back(self) -> None:
        if self._drafted:
            self._context.keep(self.n_read)
            self._drafted = []
