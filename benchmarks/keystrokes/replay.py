"""Replays a trace on one contestant after the other, a visit to a file at a time.

Each key waits for the answer to the one before it, and for the typist's pause; so what is measured
is the time to the ghost text, and how fast somebody types does not decide how much of it is seen.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from benchmarks.keystrokes.contestant import Suggestion
from benchmarks.keystrokes.figures import (
    ACCEPTED,
    ACCEPTED_WORD,
    TYPED_ALONG,
    Figures,
    Stroke,
    figures_of,
)
from benchmarks.keystrokes.trace import Edit, Follow, Open, classes, started, visits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.keystrokes.contestant import Contestant
    from benchmarks.keystrokes.trace import How, Key, Trace

_WORD = re.compile(r"\s*(\w+|[^\w\s]+)")
_MAX_TYPED_ALONG = 24
_MAX_WORDS = 3


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast somebody types, and for how long."""

    pause_s: float  # between an answer and the next key
    at_most_s: float  # of typing; what the trace has after that is left out


class Player:
    """One contestant at its own copy of the documents."""

    def __init__(
        self, contestant: Contestant, trace: Trace, read: Callable[[str], str], pace: Pace
    ) -> None:
        self.contestant = contestant
        self.strokes: list[Stroke] = []
        self._paths = [source.path for source in trace.sources]
        self._desk = started(trace, read)
        self._pace = pace
        self._typed_s = 0.0
        self._shown = Suggestion()

    def play(self, keys: Sequence[Key], kinds: Sequence[str | None], n_before: int) -> None:
        """One visit, and what it has cost; `n_before` keys of the trace came before it."""
        first = len(self.strokes)
        begun_s = time.monotonic() - self._typed_s
        for number, (key, kind) in enumerate(zip(keys, kinds, strict=True), n_before):
            self._typed_s = time.monotonic() - begun_s
            if self._typed_s > self._pace.at_most_s:
                break
            if isinstance(key, Follow):
                self._follow(key.how)
                continue
            before = self._desk.text
            edit = self._desk.press(key)
            if isinstance(key, Open):
                self.contestant.open(self._path, self._desk.text)
            if edit is not None:
                self.contestant.change(self._path, before, edit)
            if kind is not None:
                self._ask(kind, number)
        costs = self.contestant.costs()
        self.strokes[first:] = [
            replace(stroke, cost=cost)
            for stroke, cost in zip(self.strokes[first:], costs, strict=True)
        ]

    @property
    def text(self) -> str:
        return self._desk.text

    @property
    def _path(self) -> str:
        return self._paths[self._desk.document]

    def _ask(self, kind: str, number: int = -1) -> None:
        self._shown = self.contestant.ask(self._path, self._desk.text, self._desk.cursor)
        self.strokes.append(Stroke(kind, number, self._shown.wait_ms, len(self._shown.text)))
        time.sleep(self._pace.pause_s)

    def _edit(self, edit: Edit) -> None:
        before = self._desk.text
        self._desk.apply(edit)
        self.contestant.change(self._path, before, edit)

    def _follow(self, how: How) -> None:
        """Take what is shown, and undo that."""
        shown, start = self._shown, self._desk.cursor
        if not shown.text:
            return
        replaced = self._desk.text[start : start + shown.n_replaced]
        if how == "type":
            # Behind the last character nothing is left of the suggestion.
            parts = [*shown.text.split("\n")[0][:-1][:_MAX_TYPED_ALONG]]
            kind = TYPED_ALONG
        elif how == "word":
            words = _WORD.finditer(shown.text.split("\n")[0])
            parts = [word.group() for word in words][:_MAX_WORDS]
            kind = ACCEPTED_WORD
        else:
            parts = [shown.text if how == "all" else shown.text.split("\n")[0]]
            kind = ACCEPTED
        n_replaced = 0 if kind != ACCEPTED else shown.n_replaced
        for part in parts:
            cursor = self._desk.cursor
            self._edit(Edit(cursor, cursor + n_replaced, part, cursor + len(part)))
            self._ask(kind)
        put_back = replaced if n_replaced else ""
        self._edit(Edit(start, self._desk.cursor, put_back, start))
        self._shown = Suggestion()


def replay(
    trace: Trace,
    contestants: Sequence[Contestant],
    read: Callable[[str], str],
    pace: Pace,
    hear: Callable[[int, int], None] = lambda n_done, n_all: None,
) -> dict[str, Figures]:
    """The figures of each, by name; `hear` is told how many keys are done, of how many.

    Another one begins each time, since a machine may be busy with something else.
    """
    players = [Player(contestant, trace, read, pace) for contestant in contestants]
    took = [[contestant.usage()] for contestant in contestants]
    did = [contestant.totals() for contestant in contestants]
    kinds = [*classes(trace)]
    n_before = 0
    for number, keys in enumerate(visits(trace)):
        first = number % len(players)
        kinds_here = kinds[n_before : n_before + len(keys)]
        for place in [*range(first, len(players)), *range(first)]:
            players[place].play(keys, kinds_here, n_before)
            contestants[place].wait_idle()
            took[place].append(contestants[place].usage())
        n_before += len(keys)
        hear(n_before, len(trace.keys))
    return {
        player.contestant.name: figures_of(player.strokes, (before, player.contestant.totals()), of)
        for player, before, of in zip(players, did, took, strict=True)
    }
