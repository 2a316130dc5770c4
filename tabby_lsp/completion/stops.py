"""Decides while text streams in where the completion ends.

Invariant: depends on the text so far only, and an end once given stays whatever comes after it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabby_lsp.completion.brackets import CLOSERS, opener_of, pair_up
from tabby_lsp.completion.cursor import FENCE, indentation_of, lines_of
from tabby_lsp.completion.rest import code_again_at

if TYPE_CHECKING:
    from tabby_lsp.completion.cursor import Cursor
    from tabby_lsp.completion.trigger import Scope

# The longest block that the starter model was trained on; more nobody reads as ghost text.
MAX_BLOCK_LINES = 12

# A model that says a line for the third time will say it for ever (Continue: stopAtRepeatingLines).
_MAX_SAME_LINES = 3
_MAX_BLANK_LINES = 2

# What models say when they fall out of their part: sentinels of FIM and of chat templates, broken
# UTF-8, control characters and halves of surrogate pairs. No piece may hold "<", so that none
# begins inside another. [PREFIX] and <s> are not here: people write them.
CONTROL_PIECE = re.compile(
    r"<\|[\w.-]+\|>|<\uff5c[\w▁ ]+\uff5c>|<\[[a-z]+-[a-z]+\]>|<fim[_-](?:prefix|middle|suffix|pad)>"
    r"|<(?:file_sep|repo_name|reponame|gh_stars|empty_output|endoftext)>"
    r"|<(?:issue|jupyter|commit)_[a-z]+>"
    r"|^<filename>|</?think>|<(?:start|end)_of_turn>|▁?<(?:PRE|SUF|MID|EOT)>"
    r"|[\x00-\x08\x0e-\x1f\x7f\ufffd\ud800-\udfff]",
    re.MULTILINE,
)

OPENING_FENCE = re.compile(r"[ \t]*```[^\s`]*[ \t]*(?:\r\n|\r|\n)")


def end_of(text: str, cursor: Cursor, scope: Scope) -> int | None:
    """Where in `text`, all that was said so far, the completion ends; None while that is open.

    A model that begins a new line at a line's end has nothing to add to it: the end is 0.
    """
    fenced = None if cursor.has_fences else OPENING_FENCE.match(text)
    start = fenced.end() if fenced else 0
    is_block = scope == "block" and cursor.rest_closes
    end = (_end_of_block if is_block else _end_of_line)(text[start:], cursor)
    return None if end is None else start + end


def _end_of_line(text: str, cursor: Cursor) -> int | None:
    """At the first line end; on a blank line the answer may come after some more blank ones."""
    n_blank_lines = 0
    for start, end, is_complete in lines_of(text):
        line = text[start:end]
        if line.strip():
            if start and not line.startswith(cursor.indentation):
                return 0
            control = CONTROL_PIECE.search(line)
            if control:
                return start + control.start()
            return start + _end_before_rest(line, cursor) if is_complete else None
        n_blank_lines += 1
        if is_complete and (not cursor.begins_line or n_blank_lines > _MAX_BLANK_LINES):
            return 0
    return None


def _end_before_rest(line: str, cursor: Cursor) -> int:
    """Where a whole line ends for the cursor.

    Before other code, a model that goes on to a new line has overlooked it: what it said is right
    up to where it says the same, or not at all.
    """
    if cursor.rest_closes or cursor.rest_is_comment:
        return len(line)
    return code_again_at(line, cursor) or 0


def _end_of_block(text: str, cursor: Cursor) -> int | None:
    block = _Block.at(cursor)
    for start, end, is_complete in lines_of(text):
        line = text[start:end]
        stop = block.stops_in(line, start) if line.strip() else None
        if stop is None and is_complete:
            stop = block.stops_after(line, start, end)
        if stop is not None:
            return stop
    return None


@dataclass(slots=True, kw_only=True)
class _Block:
    """What a block has shown so far, line by line."""

    indentation: str  # its lines begin with it
    is_deeper: bool  # and with more than that
    in_bracket: bool  # a bracket opens it, and its closer ends it
    below: str  # the next line of the document that is not blank
    has_fences: bool
    language: str
    depth: int  # brackets open, the block's own included
    end: int = 0  # of the last line that is not blank
    n_lines: int = 0
    n_blank_lines: int = 0
    same_line: str = ""
    n_same_lines: int = 0
    same_end: int = 0  # of the first of them

    @classmethod
    def at(cls, cursor: Cursor) -> _Block:
        in_bracket = opener_of(cursor.opening_line, cursor.language) in ("(", "[", "{")
        is_inside = cursor.begins_line and cursor.indentation != ""
        return cls(
            indentation=indentation_of(cursor.line_before if is_inside else cursor.opening_line),
            is_deeper=not is_inside,
            in_bracket=in_bracket,
            below=cursor.line_below.rstrip(),
            has_fences=cursor.has_fences,
            language=cursor.language,
            depth=int(in_bracket),
        )

    def stops_in(self, line: str, start: int) -> int | None:
        """The end that a line's first visible character gives, or a control piece in it."""
        if start and not self._holds(line):
            return self.end
        if start and not self.has_fences and line.lstrip().startswith(FENCE):
            return self.end
        control = CONTROL_PIECE.search(line)
        return start + control.start() if control else None

    def stops_after(self, line: str, start: int, end: int) -> int | None:
        """The end that a whole line gives; the first line is only the rest of the cursor's own."""
        if not line.strip():
            self.n_blank_lines += start > 0
            return self.end if self.n_blank_lines == _MAX_BLANK_LINES else None
        if start and line.rstrip() == self.below:
            return self.end
        self._count_same(line, end)
        if self.n_same_lines == _MAX_SAME_LINES:
            return self.same_end
        pairs = pair_up(line, self.language)
        self.depth += len(pairs.left_open) - pairs.n_unopened
        self.end = end
        self.n_lines += 1
        self.n_blank_lines = 0
        is_closed = self.in_bracket and self.depth <= 0
        return end if is_closed or self.n_lines == MAX_BLOCK_LINES else None

    def _holds(self, line: str) -> bool:
        """Whether a line belongs to the block by its indentation, or closes a bracket of it."""
        own = indentation_of(line)
        if own.startswith(self.indentation) and (own != self.indentation or not self.is_deeper):
            return True
        closer = line.lstrip()[0]
        return closer in CLOSERS and self.depth > 0 and not self.below.startswith(own + closer)

    def _count_same(self, line: str, end: int) -> None:
        if line != self.same_line:
            self.same_line, self.n_same_lines, self.same_end = line, 0, end
        self.n_same_lines += 1
