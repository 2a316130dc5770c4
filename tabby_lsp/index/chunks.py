"""Cuts a file's text into chunks small enough to be snippets.

Invariant: chunks are whole lines, do not overlap, and joined they are the text again; the same text
always gives the same chunks. This is the only place that knows tree-sitter.
"""

from __future__ import annotations

import importlib
import logging
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from tabby_lsp.languages import BY_ID

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tree_sitter import Language as Grammar
    from tree_sitter import Node, Tree

logger = logging.getLogger(__name__)

# CrossCodeEval's chunks have 10 lines, Copilot's windows 60 for a prompt of 8,000 tokens. A small
# local model reads 1,000 to 2,000 tokens in all; 20 lines of code are about 200 of them.
MAX_LINES = 20
MAX_CHARS = 1_000  # only a single line may be longer
MIN_LINES = 8  # a shorter definition goes together with the next one

# What it costs to cut before a line. A definition costs its depth, so that the outermost are cut
# first. Then come lines after a blank one, then any other, each by its indentation.
_AFTER_BLANK = 100
_PLAIN = 200
_BELOW_COMMENT = 250
_CLOSING = 290
_INSIDE_STATEMENT = 300  # and what the line costs as text
_MAX_INDENT = 24
_MAX_DEPTH = 8

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_COMMENT = re.compile(r"//|#|--|@|/?\*|<!--|%|;")
_CLOSER = re.compile(r"[)\]}]|</|(?:end|else|elif|elsif|except|rescue|catch|finally|ensure)\b")
_DEFINITIONS = frozenset({"function_definition", "class_definition", "decorated_definition"})


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some lines of a file."""

    first_line: int  # counted from 0
    text: str


@lru_cache(maxsize=128)  # open files and their siblings; together some MB as a rule
def chunks(text: str, language: str) -> tuple[Chunk, ...]:
    """The whole text in pieces of at most `MAX_LINES` lines and `MAX_CHARS` characters.

    Python is cut at definitions, by its grammar: a function stays with its decorators and the
    comment above it, a small one stays whole, a long class is cut between its methods. Everything
    else is cut at blank lines, the least indented first.
    """
    lines = _LINE.findall(text)
    costs = _costs_of_text(lines)
    if tree := parsed(text, language):
        costs = _costs_of_syntax(tree, lines, costs)
    return tuple(
        Chunk(first, "".join(lines[first:last]))
        for first, last in _spans(lines, costs, 0, len(lines))
    )


def _spans(
    lines: Sequence[str], costs: Sequence[int], first: int, last: int
) -> list[tuple[int, int]]:
    """Line ranges that fit, cut where it costs least, and there at every such place.

    Neighbours that came out whole are joined again: definitions until they have `MIN_LINES`,
    paragraphs as long as they fit.
    """
    if _fits(lines, first, last):
        return [(first, last)] if last > first else []
    cheapest = min(costs[first + 1 : last])
    cuts = [first, *(i for i in range(first + 1, last) if costs[i] == cheapest), last]
    found: list[tuple[int, int]] = []
    is_whole = False
    for start, end in pairwise(cuts):
        inner = _spans(lines, costs, start, end)
        if is_whole and len(inner) == 1 and _fits(lines, found[-1][0], end):
            before = found[-1]
            if cheapest >= _AFTER_BLANK or before[1] - before[0] < MIN_LINES:
                found[-1] = (before[0], end)
                continue
        found += inner
        is_whole = len(inner) == 1
    return found


def _fits(lines: Sequence[str], first: int, last: int) -> bool:
    n_lines = last - first
    return n_lines <= 1 or (n_lines <= MAX_LINES and sum(map(len, lines[first:last])) <= MAX_CHARS)


def _costs_of_text(lines: Sequence[str]) -> list[int]:
    costs = [0] * len(lines)
    before = ""
    for i, line in enumerate(lines):
        stripped = line.strip()
        if not stripped or _CLOSER.match(stripped):
            costs[i] = _CLOSING
        else:
            expanded = line.expandtabs(4)
            indent = min(len(expanded) - len(expanded.lstrip()), _MAX_INDENT)
            is_below_comment = _COMMENT.match(before) is not None
            kind = _BELOW_COMMENT if is_below_comment else _PLAIN if before else _AFTER_BLANK
            costs[i] = kind + indent
        before = stripped
    return costs


def _costs_of_syntax(tree: Tree, lines: Sequence[str], costs: Sequence[int]) -> list[int]:
    # Half-typed code, too, lies inside for the grammar, and is cut by its looks.
    by_syntax = [_INSIDE_STATEMENT + cost for cost in costs]
    for row, depth, is_definition in _statements(tree.root_node, 0):
        if row >= len(lines):  # what the parser made up after the last line
            continue
        if is_definition:
            cost = depth
        else:
            cost = depth + (_PLAIN if row and lines[row - 1].strip() else _AFTER_BLANK)
        by_syntax[row] = min(by_syntax[row], cost)
    return by_syntax


def _statements(block: Node, depth: int) -> Iterator[tuple[int, int, bool]]:
    """Where statements begin: line, depth, and whether a definition begins or has just ended there.

    Looks only into those that are too long for one chunk.
    """
    begin, end_row = -2, -2  # of the comment lines above, where there are any
    last_row, is_after_definition = -1, False  # of the statement before
    for node in block.named_children:
        row = node.start_point.row
        if node.type == "comment":
            if row > last_row:  # else it stands behind code
                begin, end_row = (begin if row == end_row + 1 else row), node.end_point.row
        elif node.type == "ERROR":
            yield from _statements(node, depth)
        else:
            is_definition = node.type in _DEFINITIONS
            yield begin if row == end_row + 1 else row, depth, is_definition or is_after_definition
            last_row, is_after_definition = node.end_point.row, is_definition
            if last_row - row >= MAX_LINES // 2 and depth < _MAX_DEPTH:
                for inner in _blocks(node):
                    yield from _statements(inner, depth + 1)


def _blocks(node: Node) -> Iterator[Node]:
    for child in node.named_children:
        if child.type == "block":
            yield child
        elif child.type in _DEFINITIONS or child.type.endswith("_clause"):
            yield from _blocks(child)


def parsed(text: str, language: str) -> Tree | None:
    """The syntax tree; None where the language's grammar is not known."""
    known = BY_ID.get(language)
    grammar = _grammar(known.grammar) if known and known.grammar else None
    if not grammar:
        return None
    from tree_sitter import Parser

    return Parser(grammar).parse(text.encode("utf-8", "replace"))


@cache
def _grammar(module: str) -> Grammar | None:
    """A grammar, imported when it is first needed, since the language server must start fast."""
    try:
        from tree_sitter import Language

        return Language(importlib.import_module(module).language())
    except (ImportError, OSError, TypeError, ValueError) as error:
        logger.warning("%s cannot be used, chunks are cut at blank lines: %s", module, error)
        return None
