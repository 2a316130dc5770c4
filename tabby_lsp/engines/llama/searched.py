"""Tokens that are looked up where an answer is sought, and where each of them stands. Pure.

Invariant: a place has a token behind it, and no break between what is looked for and that.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

from tabby_lsp.engines.llama.kv import n_common
from tabby_lsp.engines.llama.standing import BREAK, Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Fits = Callable[[int], bool]

# A table of zeros has thousands, and to look at each takes longer than the model does.
_MOST_PLACES = 256
# Where the last two tokens stand, or the last one.
_MOST_LIKE, _MOST_LIKE_ONE = 32, 4
# More that is the same makes it no likelier that the next is.
MOST_SAME = 8


class Place(NamedTuple):
    """Where the last tokens stand too, in `tokens`, and how many of them."""

    n_same: int
    tokens: Sequence[int]
    at: int  # of the last of them


def nearest(
    tokens: Sequence[int], places: Iterable[int], heard: Sequence[int], fits: Fits
) -> Place:
    """The first of the places of the last token where most of `heard`, its last ones, stand.

    Only a token that `fits` may stand behind it. Where there is no place, `n_same` is 0.
    """
    best, n_most = Place(0, tokens, 0), min(MOST_SAME, len(heard))
    for at in places:
        if not fits(tokens[at + 1]):
            continue
        n_same = 1
        while n_same < n_most and BREAK != heard[-1 - n_same] == tokens[at - n_same]:
            n_same += 1
        if n_same > best.n_same:
            best = Place(n_same, tokens, at)
            if n_same == n_most:
                break
    return best


class Searched:
    """Tokens to copy from, and where each of them stands.

    Lives as long as what stands `elsewhere` stays; of what stands before the cursor a key changes
    only the end.
    """

    def __init__(self, elsewhere: Sequence[int]) -> None:
        # It begins with a break, so that there is something before each place.
        self.tokens = array("i", (BREAK, *elsewhere, BREAK))
        self._elsewhere = Standing(self.tokens)
        self.n_elsewhere = len(self.tokens)  # the places below
        self._before: list[int] = []
        self._places: dict[int, list[int]] = {}  # of these

    def read(self, before: Sequence[int]) -> None:
        """Have this stand before the cursor."""
        wanted = list(before)
        n_kept = n_common(self._before, wanted)
        for place in range(len(self.tokens) - 2, self.n_elsewhere + n_kept - 2, -1):
            token, follower = self.tokens[place], self.tokens[place + 1]
            if token != BREAK and follower != BREAK:
                self._places[token].pop()
        del self.tokens[self.n_elsewhere + n_kept :]
        self._append(wanted[n_kept:])
        self._before = wanted

    def places(self, token: int) -> list[int]:
        """Where a token has something behind it; of many places the nearest."""
        near = self._places.get(token, [])[-_MOST_PLACES:]
        return self._elsewhere.places(token, _MOST_PLACES - len(near)) + near

    def places_behind(self, before: int, token: int) -> list[int]:
        """The same of those places elsewhere where another token stands before it."""
        return self._elsewhere.places_behind(before, token, _MOST_PLACES)

    def nearest(self, heard: Sequence[int], fits: Fits) -> Place:
        """Where most of the last tokens stand, and one that `fits` behind them."""
        last = heard[-1]
        near = self._places.get(last, [])[-_MOST_LIKE:]
        far = self._elsewhere.places_behind(heard[-2], last, _MOST_LIKE) if len(heard) > 1 else []
        if not near and not far:
            far = self._elsewhere.places(last, _MOST_LIKE_ONE)
        return nearest(self.tokens, (*reversed(near), *reversed(far)), heard, fits)

    def _append(self, tokens: Sequence[int]) -> None:
        token = self.tokens[-1]
        for place, follower in enumerate(tokens, len(self.tokens) - 1):
            if token != BREAK and follower != BREAK:
                self._places.setdefault(token, []).append(place)
            token = follower
        self.tokens.extend(tokens)
