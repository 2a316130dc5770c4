"""Which token comes next: the likeliest one that is no end, or one of the likely by chance.

Invariant: probabilities that are told are the model's own, before temperature, penalties and bias.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tabby_lsp.domain import EngineError, Unusable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from tabby_lsp.domain import Sampling

# The likeliest tokens hold nearly all of the probability: to look among these first saves sorting a
# vocabulary of 150,000.
_N_LIKELY = 1024
# Further down nothing is worth being offered beside the first.
_N_RUNNERS_UP = 32


class Choice(NamedTuple):
    """The chosen token, or None for the end, and its natural logarithm of probability."""

    token: int | None
    logprob: float
    lead: float = math.inf  # of it before the next best, where nothing but that decides


class Choose(Protocol):
    """How the tokens of one answer are chosen, each of which has to be heard before the next."""

    def __call__(self, logits: NDArray[Any]) -> Choice:
        """What comes next; the same again where it is asked again, but for chance."""

    def hear(self, token: int) -> None:
        """What has been said."""


class Greedy:
    """Chooses the likeliest token, where all the tokens that end an answer vote together.

    The rule is of the kind of llama.cpp's `llama_sampler_init_infill`, which weighs the sum of the
    end tokens against the text. Its factor of three times the number of candidates is for large
    models: on the starter, whose distribution is flat, it would silence half of the answers without
    making the rest better (docs/log.md, 2026-11-21).
    """

    def __init__(self, end_tokens: Sequence[int]) -> None:
        self._end_tokens = end_tokens

    def __call__(self, logits: NDArray[Any]) -> Choice:
        scores = scores_of(logits)
        return likeliest(scores, self._end_tokens, float(scores.sum()))

    def hear(self, token: int) -> None:
        """It changes nothing."""


def likeliest(scores: NDArray[Any], end_tokens: Sequence[int], total: float) -> Choice:
    """Of `scores_of`, or what was made of them, and their sum; the ends' are lost, and the best."""
    end_score = 0.0
    for token in end_tokens:
        end_score += float(scores[token])
        scores[token] = 0.0
    token = int(scores.argmax())
    text_score = float(scores[token])
    if end_score >= text_score:
        return Choice(None, math.log(end_score / total), _lead(end_score, text_score))
    scores[token] = 0.0
    next_best = max(end_score, float(scores[scores.argmax()]))
    return Choice(token, math.log(text_score / total), _lead(text_score, next_best))


def _lead(best: float, next_best: float) -> float:
    return math.log(best / next_best) if next_best else math.inf


def runners_up(logits: NDArray[Any], end_tokens: Sequence[int]) -> Iterator[Choice]:
    """The likeliest tokens that are no end, the likeliest first."""
    import numpy as np

    told = logprobs(logits)
    told[list(end_tokens)] = -np.inf
    for token in _likeliest(told, min(_N_RUNNERS_UP, len(told))):
        if told[token] > -np.inf:
            yield Choice(int(token), float(told[token]))


def takes_the_likeliest(sampling: Sampling) -> bool:
    """Whether nothing but the model's own probabilities decides."""
    changes = (
        sampling.temperature,
        sampling.frequency_penalty,
        sampling.presence_penalty,
        sampling.repetition_penalty - 1,
        sampling.logit_bias,
        sampling.grammar,
        sampling.json_schema,
    )
    return not any(changes)


