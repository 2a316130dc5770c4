"""Which token comes next: the likeliest text, unless the model would rather stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tabby_lsp.domain import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


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

    scores = logits.astype(np.float32)
    largest = float(scores.max())
    if not np.isfinite(largest):
        raise EngineError("The model computes nonsense, so its file is damaged: get it again.")
    np.exp(scores - largest, out=scores)
    total = float(scores.sum())
    ends = list(end_tokens)
    end_score = float(scores[ends].sum())
    scores[ends] = 0.0
    token = int(scores.argmax())
    text_score = float(scores[token])
    if end_score >= text_score:
        return Choice(None, float(np.log(end_score / total)))
    return Choice(token, float(np.log(text_score / total)))
