"""From strokes to figures: values that can be written as JSON. Pure."""

from __future__ import annotations

import math
from dataclasses import asdict, astuple, dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.keystrokes.contestant import NOTHING, Cost

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.keystrokes.contestant import Totals
    from benchmarks.keystrokes.processes import Usage

TYPED_ALONG, ACCEPTED_WORD, ACCEPTED = "typed along", "accepted a word", "accepted"
# In the order of tables.
KINDS: tuple[str, ...] = (
    "mid-line",
    "newline",
    "backspace",
    TYPED_ALONG,
    ACCEPTED_WORD,
    ACCEPTED,
    "jump",
    "file switch",
    "cold",
)


@dataclass(frozen=True, slots=True)
class Stroke:
    """One key that was answered."""

    kind: str  # a KeyClass, or what was done with a suggestion
    number: int  # of the key in the trace; -1 for what was done with a suggestion
    wait_ms: float
    n_shown_chars: int
    cost: Cost = NOTHING


@dataclass(frozen=True, slots=True)
class OfKind:
    """What the keys of one kind have cost; tokens are of those that asked a model."""

    n: int
    without_model: float  # shares
    shown: float
    evaluated_p50: float
    evaluated_p95: float
    reused_p50: float
    generated_p50: float
    wait_ms_p50: float
    wait_ms_p95: float
    wait_ms_p99: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What a contestant has cost on a trace."""

    n: int
    kinds: dict[str, OfKind]
    n_evaluated: int
    n_evaluated_unasked: int  # by no key that was answered: prepared, or given up
    n_generated: int
    n_generated_unasked: int
    cpu_s_per_1000: float
    rss_peak_mb: float
    rss_end_mb: float
    strokes: tuple[Stroke, ...]

    def as_json(self) -> dict[str, Any]:
        """Each stroke as [kind, number, wait_ms, n_shown_chars, evaluated, reused, generated]."""
        strokes = [[*astuple(stroke)[:-1], *astuple(stroke.cost)] for stroke in self.strokes]
        return asdict(self) | {"strokes": strokes}


def wait_ratio(mine: Figures, theirs: Figures, kind: str, n_generated: int) -> float:
    """The median of how long a key took here by how long the same key took there.

    Keys count at which both models were asked and said so many tokens; NaN where there are none.
    """
    other = {stroke.number: stroke for stroke in theirs.strokes}
    ratios = []
    for stroke in mine.strokes:
        same = other.get(stroke.number)
        if stroke.kind == kind and same is not None:
            if stroke.cost.n_generated == same.cost.n_generated == n_generated:
                ratios.append(stroke.wait_ms / same.wait_ms)
    return percentile(ratios, 0.5)


def figures_of(
    strokes: Sequence[Stroke], did: tuple[Totals, Totals], took: Sequence[Usage]
) -> Figures:
    """`did` and `took` are from before the first key to behind the last."""
    n_evaluated = did[1].n_evaluated - did[0].n_evaluated
    n_generated = did[1].n_generated - did[0].n_generated
    return Figures(
        n=len(strokes),
        kinds={
            kind: _of_kind([stroke for stroke in strokes if stroke.kind == kind])
            for kind in KINDS
            if any(stroke.kind == kind for stroke in strokes)
        },
        n_evaluated=n_evaluated,
        n_evaluated_unasked=n_evaluated - sum(stroke.cost.n_evaluated for stroke in strokes),
        n_generated=n_generated,
        n_generated_unasked=n_generated - sum(stroke.cost.n_generated for stroke in strokes),
        cpu_s_per_1000=(took[-1].cpu_s - took[0].cpu_s) / max(1, len(strokes)) * 1_000,
        rss_peak_mb=max(usage.rss_bytes for usage in took) / 1e6,
        rss_end_mb=took[-1].rss_bytes / 1e6,
        strokes=tuple(strokes),
    )


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that so many are not above; NaN of nothing."""
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else math.nan


def _of_kind(strokes: Sequence[Stroke]) -> OfKind:
    asked = [stroke for stroke in strokes if not stroke.cost.is_free]
    waits = [stroke.wait_ms for stroke in strokes]
    return OfKind(
        n=len(strokes),
        without_model=1 - len(asked) / len(strokes),
        shown=sum(stroke.n_shown_chars > 0 for stroke in strokes) / len(strokes),
        evaluated_p50=percentile((stroke.cost.n_evaluated for stroke in asked), 0.5),
        evaluated_p95=percentile((stroke.cost.n_evaluated for stroke in asked), 0.95),
        reused_p50=percentile((stroke.cost.n_reused for stroke in asked), 0.5),
        generated_p50=percentile((stroke.cost.n_generated for stroke in asked), 0.5),
        wait_ms_p50=percentile(waits, 0.5),
        wait_ms_p95=percentile(waits, 0.95),
        wait_ms_p99=percentile(waits, 0.99),
    )
