"""A context for models whose memory is a state, which knows nothing of the tokens before the last.

It cannot be cut back, so copies of it, the marks, are left behind while a prompt is read, and what
differs from the prompt before is read from the last mark that both have. A copy costs nothing
before the next token; then llama.cpp writes the state to another place.

Invariant: a state is gone on from where a token was finished, never where reading was stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabby_lsp.engines.llama.cells import Held
from tabby_lsp.engines.llama.context import Context
from tabby_lsp.models.memory import N_STATES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from mmap import mmap

    from tabby_lsp.engines.llama.binding import Model

# So many tokens before a prompt's end a mark is set: the last ones are others with the next key
# where a family reads something behind the cursor, and in any case when a file comes back.
_N_LAST = 4
# What was said to a prompt, and what was made ahead; other candidates are only gone on from at
# their ends, where nobody comes.
_FEW_HELD = 2
# The nearest marks of what is at work: what is made ahead leaves them, and so do forks.
_N_NEAR = 2


class MarkedContext(Context):
    """Several states, of which some are marks; lives until `close`."""

    _n_sequences = N_STATES

    def __init__(self, model: Model, n_ctx: int, n_ubatch: int, n_threads: int) -> None:
        """Raises EngineError."""
        super().__init__(model, n_ctx, n_ubatch, n_threads)
        self._marks: dict[int, Held] = {}

    @property
    def marks(self) -> dict[int, Held]:
        """The marks by llama.cpp's number of the sequence."""
        return self._marks

    def reach(self, number: int, n_tokens: int) -> int:
        tokens = self._held[number].tokens
        if n_tokens == len(tokens):
            return n_tokens
        mark = self._mark_in(tokens, n_tokens)
        return 0 if mark is None else len(self._marks[mark].tokens)

    def evaluate(self, tokens: Sequence[int], n_told: int = 1) -> None:
        """Append tokens to the live sequence, and leave marks where they belong to a prompt."""
        held = self._held[self._live]
        while tokens and len(held.tokens) < held.n_prompt:
            n_step = min(len(tokens), held.n_prompt - len(held.tokens))
            if n_step >= 2 * _N_LAST:
                n_step = min(self.n_ubatch, n_step - _N_LAST)
            super().evaluate(tokens[:n_step])
            if not held.is_ahead or len(held.tokens) == held.n_prompt:
                self._mark(is_ahead=held.is_ahead)
            tokens = tokens[n_step:]
        super().evaluate(tokens, n_told)

    def restore(self, tokens: Sequence[int], saved: mmap) -> bool:
        is_restored = super().restore(tokens, saved)
        if is_restored:
            self._mark()
        return is_restored

    def clear(self) -> None:
        super().clear()
        self._marks = {}

    def pass_over(self, prompt: Sequence[int]) -> None:
        for number, mark in list(self._marks.items()):
            n_both = min(len(mark.tokens), len(prompt))
            if mark.tokens[:n_both] != prompt[:n_both]:
                self._unmark(number)

    def _mark(self, *, is_ahead: bool = False) -> None:
        """Leave a copy of the live sequence behind, where there is room for one."""
        tokens, n_tokens = list(self.tokens), len(self.tokens)
        if self._mark_in(tokens, n_tokens, least=n_tokens) is not None:
            return
        if self._is_full:
            if len(self._held) > _FEW_HELD:
                self._drop_oldest()
            elif (number := self._least_missed(is_ahead=is_ahead)) is not None:
                self._unmark(number)
            else:
                return
        number = self._unused()
        cells = super()._copy(number, n_tokens)
        self._marks[number] = Held(tokens, cells, n_tokens, is_ahead=is_ahead)

    def _mark_in(self, tokens: list[int], n_most: int, least: int = 1) -> int | None:
        """The longest mark that is the beginning of these tokens, within limits."""
        found = (
            (len(mark.tokens), number)
            for number, mark in self._marks.items()
            if least <= len(mark.tokens) <= n_most and tokens[: len(mark.tokens)] == mark.tokens
        )
        return max(found, default=(0, None))[1]

    def _unmark(self, number: int) -> None:
        self._api.llama_memory_seq_rm(self._memory, number, -1, -1)
        self._cells.free(self._marks.pop(number).cells)

    def _least_missed(self, *, is_ahead: bool = False, spared: int | None = None) -> int | None:
        """One that was made ahead, or the mark without which least has to be read again.

        That is by how far back it is: so there are many near the end of what is read, where most
        changes are, and some far back. For what is made ahead, the nearest are spared.
        """
        for number, mark in self._marks.items():
            if mark.is_ahead and number != spared:
                return number
        lengths = sorted((len(mark.tokens), number) for number, mark in self._marks.items())
        shares: list[tuple[float, int]] = []
        before = 0
        for n_tokens, number in lengths[:-_N_NEAR] if is_ahead else lengths:
            if number != spared:
                shares.append(((n_tokens - before) / (lengths[-1][0] + 1 - n_tokens), number))
            before = n_tokens
        return min(shares)[1] if shares else None

    def _cut(self, n_tokens: int) -> None:
        # What is read now would stand behind the cells of marks that are longer, and out of order
        # when those are gone.
        for number, longer in list(self._marks.items()):
            if len(longer.tokens) > n_tokens:
                self._unmark(number)
        held = self._held[self._live]
        mark = self._mark_in(held.tokens, n_tokens, least=n_tokens) if n_tokens else None
        self._api.llama_memory_seq_rm(self._memory, self._live, -1, -1)
        self._cells.free(held.cells)
        held.cells = []
        if mark is not None:
            self._api.llama_memory_seq_cp(self._memory, mark, self._live, 0, n_tokens)
            held.cells = list(self._marks[mark].cells)
            self._cells.share(held.cells)
        del held.tokens[n_tokens:]
        held.n_prompt = min(held.n_prompt, n_tokens)
        self._forget(self._live, n_tokens)

    def _lose_state(self) -> None:
        held = self._held[self._live]
        n_prompt, mark = held.n_prompt, self._mark_in(held.tokens, len(held.tokens))
        self._cut(0 if mark is None else len(self._marks[mark].tokens))
        held.n_prompt = n_prompt  # which is still to be read

    def _copy(self, number: int, n_tokens: int) -> list[int]:
        tokens = self.tokens
        mark = None if n_tokens == len(tokens) else self._mark_in(tokens, n_tokens, least=n_tokens)
        if mark is None:
            return super()._copy(number, n_tokens) if n_tokens else []
        self._api.llama_memory_seq_cp(self._memory, mark, number, 0, n_tokens)
        cells = list(self._marks[mark].cells)
        self._cells.share(cells)
        return cells

    def _free_number(self, n_tokens: int) -> int:
        if self._is_full:
            source = self._mark_in(self.tokens, n_tokens)
            number = self._least_missed(is_ahead=True, spared=source)
            if len(self._held) > _FEW_HELD or number is None:
                self._drop_oldest()
            else:
                self._unmark(number)
        return self._unused()

    @property
    def _is_full(self) -> bool:
        return len(self._held) + len(self._marks) == self._n_sequences

    def _unused(self) -> int:
        used = {*self._held, *self._marks}
        return next(n for n in range(self._n_sequences) if n not in used)

    def _make_room(self, n_tokens: int) -> None:
        super()._make_room(n_tokens)
        while self._cells.n_free < n_tokens and (number := self._least_missed()) is not None:
            self._unmark(number)


def context_for(model: Model, n_ctx: int, n_ubatch: int, n_threads: int) -> Context:
    """A context of the kind that a model's memory needs; raises EngineError."""
    kind = MarkedContext if model.is_recurrent else Context
    return kind(model, n_ctx, n_ubatch, n_threads)
