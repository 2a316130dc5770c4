"""Has the context hold as much of a prompt as is known anywhere, so that the least is read.

Invariant: what somebody reads ahead takes nothing away from what is at work, where sequences can be
forked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabby_lsp.engines.llama.kv import best, n_common
from tabby_lsp.engines.llama.parking import Parked

if TYPE_CHECKING:
    from tabby_lsp.engines.llama.context import Context
    from tabby_lsp.engines.llama.kv import Reuse
    from tabby_lsp.engines.llama.parking import Parking

# To read so many tokens is as cheap as to save or to restore them.
_FEW_TOKENS = 32
# What was made ahead, and the other candidates, are there for the next key.
_MOST_PASSES = 1
# What cannot be cut is parked without its last tokens, which may be others when it comes back.
_N_LEFT_OUT = 4
# To read more than that is slower than to move a sequence to the first cells.
_MOST_READ_AGAIN = 8


class Recall:
    """What one context holds, and what is parked beside it; lives as long as the context."""

    def __init__(self, context: Context, parking: Parking) -> None:
        self._context = context
        self._parking = parking

    def cost(self, prompt: list[int]) -> int:
        """How many tokens of a prompt would have to be evaluated."""
        parked = self._parked(prompt)
        return len(prompt) - max(self._held(prompt).n_tokens, parked[1] if parked else 0)

    def begin(
        self,
        prompt: list[int],
        *,
        is_ahead: bool = False,
        reads_said: bool = False,
        client: str = "",
    ) -> None:
        """Have the live sequence be the beginning of a prompt, as much of it as is known.

        It is all of it only where it is noted what the model says after it. `reads_said`: what the
        model has said itself, token by token, is left out, so that it is read as a cold prompt is.
        """
        context = self._context
        reuse, parked = self._held(prompt), self._parked(prompt)
        is_worth_it = parked is not None and parked[1] >= reuse.n_tokens + _FEW_TOKENS
        if parked is not None and is_worth_it and not is_ahead:
            self._restore(parked[0])
            n_tokens = n_common(context.tokens, prompt)
        else:
            self._take(reuse, is_ahead=is_ahead)
            # None where what was there had to go.
            n_tokens = min(reuse.n_tokens, len(context.tokens))
        if not is_ahead:
            self._drop_what_is_passed_over(prompt)
        if reads_said and context.n_least > 1:
            n_tokens = min(n_tokens, context.held[context.live].n_prompt)
        if context.n_least > 1 and context.n_in_order() < n_tokens:
            n_tokens = self._put_in_order(n_tokens, may_move=not is_ahead)
        if n_tokens < len(prompt) or context.noted(n_tokens) is None:
            n_tokens = max(0, min(n_tokens, len(prompt) - context.n_least))
        n_tokens = context.reach(context.live, n_tokens)
        if is_ahead and n_tokens < len(context.tokens):
            context.fork(n_tokens)
        context.keep(n_tokens)
        held = context.held[context.live]
        held.n_prompt, held.client, held.is_ahead = len(prompt), client, is_ahead

    def _held(self, prompt: list[int]) -> Reuse:
        context = self._context
        return best({n: held.tokens for n, held in context.held.items()}, prompt, context.reach)

    def _parked(self, prompt: list[int]) -> tuple[Parked, int] | None:
        return self._parking.best(prompt, is_whole=not self._context.saves_all)

    def _take(self, reuse: Reuse, *, is_ahead: bool) -> None:
        """Go on from the beginning of a sequence in the context."""
        context = self._context
        held = context.held[reuse.number]
        n_lost = min(held.n_prompt, len(held.tokens)) - reuse.n_tokens
        if not is_ahead and n_lost > _FEW_TOKENS:
            self._park()
            if reuse.n_tokens <= _FEW_TOKENS:
                context.clear()
                return
        context.switch(reuse.number)

    def _put_in_order(self, n_tokens: int, *, may_move: bool) -> int:
        """Have what is read next come behind what is kept; how many tokens that still are."""
        context = self._context
        n_in_order = context.n_in_order()
        if may_move and context.saves_all and n_tokens - n_in_order > _MOST_READ_AGAIN:
            context.keep(n_tokens)
            tokens, state = list(context.tokens), context.saved()
            context.clear()
            if state is None or not context.restore(tokens, state):
                return 0
            context.held[context.live].n_prompt = n_tokens
            return n_tokens
        return n_in_order

    def _restore(self, parked: Parked) -> None:
        context = self._context
        # Before what is at work is parked, which may take the place of this.
        self._parking.touch(parked)
        self._park()
        # What is at work stands in the lowest cells, since attention runs over all below it.
        context.clear()
        if context.restore(parked.tokens, parked.state):
            context.held[context.live].n_prompt = parked.n_prompt

    def _park(self) -> None:
        """Keep what the live sequence holds, where it would take long to read it again."""
        context, parking = self._context, self._parking
        if not context.saves_all:
            context.keep(max(0, context.held[context.live].n_prompt - _N_LEFT_OUT))
        tokens = list(context.tokens)
        if len(tokens) <= _FEW_TOKENS or parking.has(tokens, is_whole=not context.saves_all):
            return
        if parking.takes(context.n_saved_bytes()) and (state := context.saved()):
            held = context.held[context.live]
            parking.put(Parked(tokens, state, held.n_prompt, held.client))

    def _drop_what_is_passed_over(self, prompt: list[int]) -> None:
        """Also because forks stand in the way: what is read next comes behind their cells."""
        context = self._context
        context.pass_over(prompt)
        for number, held in list(context.held.items()):
            held.n_passes += 1
            if number == context.live:
                continue
            may_come_next = held.n_passes <= _MOST_PASSES
            if not may_come_next or held.tokens[: len(prompt)] != prompt:
                context.drop(number)
