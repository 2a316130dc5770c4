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

from tabby_lsp.engines.llama.sampling import likeliest, scores_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from tabby_lsp.engines.llama.sampling import Choice, Choose
    from tabby_lsp.models.families import CopyGate

# Between two texts: no token, and nothing that is the same on both sides of it.
BREAK = -1
# A table of zeros has thousands, and to look at each takes longer than the model does.
_MOST_PLACES = 256


class Copying:
    """Lives as long as one answer, whose tokens it has to hear."""

    def __init__(self, gate: CopyGate, elsewhere: Sequence[int], before: Sequence[int]) -> None:
        """Looks in `elsewhere` and in `before`, which ends at the cursor."""
        import numpy as np

        self._gate = gate
        both = (elsewhere, (BREAK,), before)
        found = np.concatenate([np.array(part, dtype=np.int32) for part in both])
        # Behind the last of them nothing stands yet.
        self._searched = found[:-1]
        # The same to look at single ones, at which numpy is slow.
        self._tokens = array("i", found.tobytes())

    def hear(self, token: int) -> None:
        """What has been said."""
        self._tokens.append(token)

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
        followers = self._followers(places)
        if not followers:
            return total
        sureness, part_of = 1 / total, self._gate.part
        kept, copied = 1.0, dict.fromkeys(followers[0], 0.0)
        for counts, lengths in _runs(followers):
            n_found = sum(counts.values())
            agreement, left = max(counts.values()) / n_found, kept
            for n_same in lengths:
                left *= 1 - part_of(n_same, n_found, agreement, sureness, is_typed=is_narrowed)
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
        return self._followers(self._places(scores)[0])

    def _followers(self, places: list[int]) -> list[dict[int, int]]:
        tokens, last = self._tokens, len(self._tokens) - 1
        found: list[dict[int, int]] = []
        n_counted = 0
        while places:
            if len(places) != n_counted:
                counts, n_counted = _counted([tokens[p + 1] for p in places]), len(places)
            found.append(counts)
            n_same = len(found)
            wanted = tokens[last - n_same]
            if wanted == BREAK or n_same == self._gate.n_lengths:
                break
            places = [p for p in places if p >= n_same and tokens[p - n_same] == wanted]
        return found

    def _places(self, scores: NDArray[Any]) -> tuple[list[int], bool]:
        """Where the last token has something behind it that may be said; whether not all may be.

        Of many places the nearest.
        """
        tokens, last = self._tokens, self._tokens[-1]
        if last == BREAK:
            return [], False
        found: list[int] = (self._searched == last).nonzero()[0][-_MOST_PLACES:].tolist()
        places = [p for p in found if tokens[p + 1] != BREAK]
        if not places or not _is_narrowed(scores):
            return places, False
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


def _runs(followers: list[dict[int, int]]) -> Iterator[tuple[dict[int, int], range]]:
    """What follows for the longest lengths first, with all the lengths for which it is the same."""
    end = len(followers)
    while end:
        counts, start = followers[end - 1], end - 1
        while start and followers[start - 1] is counts:
            start -= 1
        yield counts, range(start + 1, end + 1)
        end = start
