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

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        # As numbers to search, and as a list to look at single ones: each is fast at one thing.
        both = (elsewhere, (BREAK,), before)
        self._found = np.concatenate([np.array(part, dtype=np.int32) for part in both])
        self._tokens: list[int] = self._found.tolist()

    def hear(self, token: int) -> None:
        """What has been said."""
        self._tokens.append(token)

    def mixed(self, logits: NDArray[Any]) -> NDArray[Any]:
        """The logits of both together."""
        import numpy as np

        scores = scores_of(logits)
        self.mix(scores)
        with np.errstate(divide="ignore"):
            np.log(scores, out=scores)
        return scores

    def mix(self, scores: NDArray[Any]) -> None:
        """Raise, in what `scores_of` gives, the scores of what is found."""
        followers = self.followers(scores)
        if not followers:
            return
        total = float(scores.sum())
        sureness, is_typed = 1 / total, _is_narrowed(scores)
        kept, copied = 1.0, dict.fromkeys(followers[0], 0.0)
        for n_same in range(len(followers), 0, -1):
            counts = followers[n_same - 1]
            n_found = sum(counts.values())
            agreement = max(counts.values()) / n_found
            part = self._gate.part(n_same, n_found, agreement, sureness, is_typed=is_typed)
            for token, count in counts.items():
                copied[token] += kept * part * count / n_found
            kept *= 1 - part
        # Held against what the model keeps, so that nothing changes but these.
        for token, share in copied.items():
            scores[token] += share / kept * total

    def followers(self, scores: NDArray[Any]) -> list[dict[int, int]]:
        """Which tokens that may be said stand behind the last one elsewhere, and how often each.

        First behind the last token alone, then behind the last two, and so on while there are any.
        """
        tokens, last = self._tokens, len(self._tokens) - 1
        if tokens[last] == BREAK:
            return []
        places = [p for p in self._places(tokens[last]) if tokens[p + 1] != BREAK]
        if places and _is_narrowed(scores):
            places = [p for p in places if scores[tokens[p + 1]] > 0]
        found: list[dict[int, int]] = []
        while places:
            found.append(_counted([tokens[p + 1] for p in places]))
            n_same = len(found)
            wanted = tokens[last - n_same]
            if wanted == BREAK or n_same == self._gate.n_lengths:
                break
            places = [p for p in places if p >= n_same and tokens[p - n_same] == wanted]
        return found

    def _places(self, token: int) -> list[int]:
        """Where something stands behind a token; of many places the nearest."""
        places: list[int] = (self._found[:-1] == token).nonzero()[0][-_MOST_PLACES:].tolist()
        return places


def _is_narrowed(scores: NDArray[Any]) -> bool:
    """Whether only some tokens may be said."""
    return not scores.all()


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
        source.mix(scores)
        choice = likeliest(scores, end_tokens)
        if choice.token is not None:
            source.hear(choice.token)
        return choice

    return choose_from_both