def candidates(logits: NDArray[Any], sampling: Sampling) -> tuple[NDArray[Any], NDArray[Any]]:
    """The tokens among which chance decides, and their shares of 1.

    The cuts are made in this order: temperature, `top_k`, `top_p`, `min_p`. At least one token is
    left, none of probability 0 stays with others, and the likeliest stand first where any are cut.
    """
    import numpy as np

    if not sampling.temperature:
        return np.array([logits.argmax()]), np.ones(1)
    with np.errstate(over="ignore", under="ignore"):
        scores = np.exp((logits - logits.max()) / np.float32(sampling.temperature))
    if not sampling.top_k and sampling.top_p >= 1.0 and not sampling.min_p:
        tokens = np.flatnonzero(scores)
        return tokens, scores[tokens] / scores.sum(dtype=np.float64)
    n_most = min(sampling.top_k or len(scores), len(scores))
    n_above = int(np.count_nonzero(scores >= sampling.min_p if sampling.min_p else scores))
    tokens = _likeliest(scores, min(n_most, _N_LIKELY))
    within = float(scores[tokens].sum(dtype=np.float64))
    if n_most > len(tokens):
        mass = _mass(scores, n_most)
        if within < sampling.top_p * mass and n_above > len(tokens):
            tokens = _likeliest(scores, n_most)
        within = mass
    shares = scores[tokens]
    n_kept = int(np.searchsorted(np.cumsum(shares, dtype=np.float64), sampling.top_p * within)) + 1
    n_kept = max(1, min(n_kept, n_above, len(tokens)))
    shares = shares[:n_kept].astype(np.float64)
    return tokens[:n_kept], shares / shares.sum()


def penalized(
    logits: NDArray[Any], sampling: Sampling, said: dict[int, int], prompt: Sequence[int]
) -> NDArray[Any]:
    """A copy with bias and penalties; `said` counts the answer's tokens.

    As vLLM has it, `repetition_penalty` looks at the prompt too, and the other two do not.
    """
    import numpy as np

    logits = logits.astype(np.float32)
    if sampling.repetition_penalty != 1.0:
        seen = np.unique(np.array([*prompt, *said], dtype=np.int64))
        scores = logits[seen]
        factor = sampling.repetition_penalty
        logits[seen] = np.where(scores > 0, scores / factor, scores * factor)
    if said and (sampling.frequency_penalty or sampling.presence_penalty):
        tokens, counts = np.array([*said]), np.array([*said.values()])
        logits[tokens] -= counts * sampling.frequency_penalty + sampling.presence_penalty
    for token, bias in sampling.logit_bias:
        logits[token] += bias
    return logits


def check(sampling: Sampling, n_vocab: int) -> None:
    """Raise Unusable where a sampling is not for a model with so many tokens."""
    wrong = next((token for token, _ in sampling.logit_bias if not 0 <= token < n_vocab), None)
    if wrong is not None:
        raise Unusable(f"`logit_bias` names token {wrong}, and the model has 0 to {n_vocab - 1}.")
    if sampling.grammar and sampling.json_schema:
        raise Unusable("An answer has either a grammar or a JSON Schema: leave one of them out.")


def logprobs(logits: NDArray[Any]) -> NDArray[Any]:
    """The natural logarithms of the model's own probabilities."""
    import numpy as np

    result: NDArray[Any] = logits - (float(logits.max()) + np.log(scores_of(logits).sum()))
    return result


def _mass(scores: NDArray[Any], n_most: int) -> float:
    """The sum of so many of the largest."""
    import numpy as np

    rest = len(scores) - n_most
    return float((np.partition(scores, rest)[rest:] if rest else scores).sum(dtype=np.float64))


def _likeliest(scores: NDArray[Any], n_most: int) -> NDArray[Any]:
    """So many places of the largest scores, the largest first."""
    import numpy as np

    if n_most < len(scores):
        best = np.argpartition(scores, -n_most)[-n_most:]
        return best[np.argsort(-scores[best], kind="stable")]
    return np.argsort(-scores, kind="stable")


def scores_of(logits: NDArray[Any]) -> NDArray[Any]:
    """In proportion to the probabilities, the largest being 1."""
    import numpy as np

    # In a third of the time that `max` takes, which for a small vocabulary is longer than the look.
    largest = float(logits[logits.argmax()])
    if not math.isfinite(largest):
        raise EngineError("The model computes nonsense, so its file is damaged: get it again.")
    scores: NDArray[Any] = np.subtract(logits, largest, dtype=np.float32)
    np.exp(scores, out=scores)
    return scores
