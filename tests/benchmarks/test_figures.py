"""From strokes to figures, goals, the picture and the page."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree

import pytest

from benchmarks.keystrokes import plot, readme
from benchmarks.keystrokes.comparison import RANDOM, STARTER
from benchmarks.keystrokes.contestant import Cost, Totals
from benchmarks.keystrokes.engine import EngineFigures
from benchmarks.keystrokes.figures import (
    TYPED_ALONG,
    Figures,
    Stroke,
    figures_of,
    percentile,
    wait_ratio,
)
from benchmarks.keystrokes.goals import Measured, goals_of
from benchmarks.keystrokes.processes import Usage
from benchmarks.keystrokes.table import goal_lines, lines_of

NOTHING_DONE = Totals()
FREE, DEAR = Cost(), Cost(n_evaluated=2, n_reused=900, n_generated=8)


def strokes(n: int, wait_ms: float, cost: Cost = DEAR, kind: str = "mid-line") -> list[Stroke]:
    return [Stroke(kind, number, wait_ms, 5, cost) for number in range(n)]


def figures(*of: Stroke, cpu_s: float = 1.0, did: Totals = NOTHING_DONE) -> Figures:
    took = [Usage(0.5, 3_000_000, 1, 1), Usage(0.5 + cpu_s, 2_000_000, 1, 1)]
    return figures_of(of, (Totals(), did), took)


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([3, 1, 2, 4], 0.5) == 2
    assert percentile([3, 1, 2, 4], 0.95) == 4
    assert math.isnan(percentile([], 0.5))


def test_tokens_are_those_of_keys_that_asked_the_model() -> None:
    own = figures(*strokes(3, 1, FREE), *strokes(1, 9)).kinds["mid-line"]
    assert (own.without_model, own.evaluated_p50, own.wait_ms_p50) == (0.75, 2, 1)


def test_what_no_key_asked_for_is_counted_apart() -> None:
    own = figures(*strokes(2, 1), cpu_s=0.1, did=Totals(n_evaluated=10, n_generated=40))
    assert (own.n_evaluated, own.n_evaluated_unasked) == (10, 6)
    assert (own.n_generated, own.n_generated_unasked) == (40, 24)
    assert own.cpu_s_per_1000 == pytest.approx(50)
    assert (own.rss_peak_mb, own.rss_end_mb) == (3, 2)


def test_times_are_compared_key_by_key_and_only_where_both_said_as_much() -> None:
    mine = figures(*strokes(4, 1), Stroke("mid-line", 9, 50, 5, FREE))
    theirs = figures(*strokes(3, 10), Stroke("mid-line", 3, 1, 5, Cost(1, 1, 7)))
    assert wait_ratio(mine, theirs, "mid-line", 8) == 0.1
    assert math.isnan(wait_ratio(mine, theirs, "newline", 8))


def measured(ours: Figures, theirs: Figures | None) -> Measured:
    engine = EngineFigures(1_000, 100, 1.2, 1.0, 40.0)
    return Measured(ours, theirs, engine, lag_ms_p99=5, start_ratio=1.1, n_exactly=8)


def test_goals_are_met_missed_or_not_measured() -> None:
    ours = figures(*strokes(9, 1), *strokes(9, 1, FREE, TYPED_ALONG))
    theirs = figures(*strokes(9, 10), cpu_s=10)
    met = {goal.what: goal.is_met for goal in goals_of(measured(ours, theirs))}
    assert [*met.values()] == [True, None, True, False, True, True, True, True, True]
    alone = {goal.what: goal.is_met for goal in goals_of(measured(ours, None))}
    assert [what for what in met if met[what] != alone[what]] == [
        "time to ghost text of 8 tokens, mid-line, by llama.vim's",
        "CPU time of all keys, by llama.vim's",
    ]
    assert "NO" in "\n".join(goal_lines([*goals_of(measured(ours, theirs))]))


def test_everybody_who_was_measured_stands_in_table_picture_and_page() -> None:
    both = {"<we>": figures(*strokes(3, 2)), "they": figures(*strokes(3, 2_000))}
    for name in both:
        assert any(name in line for line in lines_of(both))
        assert any(name in row for row in readme.rows(both))
    drawn = ElementTree.fromstring(plot.svg("A & B", both))
    texts = {element.text for element in drawn.iter()}
    assert {"<we>", "they", "A & B", "mid-line", "1 s"} <= texts


def test_only_what_stands_between_a_models_marks_is_replaced() -> None:
    (a, b), (c, d) = readme.marks("one"), readme.marks("two")
    page = f"before\n{a}\nold\n{b}\nbetween\n{c}\nold\n{d}\nafter\n"
    assert readme.replaced(page, "one", "new\n") == page.replace("old", "new", 1)
    with pytest.raises(ValueError, match="lacks the marks"):
        readme.replaced(page, "three", "new")


def test_readme_has_a_place_for_each_model() -> None:
    page = readme.README.read_text("utf-8")
    assert all(mark in page for name in (STARTER, RANDOM) for mark in readme.marks(name))
