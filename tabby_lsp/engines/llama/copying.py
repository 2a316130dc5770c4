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

from typing import TYPE_CHECKING, Any

from tabby_lsp.engines.llama.sampling import likeliest, scores_of
from tabby_lsp.engines.llama.searched import Searched
from tabby_lsp.engines.llama.standing import BREAK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tabby_lsp.engines.llama.sampling import Choice
    from tabby_lsp.models.families import CopyGate


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
        is_narrowed = _is_narrowed(scores)
        runs = self._runs(scores if is_narrowed else None)
        if not runs:
            return total
        kept, copied = 1.0, dict.fromkeys(runs[0][0], 0.0)
        for counts, lengths in reversed(runs):
            n_found = sum(counts.values())
            agreement = max(counts.values()) / n_found
            left = kept * self._gate.left(
                lengths, n_found, agreement, 1 / total, is_typed=is_narrowed
            )
            for token, count in counts.items():
                copied[token] = copied.get(token, 0.0) + (kept - left) * count / n_found
            kept = left
        # Held against what the model keeps, so that nothing changes but these.
        for token, share in copied.items():
            scores[token] += share / kept * total
        return total / kept

    def followers(self, scores: NDArray[Any]) -> dict[int, dict[int, int]]:
        """Which tokens that may be said stand behind the last ones elsewhere, and how often each.

        By how many of the last tokens are the same there, the fewest first.
        """
        runs = self._runs(scores if _is_narrowed(scores) else None)
        return {n_same: counts for counts, lengths in runs for n_same in lengths}

    def _runs(self, sayable: NDArray[Any] | None) -> list[tuple[dict[int, int], range]]:
        """What follows, with all the lengths for which it is the same; the shortest first.

        Where not all may be said, those are `sayable` whose score is not 0.
        """
        tokens = self._searched.tokens
        runs: list[tuple[dict[int, int], range]] = []
        places, first, n_same = self._places(sayable), 1, 1
        while self._heard[-1] != BREAK:
            longer = self._with_one_more(places, n_same, sayable)
            # From the second token on more places are looked at.
            if n_same == 1 or len(longer) != len(places):
                if places:
                    counts = _counted([tokens[place + 1] for place in places])
                    runs.append((counts, range(first, n_same + 1)))
                if not longer:
                    break
                first = n_same + 1
            places, n_same = longer, n_same + 1
        return runs

    def _places(self, sayable: NDArray[Any] | None) -> list[int]:
        """Where the last token has something behind it that may be said."""
        return self._those(self._searched.places(self._heard[-1]), sayable)

    def _with_one_more(
        self, places: list[int], n_same: int, sayable: NDArray[Any] | None
    ) -> list[int]:
        """Those of the places where one more token is the same, when `n_same` are."""
        searched = self._searched
        wanted = self._heard[-1 - n_same] if n_same < self._gate.n_lengths else BREAK
        if wanted == BREAK:
            return []
        tokens, start = searched.tokens, searched.n_elsewhere if n_same == 1 else 0
        found = [p for p in places if p >= start and tokens[p - n_same] == wanted]
        if n_same > 1:
            return found
        return self._those(searched.places_behind(wanted, self._heard[-1]), sayable) + found

    def _those(self, places: list[int], sayable: NDArray[Any] | None) -> list[int]:
        if sayable is None or not places:
            return places
        tokens = self._searched.tokens
        return [p for p in places if sayable[tokens[p + 1]] > 0]


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


class GreedyCopying:
    """Chooses the likeliest of both together."""

    def __init__(self, source: Copying, end_tokens: Sequence[int]) -> None:
        self._source = source
        self._end_tokens = end_tokens

    def __call__(self, logits: NDArray[Any]) -> Choice:
        scores = scores_of(logits)
        total = self._source.mix(scores, float(scores.sum()))
        return likeliest(scores, self._end_tokens, total)

    def hear(self, token: int) -> None:
        self._source.hear(token)
