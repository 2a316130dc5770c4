"""The definitions in a file: all of them in outline, and the one at a line.

Invariant: Python is understood by its grammar, everything else by how its lines look.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tabby_lsp.index.chunks import parsed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Node

# More would be a file of its own to read; a class of a standard library has about as many.
_MAX_LINES = 80
_MAX_LINE_CHARS = 160

_DEFINITIONS = ("function_definition", "class_definition")
_DECORATED = "decorated_definition"
_BY_LOOKS = re.compile(
    r"[ \t]*(?:(?:export|default|public|private|protected|internal|static|final|abstract|async|pub"
    r"(?:\([^)]*\))?|unsafe|extern|override|virtual|inline|open|data|sealed)\s+)*"
    r"(?:function|func|fun|fn|def|class|struct|enum|interface|trait|impl|type|module|namespace|"
    r"record|protocol|extension|macro_rules!|sub|proc)\b[^\n]*"
)


def outline(text: str, language: str) -> str:
    """The lines in which something is defined, as they stand there; "" where nothing is."""
    lines = text.split("\n")
    found = [lines[row].rstrip()[:_MAX_LINE_CHARS] for row in _rows(text, language, lines)]
    return "\n".join(found[:_MAX_LINES])


def definition_at(text: str, language: str, row: int) -> tuple[int, int] | None:
    """The first row and the one after the last of the innermost definition that `row` lies in.

    Rows count from 0. None where the language's grammar is not known, or nothing is defined there.
    """
    # Rows end as in LSP, at a lone carriage return too, which a grammar takes for a blank.
    tree = parsed(re.sub(r"\r\n?", "\n", text), language)
    innermost: tuple[int, int] | None = None
    for node in _nodes(tree.root_node, row) if tree else ():
        # A decorator belongs to what it decorates.
        is_decorated = node.parent is not None and node.parent.type == _DECORATED
        if node.type == _DECORATED or (node.type in _DEFINITIONS and not is_decorated):
            innermost = node.start_point.row, node.end_point.row + 1
    return innermost


def _rows(text: str, language: str, lines: list[str]) -> Iterator[int]:
    tree = parsed(text, language)
    if tree:
        found = (node for node in _nodes(tree.root_node) if node.type in _DEFINITIONS)
        yield from (node.start_point.row for node in found)
    else:
        yield from (row for row, line in enumerate(lines) if _BY_LOOKS.match(line))


def _nodes(root: Node, row: int | None = None) -> Iterator[Node]:
    """In the order of the text, the outer before the inner ones; with `row`, those that it is in.

    Not recursive: a sum of a thousand terms is a tree a thousand nodes deep.
    """
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if row is None or node.start_point.row <= row <= node.end_point.row:
            yield node
            waiting += reversed(node.named_children)
