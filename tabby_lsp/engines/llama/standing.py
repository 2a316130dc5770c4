"""Where tokens stand in a long text that stays as it is, alone and behind another one. Pure.

Invariant: a place has a token behind it, and no break between what is looked for and that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

# Between two texts: no token, and nothing that is the same on both sides of it.
BREAK = -1
_N_TOKENS = 1 << 32


class Standing:
    """Sorted once, since a text of thousands of tokens is looked at for each token of an answer."""

    def __init__(self, tokens: Sequence[int]) -> None:
        """`tokens` begin with a break."""
        import numpy as np

        ids = np.array(tokens, dtype=np.int64)
        places = np.flatnonzero((ids[:-1] != BREAK) & (ids[1:] != BREAK))
        behind = places[ids[places - 1] != BREAK]
        self._alone = _Sorted(ids[places], places)
        self._behind = _Sorted(ids[behind - 1] * _N_TOKENS + ids[behind], behind)

    def places(self, token: int, n_most: int) -> list[int]:
        """Where a token stands, at the last `n_most` places."""
        return self._alone.last(token, n_most)

    def places_behind(self, before: int, token: int, n_most: int) -> list[int]:
        """Where it stands behind another one, likewise."""
        return self._behind.last(before * _N_TOKENS + token, n_most)


class _Sorted:
    def __init__(self, keys: NDArray[np.int64], places: NDArray[np.int64]) -> None:
        order = keys.argsort(kind="stable")
        self._keys, self._places = keys[order], places[order]
        self._found: dict[int, list[int]] = {}  # most are looked for at each key that is pressed

    def last(self, key: int, n_most: int) -> list[int]:
        found = self._found.get(key)
        if found is None:
            start, end = self._keys.searchsorted((key, key + 1))
            if start == end:
                return []  # there is no end of what stands nowhere
            found = self._found[key] = self._places[start:end].tolist()
        return found[-n_most:] if n_most else []
