"""How long to wait for the next key before a server is asked: as long as this user pauses.

The algorithm and its numbers are those of tabby-agent's `CompletionDebouncer`.
Invariant: no clock; the times come in as arguments.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tabby_lsp.completion.cursor import Cursor

_FIRST_BASE_MS = 200.0
_MIN_BASE_MS, _MAX_BASE_MS = 100.0, 400.0
_MIN_INTERVALS, _MAX_INTERVALS = 20, 100
_MIN_RATE, _MAX_RATE = 1.5, 3.0
_MIN_DELAY_MS, _MAX_DELAY_MS = 100.0, 1_000.0
_WORDLESS = re.compile(r"\W*")


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast somebody types, from the times between the last requests."""

    intervals_ms: tuple[float, ...] = ()

    def after(self, interval_ms: float) -> Pace:
        """The pace one request later; a longer interval was a break, and says nothing of typing."""
        if interval_ms > _MAX_BASE_MS:
            return self
        return replace(self, intervals_ms=(*self.intervals_ms, interval_ms)[-_MAX_INTERVALS:])

    @property
    def base_ms(self) -> float:
        """The mean interval, as soon as there are enough of them."""
        n_intervals = len(self.intervals_ms)
        if n_intervals <= _MIN_INTERVALS:
            return _FIRST_BASE_MS
        return _clamp(_MIN_BASE_MS, sum(self.intervals_ms) / n_intervals, _MAX_BASE_MS)


def delay_ms(pace: Pace, cursor: Cursor, response_ms: float) -> float:
    """How long to wait at this place, for a server that answers in about `response_ms`."""
    rate = _MAX_RATE - (_MAX_RATE - _MIN_RATE) * _promise(cursor)
    return _clamp(_MIN_DELAY_MS, rate * pace.base_ms - response_ms, _MAX_DELAY_MS)


def _promise(cursor: Cursor) -> float:
    """From 0 to 1, how likely it is that somebody waits for a completion here."""
    is_trigger = _WORDLESS.fullmatch(cursor.prefix[-1:]) is not None
    ends_line = _WORDLESS.fullmatch(cursor.rest) is not None
    ends_document = _WORDLESS.fullmatch(cursor.suffix) is not None
    return 0.5 * is_trigger + 0.4 * ends_line + 0.1 * ends_document


def _clamp(least: float, value: float, most: float) -> float:
    return max(least, min(most, value))
