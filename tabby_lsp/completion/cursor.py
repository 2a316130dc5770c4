"""Where the user stands: the text round the cursor, and the few facts of its line that rules need.

Invariant: only "\\n", "\\r\\n" and "\\r" end a line, as in LSP; a form feed or U+2028 is text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tabby_lsp.completion.brackets import comment_at

if TYPE_CHECKING:
    from collections.abc import Iterator

# Chat models wrap code in it.
FENCE = "```"

LINE_END = re.compile(r"\r\n|\r|\n")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")

# What may stand right of the cursor and leave the answer open: the second halves of pairs and a
# separator. It is Copilot's check for the middle of a line (microsoft/vscode-copilot-chat).
_CLOSING_REST = re.compile(r"""[)>}\]"'`]*+\s*+[:{;,]?""")
_INDENTATION = re.compile(r"[ \t]*")

# A function's header on one line, its docstring, and nothing more but blanks up to the cursor.
_DOCUMENTED = re.compile(
    r"""^(?P<header>[ \t]*+(?:async[ \t]++)?+def\b[^\r\n]*:)[ \t]*+(?:\r\n|\r|\n)"""
    r"""[ \t]++[rRuU]?(?P<quotes>\"\"\"|\'\'\')(?:(?!(?P=quotes)).)*+(?P=quotes)\s*+\Z""",
    re.MULTILINE | re.DOTALL,
)
_QUOTES = ('"""', "'''")
_DOCSTRING_CHARS = 4_000


# Without slots, so that each fact is found once for all pieces of an answer.
@dataclass(frozen=True, kw_only=True)
class Cursor:
    """The text left and right of the cursor: windows of the document, cut by whoever asks."""

    prefix: str  # ends at the cursor
    suffix: str  # begins at the cursor
    language: str  # LSP language id, "" where it is not known

    @cached_property
    def line_before(self) -> str:
        """What stands left of the cursor on its line."""
        return last_line(self.prefix)

    @cached_property
    def rest(self) -> str:
        """What stands right of the cursor on its line, without the line end."""
        return first_line(self.suffix)

    @cached_property
    def rest_closes(self) -> bool:
        """Whether the rest of the line is blank, or only closers, quotes and a separator."""
        return _CLOSING_REST.fullmatch(self.rest.strip()) is not None

    @cached_property
    def rest_is_comment(self) -> bool:
        """Whether nothing but a comment stands right of the cursor."""
        return comment_at(self.rest.lstrip(), self.language) == 0

    @cached_property
    def begins_line(self) -> bool:
        """Whether only whitespace stands left of the cursor on its line."""
        return not self.line_before.strip()

    @cached_property
    def indentation(self) -> str:
        """The blanks and tabs that the line begins with, up to the cursor."""
        return indentation_of(self.line_before)

    @cached_property
    def line_above(self) -> str:
        """The nearest line above that is not blank, without blanks at its end; "" for none."""
        above = self.prefix[: len(self.prefix) - len(self.line_before)]
        return last_line(above.rstrip())

    @cached_property
    def line_below(self) -> str:
        """The nearest line below that is not blank; "" for none."""
        below = self.suffix[len(self.rest) :]
        from_text = below.lstrip()
        blank = below[: len(below) - len(from_text)]
        return last_line(blank) + first_line(from_text) if from_text else ""

    @cached_property
    def opening_line(self) -> str:
        """The line that opens a block here, if any does: the own one, or that above a blank one.

        Where a docstring ends there, it is the header that it documents.
        """
        line = self.line_above if self.begins_line else self.line_before
        # At a line's beginning a function of a docstring alone is whole.
        is_inside = not self.begins_line or self.indentation != ""
        if self.language == "python" and is_inside and line.rstrip().endswith(_QUOTES):
            start = max(0, len(self.prefix) - _DOCSTRING_CHARS)
            documented = _DOCUMENTED.search(self.prefix, start)
            return documented["header"] if documented else line
        return line

    @cached_property
    def has_fences(self) -> bool:
        """Whether code fences belong to the document itself."""
        return self.language == "markdown" or FENCE in self.prefix or FENCE in self.suffix

    @cached_property
    def line_end(self) -> str:
        """How lines end here: as the cursor's own line, else as the one above it, else "\\n"."""
        own = LINE_END.match(self.suffix, len(self.rest))
        if own:
            return own[0]
        above = self.prefix[: len(self.prefix) - len(self.line_before)]
        return "\r\n" if above.endswith("\r\n") else above[-1:] or "\n"


def lines_of(text: str) -> Iterator[tuple[int, int, bool]]:
    """Start, end and whether a line end follows, for each line; the last, maybe empty, has none.

    A text that grows changes only what was said of its last line.
    """
    start = 0
    for line_end in LINE_END.finditer(text):
        yield start, line_end.start(), True
        start = line_end.end()
    yield start, len(text), False


def whole_lines(text: str) -> list[str]:
    """The lines with their ends, which together are the text."""
    return _LINE.findall(text)


def first_line(text: str) -> str:
    """The text up to its first line end."""
    line_end = LINE_END.search(text)
    return text[: line_end.start()] if line_end else text


def last_line(text: str) -> str:
    """The text after its last line end."""
    return text[max(text.rfind("\n"), text.rfind("\r")) + 1 :]


def indentation_of(line: str) -> str:
    """The blanks and tabs that a line begins with."""
    found = _INDENTATION.match(line)
    return found[0] if found else ""


def is_word(character: str) -> bool:
    """Whether a character may stand in an identifier; "" may not."""
    return character.isalnum() or character == "_"
