"""Who may be drawn, and how often: the laws of the cuts, of penalties and of seeds."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.domain import EngineError, Sampling, Unusable
from tabby_lsp.engines.llama.sampling import (
    Greedy,
    candidates,
    check,
    logprobs,
    penalized,
    takes_the_likeliest,
)

LOGITS = st.lists(
    st.floats(-30, 30, width=32) | st.just(-math.inf), min_size=1, max_size=40
).filter(lambda logits: max(logits) > -math.inf)
CUTS = st.builds(
    Sampling,
    temperature=st.floats(0.05, 5),
    top_k=st.integers(0, 50),
    top_p=st.floats(0.01, 1),
    min_p=st.floats(0, 1),
)


def array(logits: list[float]) -> Any:
    return np.array(logits, dtype=np.float32)


def expected(logits: list[float], cuts: Sampling) -> list[float]:
    """The probabilities that are left, the largest first, written down as the rules say them."""
    largest = max(logits)
    scores = [math.exp((logit - largest) / cuts.temperature) for logit in logits]
    scores = sorted((score for score in scores if score), reverse=True)[: cuts.top_k or None]
    sums = [0.0, *itertools.accumulate(scores)]
    n_kept = next(n for n, sum_ in enumerate(sums) if n and sum_ >= cuts.top_p * sums[-1])
    kept = [scores[0], *(score for score in scores[1:n_kept] if score >= cuts.min_p)]
    total = sum(kept)
    return [score / total for score in kept]


@given(logits=LOGITS, cuts=CUTS)
def test_the_cuts_leave_what_their_rules_say(logits: list[float], cuts: Sampling) -> None:
    tokens, shares = candidates(array(logits), cuts)
    wanted = expected(array(logits).tolist(), cuts)
    # Where a sum falls on the edge, rounding may leave one more or one less.
    assert abs(len(shares) - len(wanted)) <= 1
    assert len(set(tokens.tolist())) == len(tokens)
    if len(shares) == len(wanted):
        assert sorted(shares, reverse=True) == pytest.approx(wanted, rel=1e-3, abs=1e-9)


@given(logits=LOGITS, cuts=CUTS)
def test_what_cannot_be_is_never_among_others(logits: list[float], cuts: Sampling) -> None:
    tokens, shares = candidates(array(logits), cuts)
    assert shares.sum() == pytest.approx(1)
    assert all(logits[token] > -math.inf for token in tokens)


def test_a_large_vocabulary_is_cut_as_a_small_one() -> None:
    rng = np.random.default_rng(1)
    for width in (0.1, 4.0):
        logits = rng.normal(0, width, 20_000).astype(np.float32)
        for cuts in (Sampling(temperature=1.0, top_p=0.9), Sampling(temperature=0.7, min_p=0.01),
                     Sampling(temperature=1.0, top_k=3000, top_p=0.95)):  # fmt: skip
            shares = candidates(logits, cuts)[1]
            wanted = expected(logits.tolist(), cuts)
            assert abs(len(shares) - len(wanted)) <= 1
            assert shares[:50] == pytest.approx(wanted[:50], rel=1e-3)


@given(logits=LOGITS)
def test_without_temperature_the_likeliest_is_alone(logits: list[float]) -> None:
    tokens, shares = candidates(array(logits), Sampling(top_k=5, top_p=0.1))
    assert shares.tolist() == [1.0]
    assert logits[tokens[0]] == max(logits)


@given(logits=LOGITS)
def test_told_probabilities_are_one_together(logits: list[float]) -> None:
    assert np.exp(logprobs(array(logits))).sum() == pytest.approx(1, rel=1e-4)


def test_penalties_and_bias() -> None:
    logits = array([2.0, 2.0, -1.0, 0.0])
    said = {0: 2, 2: 1}
    counted = Sampling(frequency_penalty=0.5, presence_penalty=0.25)
    assert penalized(logits, counted, said, [1]).tolist() == [0.75, 2.0, -1.75, 0.0]
    repeated = Sampling(repetition_penalty=2.0)
    assert penalized(logits, repeated, said, [1, 1]).tolist() == [1.0, 1.0, -2.0, 0.0]
    biased = Sampling(logit_bias=((3, 5.0), (0, -100.0)))
    assert penalized(logits, biased, {}, []).tolist() == [-98.0, 2.0, -1.0, 5.0]
    assert logits.tolist() == [2.0, 2.0, -1.0, 0.0]


@pytest.mark.parametrize(
    "changed",
    [{"temperature": 0.1}, {"frequency_penalty": 1.0}, {"presence_penalty": -1.0},
     {"repetition_penalty": 1.1}, {"logit_bias": ((1, 1.0),)}, {"grammar": "g"},
     {"json_schema": "{}"}],
)  # fmt: skip
def test_what_changes_the_choice_is_known(changed: dict[str, Any]) -> None:
    assert takes_the_likeliest(Sampling(top_k=3, top_p=0.5, min_p=0.1, seed=4, n_logprobs=2))
    assert not takes_the_likeliest(replace(Sampling(), **changed))


def test_what_is_not_for_the_model_is_refused() -> None:
    with pytest.raises(Unusable, match="token 8, and the model has 0 to 7"):
        check(Sampling(logit_bias=((7, 1.0), (8, 1.0))), 8)
    with pytest.raises(Unusable, match="either a grammar or a JSON Schema"):
        check(Sampling(grammar="g", json_schema="{}"), 8)


def test_end_tokens_vote_together() -> None:
    logits = array([1.0, 0.8, 0.8])
    assert Greedy((1, 2))(logits).token is None
    assert Greedy((1,))(logits).token == 0


def test_a_lead_is_the_one_before_the_next_best() -> None:
    logits = array([1.0, 0.8, 0.3])
    assert Greedy(())(logits).lead == pytest.approx(0.2)
    assert Greedy((1,))(logits).lead == pytest.approx(0.2)
    assert Greedy((0, 1))(logits).lead == pytest.approx(math.log(math.e + math.exp(0.8)) - 0.3)
    assert Greedy((0,))(array([1.0, -math.inf])).lead == math.inf


def test_a_damaged_model_is_a_sentence() -> None:
    for logit in (math.nan, math.inf):
        with pytest.raises(EngineError, match="damaged"):
            Greedy((0,))(array([1.0, logit]))
        with pytest.raises(EngineError, match="damaged"):
            logprobs(array([1.0, logit]))
