"""Where the cursor will stand after a suggestion is accepted, and after the Enter that follows.

Invariant: a guess only; where an editor does otherwise, what was prepared is not found.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from tabby_lsp.completion.brackets import OPENERS, opener_of
from tabby_lsp.completion.cursor import indentation_of
from tabby_lsp.completion.indentation import step_of

if TYPE_CHECKING:
    from tabby_lsp.completion.cursor import Cursor
    from tabby_lsp.domain import Completion

# After these, editors go back by one step (VSCode's Python, Vim's `GetPythonIndent`).
_ENDS_BLOCK = re.compile(r"\s*(?:return|raise|break|continue|pass)\b")


def accepted(cursor: Cursor, completion: Completion) -> Cursor:
    """The cursor when the completion has been put in."""
    return replace(
        cursor,
        prefix=cursor.prefix + completion.text,
        suffix=cursor.suffix.removeprefix(completion.replaced),
    )


def past_closers(cursor: Cursor) -> Cursor:
    """The cursor when closers right of it have been typed over; where it was before other code."""
    if not cursor.rest_closes:
        return cursor
    rest = cursor.rest
    return replace(cursor, prefix=cursor.prefix + rest, suffix=cursor.suffix[len(rest) :])


def entered(cursor: Cursor) -> Cursor | None:
    """The cursor after Enter at its line's end, indented as editors do it.

    None before other code, and between the halves of a pair, of which each editor makes two lines
    in its own way.
    """
    if not cursor.rest_closes:
        return None
    if cursor.rest.strip() and opener_of(cursor.line_before, cursor.language) in tuple(OPENERS):
        return None
    end = past_closers(cursor)
    new_line = end.line_end + _indentation_below(end)
    return replace(end, prefix=end.prefix + new_line)


def _indentation_below(cursor: Cursor) -> str:
    line = cursor.line_before
    own, step = indentation_of(line), step_of(cursor.prefix)
    if opener_of(line, cursor.language):
        return own + step
    if cursor.language == "python" and _ENDS_BLOCK.match(line):
        return own.removesuffix(step)
    return own
