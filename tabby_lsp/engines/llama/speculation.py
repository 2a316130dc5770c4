"""Reads what was chosen together with what is drafted, and takes back what turns out otherwise.

Invariant: what is chosen is what would be chosen without drafts; at its end the context holds what
was said, and nothing that was only drafted.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from tabby_lsp.engines.llama.context import Aborted
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
        self._drafting = drafting
        self.n_drafted = self.n_accepted = 0
        self._drafted: list[int] = []  # in the context, behind what was said
        # From which place on what comes next was computed with others than without drafts.
        self._unsure_from: float = math.inf
        # Where it was read to last, and how many tokens are read together there in any case.
        self._read_to, self._n_alone = self.n_read, context.n_least

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
        n_before = len(context.tokens)
        n_room = context.n_ctx - n_before - len(tokens)
        drafted = drafting.draft(len(tokens), min(n_more, n_room))
        try:
            self._read([*tokens, *drafted], 1 + len(drafted))
        except Aborted:
            context.keep(min(len(context.tokens), n_before + len(tokens)))
            raise
        context.logits()  # a graphics card is waited for here
        n_evaluated, began_s = context.last_evaluation
        if n_evaluated == len(tokens) + len(drafted):  # and it was not interrupted
            drafting.pace.took(n_evaluated, time.perf_counter() - began_s)
        self._drafted = drafted
        self.n_drafted += len(drafted)
        self._unsure_from = self.n_read if drafted else math.inf
        self._read_to, self._n_alone = self.n_read, min(len(tokens), context.n_least)

    def doubts(self, lead: float) -> bool:
        """Whether a token with such a lead might be another one if it were computed alone."""
        return lead < LEAST_LEAD and not self._is_sure()

    def read_alone(self) -> None:
        """Compute once more what comes next, as without drafts; raises Aborted."""
        context, n_read = self._context, self.n_read
        # Behind a prompt that is as many tokens as such a context is best read with.
        n_last = min(n_read, self._n_alone) if n_read == self._read_to else 1
        held = context.held[context.live]
        last, n_prompt = held.tokens[n_read - n_last : n_read], held.n_prompt
        self._drafted, self._unsure_from = [], math.inf
        context.keep(n_read - n_last)
        self._read(last, 1)
        # Perhaps another sequence than before, where others had the context in between.
        context.held[context.live].n_prompt = n_prompt

    def has_read(self, tokens: Sequence[int]) -> bool:
        """Whether these were drafted, and nothing has to be computed."""
        return bool(tokens) and self._drafted[: len(tokens)] == [*tokens]

    def says(self, *, notes: bool) -> NDArray[np.float32]:
        """What the model says now, noted if so wished; until the next is read. Raises Aborted."""
        context = self._context
        if self._drafting is None and not self._is_sure():
            # Somebody else's drafts.
            self.read_alone()
        noted = context.noted(self.n_read)
        if noted is not None:
            return noted.logits
        logits = context.logits(len(self._drafted))
        if notes:
            context.note(self.n_read, logits, is_sure=self._is_sure())
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

    def _is_sure(self) -> bool:
        """Whether what comes next was computed as without drafts."""
        noted = self._context.noted(self.n_read)
        return noted.is_sure if noted else self.n_read < self._unsure_from

    def _take_back(self) -> None:
        if self._drafted:
            self._context.keep(self.n_read)
            self._drafted = []
