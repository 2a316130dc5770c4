"""Figures, and the intervals that chance leaves them."""

from __future__ import annotations

from random import Random

import pytest

from benchmarks.quality.asking import Answer, Typed
from benchmarks.quality.figures import (
    MEASURES,
    Part,
    difference,
    figure,
    keys_saved,
    median,
    parts,
    quotient,
    similarity,
)


def answer(said: str, shown: str | None, rest: str = "return x", file: str = "a.py") -> Answer:
    return Answer(f"{file}:1:1", file, "in a name", False, rest, said, shown, "line", 5.0)


def coins(n: int, chance: float, seed: int) -> list[Part]:
    random = Random(seed)
    return [Part(f"{i}.py", random.random() < chance) for i in range(n)]


def test_each_measure() -> None:
    answers = [
        answer("return x", "return x"),
        answer("return y", "return y"),
        answer("return x", None),
        answer("pass", None),
    ]
    values = {measure: figure(parts(answers, measure)).value for measure in MEASURES}
    assert values == {
        "exact, every place answered": 0.5,
        "edit similarity, likewise": pytest.approx(sum(map(similarity, answers)) / 4),
        "share shown": 0.5,
        "exact of what is shown": 0.5,
        "exact and shown": 0.25,
    }
    assert similarity(answers[0]) == 1
    assert 0.8 < similarity(answers[1]) < 1


def test_what_is_true_lies_in_19_of_20_intervals() -> None:
    figures = [figure(coins(200, 0.3, seed), seed) for seed in range(60)]
    inside = sum(each.low <= 0.3 <= each.high for each in figures)
    assert 50 <= inside <= 60
    assert all(0.05 < each.high - each.low < 0.2 for each in figures)


def test_places_of_one_file_count_as_one() -> None:
    alone = [Part("a.py", 1)] * 50 + [Part("b.py", 0)] * 50
    assert (figure(alone).low, figure(alone).high) == (0, 1)


def test_what_is_hard_for_both_does_not_widen_a_difference() -> None:
    other = coins(300, 0.3, 1)
    own = [Part(each.file, each.part or i % 20 == 0) for i, each in enumerate(other)]
    found = difference(own, other)
    assert 0 < found.low < found.value < found.high < 0.1
    assert quotient(own, other).low > 1


def test_no_places_are_no_figure() -> None:
    assert (figure([]).value, figure([]).low, figure([]).high) == (0, 0, 0)
    assert median([]) == 0


def test_keys_are_counted_by_the_characters_they_save() -> None:
    typed = [Typed("a:1:1", "a.py", 10, 5, 1), Typed("b:1:1", "b.py", 30, 25, 1)]
    assert figure(keys_saved(typed)).value == 0.25


def test_the_median_is_in_the_middle() -> None:
    assert median([3, 1, 2]) == 2
    assert median(list(range(100)), 0.9) == 90
