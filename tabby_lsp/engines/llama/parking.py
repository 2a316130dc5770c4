"""What was read of other documents and other places, out of the context and not forgotten. Pure.

Invariant: never more than so many bytes; of whoever has most there, what was not used for longest
goes first.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabby_lsp.engines.llama.kv import n_common

if TYPE_CHECKING:
    from mmap import mmap

# What another has but for so many tokens need not be kept beside it: they are read in no time.
_FEW_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Parked:
    """A sequence's tokens, and its part of the KV cache as llama.cpp writes it."""

    tokens: list[int]
    state: mmap
    n_prompt: int  # how many of the tokens were read and not said
    client: str = ""  # for whom


class Parking:
    """Lives as long as the context whose sequences it keeps."""

    def __init__(self, n_most_bytes: int) -> None:
        self._n_most_bytes = n_most_bytes
        self._parked: list[Parked] = []  # the latest used last

    @property
    def n_bytes(self) -> int:
        """How much is parked."""
        return sum(len(parked.state) for parked in self._parked)

    def best(self, wanted: list[int], *, is_whole: bool = False) -> tuple[Parked, int] | None:
        """What has most of a prompt, and how many of its first tokens that is; None for nothing.

        Where it has to be taken as a whole, only what a prompt begins with.
        """
        found = [(n_common(parked.tokens, wanted), n) for n, parked in enumerate(self._parked)]
        if is_whole:
            found = [each for each in found if each[0] == len(self._parked[each[1]].tokens)]
        n_tokens, index = max(found, default=(0, 0))
        return (self._parked[index], n_tokens) if n_tokens else None

    def touch(self, parked: Parked) -> None:
        """It is used now, and the last to be forgotten."""
        self._parked.remove(parked)
        self._parked.append(parked)

    def has(self, tokens: list[int], *, is_whole: bool = False) -> bool:
        """Whether nearly all of a sequence is parked already."""
        found = self.best(tokens, is_whole=is_whole)
        return found is not None and found[1] >= len(tokens) - _FEW_TOKENS

    def takes(self, n_bytes: int) -> bool:
        """Whether a state of this size is parked at all."""
        return 0 < n_bytes <= self._n_most_bytes

    def put(self, parked: Parked) -> None:
        """Keep a sequence, in the place of those of which it has nearly all."""
        self._parked = [
            other
            for other in self._parked
            if n_common(other.tokens, parked.tokens) < len(other.tokens) - _FEW_TOKENS
        ]
        self._parked.append(parked)
        while self.n_bytes > self._n_most_bytes:
            self._parked.remove(self._least_missed())

    def _least_missed(self) -> Parked:
        """What goes first; never the one that was put last."""
        shares: Counter[str] = Counter()
        for parked in self._parked:
            shares[parked.client] += len(parked.state)
        return max(self._parked[:-1], key=lambda parked: shares[parked.client])
