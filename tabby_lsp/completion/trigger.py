"""Decides before anything is generated: whether to complete at all, and a line or a block.

Invariant: depends on the text round the cursor only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tabby_lsp.completion.brackets import opener_of
from tabby_lsp.completion.cursor import indentation_of, is_word

if TYPE_CHECKING:
    from tabby_lsp.completion.cursor import Cursor
    from tabby_lsp.domain import Reason

Scope = Literal["line", "block"]

# Any width does, as long as a tab counts for more than one blank.
_TAB_COLUMNS = 4


def refusal(cursor: Cursor, automatic: bool) -> Reason | None:
    """Why nothing should be completed here, as one kebab-case word; None to go on.

    Who asks explicitly is never refused: a model that is given both sides can fill any gap. Unasked
    text in the middle of a line would push the code right of it about at every key.
    """
    if not automatic:
        return None
    if not cursor.prefix.strip() and not cursor.suffix.strip():
        return "blank-document"
    if is_word(cursor.prefix[-1:]) and is_word(cursor.suffix[:1]):
        return "inside-word"
    if not cursor.rest_closes and not cursor.rest_is_comment:
        return "code-after-cursor"
    return None


def scope(cursor: Cursor) -> Scope:
    """A block where one is opened here and nothing below is its body; a line in any doubt.

    Small models are good for lines; what they say beyond is seldom kept.
    """
    if not cursor.rest_closes or not opener_of(cursor.opening_line, cursor.language):
        return "line"
    outer = _n_columns(indentation_of(cursor.opening_line))
    own = _n_columns(cursor.indentation) if cursor.begins_line and cursor.indentation else outer + 1
    below = _n_columns(indentation_of(cursor.line_below))
    return "block" if own > outer and below < own else "line"


def _n_columns(indentation: str) -> int:
    return len(indentation.expandtabs(_TAB_COLUMNS))
