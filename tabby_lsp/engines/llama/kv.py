"""What of the KV cache is kept, and what has to be read anew. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    # How many of a sequence's first tokens can be gone on from.
    Reach = Callable[[int, int], int]

# So many are compared at once, in C.
_STEP = 128


@dataclass(frozen=True, slots=True)
class Reuse:
    """Which sequence has most of a prompt, and how many of the prompt's first tokens that is."""

    number: int
    n_tokens: int


def n_common(held: list[int], wanted: list[int]) -> int:
    """How many tokens two sequences have in common from their beginning."""
    n_most = min(len(held), len(wanted))
    for start in range(0, n_most, _STEP):
        end = min(start + _STEP, n_most)
        if held[start:end] != wanted[start:end]:
            # Most prompts are of other files, and differ in the first step.
            return next(n for n in range(start, end) if held[n] != wanted[n])
    return n_most


def best(
    held: Mapping[int, list[int]], wanted: list[int], reach: Reach = lambda _, n_tokens: n_tokens
) -> Reuse:
    """The sequence with most of a prompt; of equally good ones the last."""
    return max(
        (
            Reuse(number, reach(number, n_common(tokens, wanted)))
            for number, tokens in reversed(list(held.items()))
        ),
        key=lambda reuse: reuse.n_tokens,
    )
