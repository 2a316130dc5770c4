"""Reads GBNF, llama.cpp's language for grammars, into rules that are sequences of symbols. Pure.

Invariant: neither recursion nor more than a bounded amount of memory, whatever the text is; so a
hostile grammar is a sentence, never the end of the process, as some are in llama.cpp's own reader.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from tabby_lsp.domain import Unusable

_MAX_CHARS = 1 << 20
_MAX_SYMBOLS = 200_000
_MAX_REPETITIONS = 2000  # llama.cpp's own limit
LAST_CODE_POINT = 0x10FFFF

_LEXEMES = re.compile(
    r"""(?P<blank>\s+|\#[^\n]*)
    |(?P<define>(?P<name>[A-Za-z0-9-]+)\s*::=)
    |(?P<reference>[A-Za-z0-9-]+)
    |(?P<literal>"(?:[^"\\]|\\.)*")
    |(?P<range>\[(?:[^\]\\]|\\.)*\])
    |(?P<repeat>[*+?]|\{\s*\d+\s*(?:,\s*\d*\s*)?\})
    |(?P<other>[.()|])""",
    re.VERBOSE | re.DOTALL,
)
_CHARACTER = re.compile(
    r"\\x([0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})|\\(.)|(.)", re.DOTALL
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


class CharClass(NamedTuple):
    """One character: inside one of the ranges of code points, or outside all of them."""

    ranges: tuple[tuple[int, int], ...]
    is_negated: bool = False

    def has(self, code: int) -> bool:
        for low, high in self.ranges:
            if low <= code <= high:
                return not self.is_negated
        return self.is_negated

    def may_have(self, first: int, last: int) -> bool:
        """Whether it has a code point from `first` to `last`; a negated one may say so wrongly."""
        if self.is_negated:
            return not any(low <= first and last <= high for low, high in self.ranges)
        return any(low <= last and first <= high for low, high in self.ranges)


Symbol = CharClass | int  # a character, or the number of a rule
Sequence = list[Symbol]

_ANY = CharClass(((0, LAST_CODE_POINT),))


@dataclass(slots=True)
class _Group:
    """What stands between two brackets, or on the right of a rule, as far as it was read."""

    rule: int
    alternatives: list[Sequence] = field(default_factory=lambda: [[]])


class Grammar:
    """`rules[n]` holds the alternatives of rule n; a text is in the language if rule `root` is it.

    Raises Unusable where the text is no grammar.
    """

    def __init__(self, text: str) -> None:
        if len(text) > _MAX_CHARS:
            raise _wrong(f"it is longer than {_MAX_CHARS:,} characters")
        self.rules: list[list[Sequence]] = []
        self._numbers: dict[str, int] = {}
        self._open: list[_Group] = []
        self._n_symbols = 0
        self._read(text)
        undefined = [name for name, number in self._numbers.items() if not self.rules[number]]
        if undefined:
            raise _wrong(f"the rule {undefined[0][:80]} is nowhere")
        if "root" not in self._numbers:
            raise _wrong("the rule root is nowhere")
        self.root = self._numbers["root"]

    def _read(self, text: str) -> None:
        place = 0
        while place < len(text):
            found = _LEXEMES.match(text, place)
            if found is None or (found.lastgroup not in ("blank", "define") and not self._open):
                raise _wrong(f"line {text.count(chr(10), 0, place) + 1} cannot be read")
            place = found.end()
            kind, lexeme = found.lastgroup, found[0]
            if kind == "define":
                self._define(found["name"])
            elif kind != "blank":
                self._add(str(kind), lexeme)
        self._close_rule()

    def _define(self, name: str) -> None:
        self._close_rule()
        self._open = [_Group(self._number(name))]

    def _close_rule(self) -> None:
        if len(self._open) > 1:
            raise _wrong("a bracket is not closed")
        for group in self._open:
            self.rules[group.rule] = group.alternatives

    def _add(self, kind: str, lexeme: str) -> None:
        if kind == "reference":
            self._append(self._number(lexeme))
        elif kind == "literal":
            codes = _codes(lexeme[1:-1])
            symbols: Sequence = [CharClass(((code, code),)) for code, _ in codes]
            # One symbol, so that a repetition repeats all of it.
            self._append(symbols[0] if len(symbols) == 1 else self._new_rule([symbols]))
        elif kind == "range":
            self._append(_char_class(lexeme[1:-1]))
        elif kind == "repeat":
            self._repeat(*_times(lexeme))
        elif lexeme == ".":
            self._append(_ANY)
        elif lexeme == "(":
            self._open.append(_Group(self._new_rule([])))
        elif lexeme == "|":
            self._open[-1].alternatives.append([])
        elif len(self._open) == 1:
            raise _wrong("a bracket is closed that was not opened")
        else:
            group = self._open.pop()
            self.rules[group.rule] = group.alternatives
            self._append(group.rule)

    def _repeat(self, n_least: int, n_most: int | None) -> None:
        sequence = self._open[-1].alternatives[-1]
        if not sequence:
            raise _wrong("there is nothing before a repetition")
        symbol = sequence.pop()
        for _ in range(n_least):
            self._append(symbol)
        if n_most is None:
            rule = self._new_rule([])
            # Recursion on the left costs the recognizer the same at each character.
            self.rules[rule] = [[], [rule, symbol]]
            self._append(rule)
            return
        rest: int | None = None
        for _ in range(n_most - n_least):
            rest = self._new_rule([[], [symbol] if rest is None else [symbol, rest]])
        if rest is not None:
            self._append(rest)

    def _append(self, symbol: Symbol) -> None:
        self._count(1)
        self._open[-1].alternatives[-1].append(symbol)

    def _number(self, name: str) -> int:
        if name not in self._numbers:
            self._numbers[name] = self._new_rule([])
        return self._numbers[name]

    def _new_rule(self, alternatives: list[Sequence]) -> int:
        self._count(1 + sum(map(len, alternatives)))
        self.rules.append(alternatives)
        return len(self.rules) - 1

    def _count(self, n_symbols: int) -> None:
        self._n_symbols += n_symbols
        if self._n_symbols > _MAX_SYMBOLS:
            raise _wrong(f"it has more than {_MAX_SYMBOLS:,} symbols, repetitions written out")


def _times(lexeme: str) -> tuple[int, int | None]:
    """How often at least and at most; None for no end."""
    if lexeme in "*+?":
        return int(lexeme == "+"), 1 if lexeme == "?" else None
    least, comma, most = lexeme[1:-1].partition(",")
    n_least = _bounded(least)
    n_most = (_bounded(most) if most.strip() else None) if comma else n_least
    if n_most is not None and n_most < n_least:
        raise _wrong(f"{lexeme} ends before it begins")
    return n_least, n_most


def _bounded(digits: str) -> int:
    if len(digits.strip()) > 6 or int(digits) > _MAX_REPETITIONS:
        raise _wrong(f"a repetition is larger than {_MAX_REPETITIONS}")
    return int(digits)


def _char_class(inside: str) -> CharClass:
    is_negated = inside.startswith("^")
    codes = _codes(inside[1:] if is_negated else inside)
    ranges: list[tuple[int, int]] = []
    place = 0
    while place < len(codes):
        code = codes[place][0]
        is_range = place + 2 < len(codes) and codes[place + 1] == (ord("-"), False)
        ranges.append((code, codes[place + 2][0] if is_range else code))
        place += 3 if is_range else 1
    return CharClass(tuple(ranges), is_negated)


def _codes(text: str) -> list[tuple[int, bool]]:
    """The code points of what stands in quotes, and whether each was escaped."""
    codes = []
    for found in _CHARACTER.finditer(text):
        two, four, eight, escaped, plain = found.groups()
        digits = two or four or eight
        if digits:
            codes.append((int(digits, 16), True))
        elif escaped:
            if escaped.isalnum() and escaped not in _ESCAPES:
                raise _wrong(f"\\{escaped} stands for nothing")
            codes.append((ord(_ESCAPES.get(escaped, escaped)), True))
        else:
            codes.append((ord(plain), False))
    return codes


def _wrong(why: str) -> Unusable:
    return Unusable(f"The grammar cannot be used: {why}. GBNF.md of llama.cpp has the language.")
