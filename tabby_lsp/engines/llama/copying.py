"""Adds to what a model says what stands elsewhere behind the tokens before the cursor.

A small model sees a name in another file, or below the cursor, and does not say it; a look at where
its last tokens stood before does. For each length of what is the same there, from one token to
eight, the tokens that followed get a part of the probability. How large that part is, a gate
decides by how often and how uniformly something followed, and by how sure the model is itself.

What the answer itself has said tells where to look, and is no place to look in: a model that
copies itself says `Callable, Callable, Callable`.

Invariant: what the model cannot say, of which the score is 0, is not said.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

from tabby_lsp.engines.llama.kv import n_common
from tabby_lsp.engines.llama.sampling import likeliest, scores_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tabby_lsp.engines.llama.sampling import Choice, Choose
    from tabby_lsp.models.families import CopyGate

# Between two texts: no token, and nothing that is the same on both sides of it.
BREAK = -1
# A table of zeros has thousands, and to look at each takes longer than the model does.
_MOST_PLACES = 256


class Searched:
    """Tokens to copy from, and where each of them stands.

    Lives as long as what stands `elsewhere` stays; of what stands before the cursor a key changes
    only the end.
    """

    def __init__(self, elsewhere: Sequence[int]) -> None:
        # It begins with a break, so that there is something before each place.
        self.tokens = array("i", (BREAK,))
        self._places: dict[int, list[int]] = {}
        self._append(elsewhere)
        self._append((BREAK,))
        self._n_elsewhere = len(self.tokens)
        self._before: list[int] = []

    def read(self, before: Sequence[int]) -> None:
        """Have this stand before the cursor."""
        wanted = list(before)
        n_kept = n_common(self._before, wanted)
        for place in range(len(self.tokens) - 2, self._n_elsewhere + n_kept - 2, -1):
            token, follower = self.tokens[place], self.tokens[place + 1]
            if token != BREAK and follower != BREAK:
                self._places[token].pop()
        del self.tokens[self._n_elsewhere + n_kept :]
        self._append(wanted[n_kept:])
        self._before = wanted

    def places(self, token: int) -> list[int]:
        """Where a token has something behind it; of many places the nearest."""
        return self._places.get(token, [])[-_MOST_PLACES:]

    def _append(self, tokens: Sequence[int]) -> None:
        token = self.tokens[-1]
        for place, follower in enumerate(tokens, len(self.tokens) - 1):
            if token != BREAK and follower != BREAK:
                self._places.setdefault(token, []).append(place)
            token = follower
        self.tokens.extend(tokens)


class Copying:
    """Lives as long as one answer, whose tokens it has to hear."""

    def __init__(
        self, gate: CopyGate, elsewhere: Searched | Sequence[int], before: Sequence[int]
    ) -> None:
        """Looks in `elsewhere` and in `before`, which ends at the cursor."""
        self._gate = gate
        self._searched = elsewhere if isinstance(elsewhere, Searched) else Searched(elsewhere)
        self._searched.read(before)
        # The last tokens, behind which nothing stands yet.
        self._heard = [BREAK, *before[-gate.n_lengths :]]

    def hear(self, token: int) -> None:
        """What has been said."""
        self._heard.append(token)

    def mixed(self, logits: NDArray[Any]) -> NDArray[Any]:
        """The logits of both together."""
        import numpy as np

        scores = scores_of(logits)
        self.mix(scores, float(scores.sum()))
        with np.errstate(divide="ignore"):
            np.log(scores, out=scores)
        return scores

    def mix(self, scores: NDArray[Any], total: float) -> float:
        """Raise, in what `scores_of` gives, the scores of what is found; the sum, before and after.

        What is there when it is called is `total`.
        """
        places, is_narrowed = self._places(scores)
        if not places:
            return total
        runs = self._runs(places)
        kept, copied = 1.0, dict.fromkeys(runs[0][0], 0.0)
        for counts, lengths in reversed(runs):
            n_found = sum(counts.values())
            agreement = max(counts.values()) / n_found
            left = kept * self._gate.left(
                lengths, n_found, agreement, 1 / total, is_typed=is_narrowed
            )
            for token, count in counts.items():
                copied[token] += (kept - left) * count / n_found
            kept = left
        # Held against what the model keeps, so that nothing changes but these.
        for token, share in copied.items():
            scores[token] += share / kept * total
        return total / kept

    def followers(self, scores: NDArray[Any]) -> list[dict[int, int]]:
        """Which tokens that may be said stand behind the last one elsewhere, and how often each.

        First behind the last token alone, then behind the last two, and so on while there are any.
        """
        runs = self._runs(self._places(scores)[0])
        return [counts for counts, lengths in runs for _ in lengths]

    def _runs(self, places: list[int]) -> list[tuple[dict[int, int], range]]:
        """What follows, with all the lengths for which it is the same; the shortest first."""
        tokens, heard, n_lengths = self._searched.tokens, self._heard, self._gate.n_lengths
        runs: list[tuple[dict[int, int], range]] = []
        n_same = 0
        while places:
            n_before, n_found = n_same, len(places)
            counts = _counted([tokens[p + 1] for p in places])
            while len(places) == n_found:
                n_same += 1
                wanted = heard[-1 - n_same]
                if wanted == BREAK or n_same == n_lengths:
                    places = []
                    break
                places = [p for p in places if tokens[p - n_same] == wanted]
            runs.append((counts, range(n_before + 1, n_same + 1)))
        return runs

    def _places(self, scores: NDArray[Any]) -> tuple[list[int], bool]:
        """Where the last token has something behind it that may be said; whether not all may be."""
        places = self._searched.places(self._heard[-1])
        if not places or not _is_narrowed(scores):
            return places, False
        tokens = self._searched.tokens
        return [p for p in places if scores[tokens[p + 1]] > 0], True


def _is_narrowed(scores: NDArray[Any]) -> bool:
    """Whether only some tokens may be said."""
    # The least of them is found in a third of the time that `all` takes.
    return not scores[scores.argmin()] > 0


def _counted(tokens: list[int]) -> dict[int, int]:
    """How often each; `Counter` takes several times as long for a few."""
    counts: dict[int, int] = {}
    for token in tokens:
        counts[token] = counts.get(token, 0) + 1
    return counts


def copying(source: Copying, end_tokens: Sequence[int]) -> Choose:
    """Chooses the likeliest of both together."""

    def choose_from_both(logits: NDArray[Any]) -> Choice:
        scores = scores_of(logits)
        total = source.mix(scores, float(scores.sum()))
        choice = likeliest(scores, end_tokens, total)
        if choice.token is not None:
            source.hear(choice.token)
        return choice

    return choose_from_both
