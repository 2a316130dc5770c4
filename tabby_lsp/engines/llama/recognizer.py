"""Which characters may come next in a text of a grammar's language: Earley's recognizer. Pure.

Every grammar can be recognized, ambiguous and left-recursive ones too, and no text is too long:
llama.cpp's own keeps one stack for each reading of the text, of which there may be 2 to the power
of its length (docs/log.md, 2026-11-21).

Invariant: a column is not changed once it is made, so a text can be tried without being taken.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tabby_lsp.domain import Unusable
from tabby_lsp.engines.llama.gbnf import CharClass, Grammar

if TYPE_CHECKING:
    from tabby_lsp.engines.llama.gbnf import Symbol

# About 20 ms; JSON takes 10 to 50 steps.
_MAX_STEPS_PER_CHARACTER = 50_000
# For each token of the answer, in all those that are tried for it, and for each of these besides:
# a vocabulary of 150,000 is looked through before one is found that fits, in a few steps each.
_MAX_STEPS_PER_TOKEN = 1_000_000
STEPS_PER_TRY = 200

Item = tuple[int, "Column"]  # a place in an alternative, and the column where its rule began


class Column:
    """All that may be going on after a text."""

    __slots__ = ("is_complete", "scans", "waiting")

    def __init__(self) -> None:
        self.scans: list[Item] = []  # before a character
        self.waiting: defaultdict[int, list[Item]] = defaultdict(list)  # before a rule, by rule
        self.is_complete = False  # whether the text is in the language


class Recognizer:
    """One grammar; `first` is the column before any character."""

    def __init__(self, grammar: Grammar) -> None:
        self._symbols: list[Symbol | None] = []  # by place; None at an alternative's end
        self._rules: list[int] = []  # by place
        self._starts: list[list[int]] = [[] for _ in grammar.rules]  # places, by rule
        for rule, alternatives in enumerate(grammar.rules):
            for alternative in alternatives:
                self._starts[rule].append(len(self._symbols))
                self._symbols += [*alternative, None]
                self._rules += [rule] * (len(alternative) + 1)
        self._empty = _may_be_empty(grammar)
        self._root = grammar.root
        self.n_steps = 0  # that count: whoever uses it takes off what a try may cost
        self.first = Column()
        self._fill(self.first, [(start, self.first) for start in self._starts[self._root]])
        self.first.is_complete = self._root in self._empty

    def step(self, column: Column, code: int) -> Column | None:
        """After one more character; None where the language has no such text."""
        items = [
            (place + 1, origin)
            for place, origin in column.scans
            if self.char_class(place).has(code)
        ]
        if not items:
            return None
        new = Column()
        self._fill(new, items)
        return new

    def char_class(self, place: int) -> CharClass:
        """The character before which a scanning item stands."""
        symbol = self._symbols[place]
        assert isinstance(symbol, CharClass)
        return symbol

    def _fill(self, column: Column, items: list[Item]) -> None:
        """Raises Unusable where that would take too long."""
        todo, seen = list(items), set(items)
        n_before = self.n_steps
        while todo:
            place, origin = todo.pop()
            symbol = self._symbols[place]
            new: list[Item] = []
            if symbol is None:
                rule = self._rules[place]
                new = [(waiting + 1, start) for waiting, start in origin.waiting.get(rule, ())]
                if rule == self._root and origin is self.first:
                    column.is_complete = True
            elif isinstance(symbol, int):
                column.waiting[symbol].append((place, origin))
                new = [(start, column) for start in self._starts[symbol]]
                if symbol in self._empty:
                    new.append((place + 1, origin))
            else:
                column.scans.append((place, origin))
            self.n_steps += 1 + len(new)
            n_here = self.n_steps - n_before
            if n_here > _MAX_STEPS_PER_CHARACTER or self.n_steps > _MAX_STEPS_PER_TOKEN:
                raise Unusable(
                    "The grammar is too ambiguous to be followed: give each text one reading."
                )
            todo += [item for item in new if item not in seen]
            seen.update(new)


def _may_be_empty(grammar: Grammar) -> set[int]:
    """The rules that the empty text is of."""
    users: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    missing: dict[tuple[int, int], int] = {}  # symbols of an alternative not known to be empty
    empty: set[int] = set()
    for rule, alternatives in enumerate(grammar.rules):
        for index, alternative in enumerate(alternatives):
            missing[rule, index] = len(alternative)
            for symbol in alternative:
                if isinstance(symbol, int):
                    users[symbol].append((rule, index))
    todo = [rule for (rule, _), n_missing in missing.items() if not n_missing]
    while todo:
        rule = todo.pop()
        if rule in empty:
            continue
        empty.add(rule)
        for user in users[rule]:
            missing[user] -= 1
            if not missing[user]:
                todo.append(user[0])
    return empty
