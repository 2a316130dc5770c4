"""The figures as tables for a terminal. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from benchmarks.keystrokes.figures import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.keystrokes.figures import Figures
    from benchmarks.keystrokes.goals import Goal

_HEAD = (
    f"  {'':42} {'keys':>5} {'no model':>8} {'shown':>6} {'evaluated':>11} {'reused':>6}"
    f" {'gen.':>5} {'ms to ghost text':>23}"
)
_SUBHEAD = (
    f"  {'':42} {'':5} {'':8} {'':6} {'p50':>5} {'p95':>5} {'p50':>6} {'p50':>5}"
    f" {'p50':>7} {'p95':>7} {'p99':>7}"
)


def lines_of(figures: Mapping[str, Figures]) -> Iterator[str]:
    """One table for each class of keystroke's line by contestant, then what all keys took."""
    yield _HEAD
    yield _SUBHEAD
    for kind in KINDS:
        for name, own in figures.items():
            if kind not in own.kinds:
                continue
            it = own.kinds[kind]
            yield (
                f"  {kind:15} {name:26} {it.n:5} {it.without_model:8.0%} {it.shown:6.0%}"
                f" {_count(it.evaluated_p50)} {_count(it.evaluated_p95)} {_count(it.reused_p50, 6)}"
                f" {_count(it.generated_p50)}"
                f" {it.wait_ms_p50:7.1f} {it.wait_ms_p95:7.1f} {it.wait_ms_p99:7.1f}"
            )
    yield ""
    yield (
        f"  {'each 1,000 keys':42} {'evaluated':>10} {'unasked':>8}"
        f" {'generated':>10} {'unasked':>8} {'CPU s':>7} {'MB peak':>8} {'MB end':>7}"
    )
    for name, own in figures.items():
        per = 1_000 / own.n
        yield (
            f"  {name:42} {own.n_evaluated * per:10,.0f} {own.n_evaluated_unasked * per:8,.0f}"
            f" {own.n_generated * per:10,.0f} {own.n_generated_unasked * per:8,.0f}"
            f" {own.cpu_s_per_1000:7.1f} {own.rss_peak_mb:8.0f} {own.rss_end_mb:7.0f}"
        )


def _count(value: float, width: int = 5) -> str:
    return f"{'-' if math.isnan(value) else f'{value:.0f}':>{width}}"


def goal_lines(goals: Sequence[Goal]) -> Iterator[str]:
    """Each goal with what was measured, and whether that is good enough."""
    yield f"  {'goal':68} {'':>14} {'measured':>16}  met"
    for goal in goals:
        what, limit, value, met = goal.cells()
        yield f"  {what:68} {limit:>14} {value:>16}  {met}"
