"""What stands elsewhere behind the last tokens gets its part of the probability, and no more."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.engines.llama.copying import Copying, GreedyCopying
from tabby_lsp.engines.llama.searched import Searched
from tabby_lsp.engines.llama.standing import BREAK
from tabby_lsp.models.families import CopyGate

N_VOCAB = 12
# A half for each length, whatever else is the case.
HALF = CopyGate((0.0, 0.0, 0.0, 0.0), (0.0,) * 8)
TOKENS = st.lists(st.integers(0, N_VOCAB - 1), max_size=40)


def probabilities(
    elsewhere: list[int], before: list[int], gate: CopyGate = HALF, *, only: set[int] | None = None
) -> list[float]:
    """Of a model that finds all tokens equally likely, or only some."""
    logits = np.zeros(N_VOCAB, dtype=np.float32)
    if only is not None:
        logits[[token for token in range(N_VOCAB) if token not in only]] = -np.inf
    scores = np.exp(Copying(gate, elsewhere, before).mixed(logits).astype(np.float64))
    return [*(scores / scores.sum())]


def test_what_followed_elsewhere_gets_its_part() -> None:
    told = probabilities([3, 7], [5, 3])

    assert told[7] == pytest.approx(0.5 + 0.5 / N_VOCAB)
    assert told[8] == pytest.approx(0.5 / N_VOCAB)


def test_what_followed_more_often_gets_more() -> None:
    told = probabilities([3, 7, BREAK, 3, 7, BREAK, 3, 8], [3])

    assert told[7] - told[9] == pytest.approx(2 * (told[8] - told[9]))


def test_where_more_is_the_same_weighs_more() -> None:
    told = probabilities([1, 3, 7, BREAK, 2, 3, 8], [2, 3])

    assert told[8] == pytest.approx(0.5 + 0.25 / 2 + 0.25 / N_VOCAB)
    assert told[7] == pytest.approx(0.25 / 2 + 0.25 / N_VOCAB)


def test_what_was_said_before_the_cursor_is_found_too() -> None:
    assert probabilities([], [3, 7, 5, 3])[7] > 0.5


def test_nothing_is_found_across_the_end_of_a_text() -> None:
    assert probabilities([3, BREAK, 7], [5, 3]) == pytest.approx([1 / N_VOCAB] * N_VOCAB)
    # Behind the last token of all, nothing stands.
    assert probabilities([3], [5, 3]) == pytest.approx([1 / N_VOCAB] * N_VOCAB)
    # Before both texts' beginnings nothing is the same.
    gate = CopyGate((0.0, 0.0, 0.0, 0.0), (-15.0, 15.0))
    assert probabilities([3, 7], [3], gate)[7] < 0.1


def test_what_the_model_cannot_say_is_not_said() -> None:
    told = probabilities([3, 7, BREAK, 3, 8], [3], only={8, 9})

    assert told[7] == 0
    assert told[8] == pytest.approx(0.75)


def test_the_gate_knows_how_sure_the_model_is_and_what_is_typed() -> None:
    gate = CopyGate((0.0, 0.0, -8.0, 8.0), (0.0,))
    sure = np.array([9.0, *[0.0] * (N_VOCAB - 1)], dtype=np.float32)

    assert Copying(gate, [3, 7], [3]).mixed(sure)[7] - sure[7] < 2
    assert 0.3 < probabilities([3, 7], [3], gate)[7] < 0.5
    assert probabilities([3, 7], [3], gate, only={7, 8})[7] > 0.9


def test_what_has_been_said_is_looked_for_next() -> None:
    likeliest, said = GreedyCopying(Copying(HALF, [3, 7, 8, 9], [3]), [0]), []
    for _ in range(3):
        said.append(likeliest(np.zeros(N_VOCAB, dtype=np.float32)).token or 0)
        likeliest.hear(said[-1])

    assert said == [7, 8, 9]


def test_an_answer_does_not_copy_itself() -> None:
    """`Any, Callable, Callable, Callable`, said where nothing but `Any, ` stood before."""
    source = Copying(HALF, [], [3, 7])
    likeliest = GreedyCopying(source, [0])
    flat = np.zeros(N_VOCAB, dtype=np.float32)
    for token in (8, 5, 8):
        source.hear(token)

    assert source.followers(np.exp(flat)) == {}
    source.hear(3)
    assert likeliest(flat).token == likeliest(flat).token == 7
    likeliest.hear(7)
    assert source.followers(np.exp(flat)) == {}


def test_nothing_follows_where_nothing_was_said() -> None:
    assert probabilities([3, 7], []) == pytest.approx([1 / N_VOCAB] * N_VOCAB)


def test_of_many_places_the_nearest_count() -> None:
    far, near = [3, 7, 5] * 5_000, [3, 8, 5] * 256

    assert probabilities([*far, *near], [3])[7] == pytest.approx(0.5 / N_VOCAB)
    assert probabilities([*far, *near[3:]], [3])[7] > 0.5 / N_VOCAB


def test_of_two_tokens_and_more_far_places_count_too() -> None:
    gate = CopyGate((0.0, 0.0, 0.0, 0.0), (-15.0, 0.0))
    near = [5, 3, 8] * 256

    assert probabilities([4, 3, 7, BREAK, *near], [4, 3], gate)[7] > 0.5
    assert probabilities([4, 3, 7, BREAK, *near], [4, 3], gate, only={7, 9})[7] > 0.5
    assert probabilities([4, 3, 7, BREAK, *near], [4, 3], gate, only={8, 9})[8] < 0.6


@given(elsewhere=TOKENS, before=TOKENS.filter(bool), said=TOKENS, seed=st.integers(0, 99))
def test_it_is_as_if_each_length_was_counted_by_hand(
    elsewhere: list[int], before: list[int], said: list[int], seed: int
) -> None:
    """The law that the gate is fitted for: from short to long, each takes its part of what is."""
    logits = np.random.default_rng(seed).normal(size=N_VOCAB)
    told = np.exp(logits) / np.exp(logits).sum()
    sureness = told.max()
    gate = CopyGate((0.3, 1.0, -1.0, 0.0), (-1.0, -0.5, 0.0, 0.5))
    texts = [elsewhere, before]
    for n_same in range(1, gate.n_lengths + 1):
        ending = [*before, *said][-n_same:]
        found = [
            text[at + n_same]
            for text in texts
            for at in range(len(text) - n_same)
            if text[at : at + n_same] == ending and len(ending) == n_same
        ]
        if found:
            counts = np.bincount(found, minlength=N_VOCAB)
            agreement = counts.max() / len(found)
            one = range(n_same, n_same + 1)
            part = 1 - gate.left(one, len(found), agreement, sureness, is_typed=False)
            told = told * (1 - part) + counts * part / len(found)
    source = Copying(gate, elsewhere, before)
    for token in said:
        source.hear(token)
    mixed = source.mixed(logits.astype(np.float32)).astype(np.float64)

    assert np.exp(mixed) / np.exp(mixed).sum() == pytest.approx(told, abs=1e-5)
    assert not math.isnan(mixed.sum())


@given(elsewhere=TOKENS, befores=st.lists(TOKENS.filter(bool), min_size=2, max_size=5))
def test_what_stood_before_an_earlier_cursor_is_forgotten(
    elsewhere: list[int], befores: list[list[int]]
) -> None:
    flat = np.zeros(N_VOCAB, dtype=np.float32)
    searched = Searched(elsewhere)
    for before in befores:
        grown = befores[0] + before
        for wanted in (grown, grown[:-1], before):
            if wanted:
                anew = Copying(HALF, elsewhere, wanted).mixed(flat)
                assert [*Copying(HALF, searched, wanted).mixed(flat)] == [*anew]
