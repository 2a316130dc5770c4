"""Which cells of a KV cache are taken, as llama.cpp gives them out. Pure.

llama.cpp gives a token the lowest free cell (`llama_kv_cache::find_slot`), and sums over the cells
in their order. So a sequence whose cells are not in the order of its tokens is computed with other
roundings than one that was read in one go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(slots=True)
class Held:
    """A sequence: its tokens in order, and which cells of the cache they stand in."""

    tokens: list[int] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)
    n_prompt: int = 0  # how many of the tokens were read and not said
    client: str = ""  # for whom
    is_ahead: bool = False  # read before anybody asked
    n_passes: int = 0  # how many requests have gone on from another one


class Cells:
    """Counts for each cell how many sequences hold it; lives as long as the cache."""

    def __init__(self, n_cells: int) -> None:
        self._n_holders = [0] * n_cells
        self._head = 0  # no cell below it is free
        self.n_used = 0

    @property
    def n_free(self) -> int:
        return len(self._n_holders) - self.n_used

    def take(self, n_cells: int) -> list[int]:
        """So many free cells, the lowest."""
        taken: list[int] = []
        while len(taken) < n_cells:
            if not self._n_holders[self._head]:
                self._n_holders[self._head] = 1
                taken.append(self._head)
            self._head += 1
        self.n_used += n_cells
        return taken

    def share(self, cells: Iterable[int]) -> None:
        """Another sequence holds them too."""
        for cell in cells:
            self._n_holders[cell] += 1

    def free(self, cells: Iterable[int]) -> None:
        """A sequence holds them no longer."""
        for cell in cells:
            self._n_holders[cell] -= 1
            if not self._n_holders[cell]:
                self.n_used -= 1
                self._head = min(self._head, cell)

    def n_in_order(self, cells: Sequence[int]) -> int:
        """How many tokens of a sequence may be kept so that the next ones come behind them."""
        while self._head < len(self._n_holders) and self._n_holders[self._head]:
            self._head += 1
        # No cell above it is taken, as it is where nothing was forked.
        if self._head == self.n_used:
            return len(cells)
        return next((n for n, cell in enumerate(cells) if cell > self._head), len(cells))
