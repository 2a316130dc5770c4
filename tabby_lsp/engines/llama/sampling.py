"""Which token comes next: the likeliest one that is no end, or one of the likely by chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tabby_lsp.domain import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from numpy.typing import NDArray

    from tabby_lsp.domain import Sampling


class Choice(NamedTuple):
    """The chosen token, or None for the end, and its natural logarithm of probability."""

    token: int | None
    logprob: float


def choose(logits: NDArray[Any], end_tokens: Sequence[int]) -> Choice:
    """Greedy, where all the tokens that end an answer vote together.

    The rule is of the kind of llama.cpp's `llama_sampler_init_infill`, which weighs the sum of the
    end tokens against the text. Its factor of three times the number of candidates is for large
    models: on the starter, whose distribution is flat, it would silence half of the answers without
    making the rest better (docs/log.md, 2026-11-21).
    """
    import numpy as np

    scores = _scores(logits, 1.0)
    total = float(scores.sum())
    ends = list(end_tokens)
    end_score = float(scores[ends].sum())
    scores[ends] = 0.0
    token = int(scores.argmax())
    text_score = float(scores[token])
    if end_score >= text_score:
        return Choice(None, float(np.log(end_score / total)))
    return Choice(token, float(np.log(text_score / total)))


def draw(
    logits: NDArray[Any], end_tokens: Sequence[int], sampling: Sampling, chance: Random
) -> Choice:
    """One of the likely tokens, the likeliest one at a temperature of 0."""
    import numpy as np

    scores = _scores(logits, sampling.temperature or 1.0)
    n_most = sampling.top_k if sampling.temperature else 1
    n_most = min(n_most or len(scores), len(scores))
    best = np.argpartition(scores, -n_most)[-n_most:]
    best = best[np.argsort(scores[best])[::-1]]
    shares = scores[best] / scores[best].sum()
    n_kept = min(int(np.searchsorted(np.cumsum(shares), sampling.top_p)) + 1, n_most)
    index = chance.choices(range(n_kept), weights=shares[:n_kept].tolist())[0]
    token = int(best[index])
    logprob = float(np.log(scores[token] / scores.sum()))
    return Choice(None if token in end_tokens else token, logprob)


def _scores(logits: NDArray[Any], temperature: float) -> NDArray[Any]:
    """In proportion to the probabilities, the largest being 1."""
    import numpy as np

    scores = logits.astype(np.float32)
    largest = float(scores.max())
    if not np.isfinite(largest):
        raise EngineError("The model computes nonsense, so its file is damaged: get it again.")
    np.exp((scores - largest) / temperature, out=scores)
    return scores
