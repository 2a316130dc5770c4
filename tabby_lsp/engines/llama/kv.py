"""What of the KV cache is kept, and what has to be read anew. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def n_reusable(held: Sequence[int], wanted: Sequence[int]) -> int:
    """How many tokens of `wanted` need not be evaluated: the common prefix, but never all of them.

    The last one is evaluated in any case, since its logits are what comes next.
    """
    n_most = min(len(held), len(wanted) - 1)
    for index in range(n_most):
        if held[index] != wanted[index]:
            return index
    return max(n_most, 0)
