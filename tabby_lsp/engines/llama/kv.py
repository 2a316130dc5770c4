"""What of the KV cache is kept, and what has to be read anew. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_N_FIRST = 16


@dataclass(frozen=True, slots=True)
class Reuse:
    """Which sequence has most of a prompt, and how many of the prompt's first tokens that is."""

    number: int
    n_tokens: int


def n_common(held: list[int], wanted: list[int]) -> int:
    """How many tokens two sequences have in common from their beginning."""
    n_fewest, n_most = 0, min(len(held), len(wanted))
    # Most prompts are of other files, and differ from their first tokens on.
    if held[:_N_FIRST] != wanted[:_N_FIRST]:
        n_most = min(n_most, _N_FIRST)
    if held[:n_most] == wanted[:n_most]:
        return n_most
    # Slices are compared in C: by halves that is faster than token by token.
    while n_most - n_fewest > 1:
        middle = (n_fewest + n_most) // 2
        if held[n_fewest:middle] == wanted[n_fewest:middle]:
            n_fewest = middle
        else:
            n_most = middle
    return n_fewest


def best(held: Mapping[int, list[int]], wanted: list[int]) -> Reuse:
    """The sequence with most of a prompt; of equally good ones the last."""
    return max(
        (
            Reuse(number, n_common(tokens, wanted))
            for number, tokens in reversed(list(held.items()))
        ),
        key=lambda reuse: reuse.n_tokens,
    )
