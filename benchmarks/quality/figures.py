"""From answers to figures, each with the interval that chance leaves it.

Invariant: pure; files are drawn again and not places, since places of one file are alike.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from difflib import SequenceMatcher
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.quality.asking import Answer, Typed

_N_DRAWS = 1_000
_TAIL = 0.025  # on both sides: 95 % lie between


@dataclass(frozen=True, slots=True)
class Figure:
    """A value, and where 95 of 100 other draws of files would have it."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, slots=True)
class Part:
    """One place's part in a ratio: of `whole` so much is `part`."""

    file: str
    part: float
    whole: float = 1.0


def is_exact(answer: Answer) -> bool:
    """Whether the model's own line is the one that stood there."""
    return answer.said == answer.rest


def is_shown_right(answer: Answer) -> bool:
    """Whether what is seen is the rest of the line."""
    return answer.shown is not None and answer.shown.rstrip() == answer.rest


def similarity(answer: Answer) -> float:
    """1 for the same text, 0 for nothing in common."""
    return SequenceMatcher(None, answer.said, answer.rest, autojunk=False).ratio()


MEASURES: dict[str, Callable[[Answer], tuple[float, float]]] = {
    "exact, every place answered": lambda each: (is_exact(each), 1),
    "edit similarity, likewise": lambda each: (similarity(each), 1),
    "share shown": lambda each: (each.shown is not None, 1),
    "exact of what is shown": lambda each: (is_shown_right(each), each.shown is not None),
    "exact and shown": lambda each: (is_shown_right(each), 1),
}


def parts(answers: Sequence[Answer], measure: str) -> list[Part]:
    """Each answer's part in a measure."""
    return [Part(each.file, *MEASURES[measure](each)) for each in answers]


def keys_saved(typed: Sequence[Typed]) -> list[Part]:
    """Of the characters that were wanted, those for which no key was pressed."""
    return [Part(each.file, each.n_chars - each.n_keys, each.n_chars) for each in typed]


def figure(own: Sequence[Part], seed: int = 1) -> Figure:
    """The ratio of sums."""
    values = _drawn([own], lambda ratios: ratios[0], seed)
    return Figure(_ratio(own), *_interval(values), len(own))


def difference(own: Sequence[Part], other: Sequence[Part], seed: int = 1) -> Figure:
    """Own less other, at the same places, so that what is hard for both does not count."""
    values = _drawn([own, other], lambda ratios: ratios[0] - ratios[1], seed)
    return Figure(_ratio(own) - _ratio(other), *_interval(values), len(own))


def quotient(own: Sequence[Part], other: Sequence[Part], seed: int = 1) -> Figure:
    """Own by other, at the same places."""
    values = _drawn([own, other], lambda r: r[0] / r[1] if r[1] else float("inf"), seed)
    below = _ratio(other)
    return Figure(_ratio(own) / below if below else float("inf"), *_interval(values), len(own))


def median(values: Sequence[float], share: float = 0.5) -> float:
    """The value that `share` of them do not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def _drawn(
    runs: Sequence[Sequence[Part]], of: Callable[[list[float]], float], seed: int
) -> list[float]:
    """The value for `_N_DRAWS` draws of as many files, with replacement."""
    by_file: dict[str, list[list[float]]] = defaultdict(lambda: [[0.0, 0.0] for _ in runs])
    for index, own in enumerate(runs):
        for each in own:
            sums = by_file[each.file][index]
            sums[0] += each.part
            sums[1] += each.whole
    files = list(by_file.values())
    random = Random(seed)
    values = []
    for _ in range(_N_DRAWS if files else 0):
        draw = random.choices(files, k=len(files))
        ratios = []
        for index in range(len(runs)):
            whole = sum(file[index][1] for file in draw)
            ratios.append(sum(file[index][0] for file in draw) / whole if whole else 0.0)
        values.append(of(ratios))
    return sorted(values)


def _ratio(own: Sequence[Part]) -> float:
    whole = sum(each.whole for each in own)
    return sum(each.part for each in own) / whole if whole else 0.0


def _interval(values: list[float]) -> tuple[float, float]:
    if not values:
        return 0.0, 0.0
    return values[int(_TAIL * len(values))], values[int((1 - _TAIL) * len(values)) - 1]
