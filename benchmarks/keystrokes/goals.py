"""What the figures should be, and what they are. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.keystrokes.figures import TYPED_ALONG, Figures, wait_ratio

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.keystrokes.engine import EngineFigures


@dataclass(frozen=True, slots=True)
class Measured:
    """All that was measured with one model."""

    ours: Figures
    llama_vim: Figures | None  # None where its server is not built
    engine: EngineFigures
    lag_ms_p99: float
    start_ratio: float
    n_exactly: int  # tokens of each answer; 0 where each has as many as it has


@dataclass(frozen=True, slots=True)
class Goal:
    """One row; NaN where it was not measured."""

    what: str
    limits: tuple[float, ...]
    values: tuple[float, ...]
    unit: str = ""
    at_least: bool = False

    @property
    def is_met(self) -> bool | None:
        """None where it was not measured."""
        if any(math.isnan(value) for value in self.values):
            return None
        pairs = zip(self.values, self.limits, strict=True)
        return all(value >= limit if self.at_least else value <= limit for value, limit in pairs)

    def cells(self) -> tuple[str, str, str, str]:
        """What, goal, measured, met."""
        sign = ">=" if self.at_least else "<="
        goal = f"{sign} {self._joined(self.limits)}"
        met = {True: "yes", False: "NO", None: "not measured"}[self.is_met]
        return self.what, goal, self._joined(self.values), met

    def _joined(self, values: tuple[float, ...]) -> str:
        texts = ["-" if math.isnan(v) else self._written(v) for v in values]
        return " / ".join(texts) + (f" {self.unit}" if self.unit and self.unit != "%" else "")

    def _written(self, value: float) -> str:
        return f"{value:.0%}" if self.unit == "%" else f"{value:.3g}"


def goals_of(measured: Measured) -> Iterator[Goal]:
    """In the order of the keystroke's life."""
    ours, theirs, engine = measured.ours, measured.llama_vim, measured.engine
    nan = math.nan
    mid_line, newline = ours.kinds.get("mid-line"), ours.kinds.get("newline")
    along = ours.kinds.get(TYPED_ALONG)
    yield Goal(
        "evaluated tokens, mid-line, p50 / p95",
        (2, 8),
        (mid_line.evaluated_p50, mid_line.evaluated_p95) if mid_line else (nan, nan),
    )
    yield Goal("evaluated tokens, newline, p50", (8,), (newline.evaluated_p50 if newline else nan,))
    if measured.n_exactly:
        n = measured.n_exactly
        ratio = wait_ratio(ours, theirs, "mid-line", n) if theirs else nan
        yield Goal(f"time to ghost text of {n} tokens, mid-line, by llama.vim's", (0.15,), (ratio,))
    yield Goal(
        "engine's time by llama.cpp's for the same tokens, four documents",
        (1.10,),
        (engine.over_floor,),
    )
    cpu = ours.cpu_s_per_1000 / theirs.cpu_s_per_1000 if theirs else nan
    yield Goal("CPU time of all keys, by llama.vim's", (0.5,), (cpu,))
    yield Goal(
        "typing along answered without the model",
        (0.95,),
        (along.without_model if along else nan,),
        "%",
        at_least=True,
    )
    yield Goal(
        "cancelling to idle, p50 / p99", (5, 50), (engine.cancel_ms_p50, engine.cancel_ms_p99), "ms"
    )
    yield Goal("event loop's lag while generating, p99", (20,), (measured.lag_ms_p99,), "ms")
    yield Goal(
        "spawn to `initialize`, by `import pygls.lsp.server`", (1.3,), (measured.start_ratio,)
    )
