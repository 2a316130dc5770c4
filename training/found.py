"""What the product would find to copy at each token of a sample.

The same search as in `tabby_lsp.engines.llama.copying`, for all tokens at once: a sample has so
many that one by one would take longer than to learn from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.pieces import N_SPECIAL
from training.samples import MIDDLE

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Of each length: the facts of `CopyGate.left`, then the share of the places where it follows.
COUNT, AGREEMENT, SURENESS, TYPED, SHARE = range(5)
N_FACTS = 5


def found(
    tokens: NDArray[np.uint16], roles: NDArray[np.uint8], n_lengths: int
) -> NDArray[np.float32]:
    """[tokens, lengths, facts], zeros where nothing is found.

    What the model alone knows, how sure it is, is left at 0, and so is whether some is typed.
    """
    n = len(tokens)
    ids = tokens.astype(np.int64)
    facts = np.zeros((n, n_lengths, N_FACTS), np.float32)
    # Before the token at `ends + 1` stands what ends with the token at `places`, too.
    ends, places = np.nonzero(np.tril(ids[:, None] == ids, -1))
    # An answer does not copy itself.
    starts = np.where(roles == MIDDLE, np.argmax(roles == MIDDLE), n)
    ends, places = _those(ends + 1 < n, ends, places)
    followers = ids[places + 1]
    is_text = (ids[ends] >= N_SPECIAL) & (followers >= N_SPECIAL)
    ends, places = _those(is_text & (places + 1 < starts[ends + 1]), ends, places)
    for n_same in range(1, n_lengths + 1):
        if not len(ends):
            break
        _count(facts[:, n_same - 1], ids, ends, ids[places + 1])
        wanted = ids[np.maximum(ends - n_same, 0)]
        is_same = (places >= n_same) & (wanted == ids[places - n_same]) & (wanted >= N_SPECIAL)
        ends, places = _those(is_same, ends, places)
    return facts


def _count(
    facts: NDArray[np.float32],
    ids: NDArray[np.int64],
    ends: NDArray[np.int64],
    followers: NDArray[np.int64],
) -> None:
    n_ids = 1 << 16
    pairs, counts = np.unique(ends * n_ids + followers, return_counts=True)
    targets = pairs // n_ids + 1
    n_found = np.bincount(targets, counts, len(ids))
    most = np.zeros(len(ids))
    np.maximum.at(most, targets, counts)
    is_right = ids[targets] == pairs % n_ids
    there = np.unique(targets)
    facts[there, COUNT] = np.log1p(n_found[there])
    facts[there, AGREEMENT] = most[there] / n_found[there]
    facts[targets[is_right], SHARE] = counts[is_right] / n_found[targets[is_right]]


def _those(
    which: NDArray[np.bool_], ends: NDArray[np.int64], places: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return ends[which], places[which]
