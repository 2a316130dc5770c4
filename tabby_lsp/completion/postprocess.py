"""From what the model said to what is shown.

Invariant: never raises, and what came out once comes out the same again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from tabby_lsp.completion import filters
from tabby_lsp.completion.cursor import LINE_END
from tabby_lsp.completion.rest import replaced_rest
from tabby_lsp.domain import Completion

if TYPE_CHECKING:
    from collections.abc import Callable

    from tabby_lsp.completion.cursor import Cursor
    from tabby_lsp.completion.trigger import Scope

Filter: TypeAlias = "Callable[[str, Cursor, Scope], str]"

FILTERS: tuple[Filter, ...] = (
    filters.end_at_control_piece,
    filters.unwrap_fence,
    filters.indent_as_the_document,
    filters.start_at_cursor,
    filters.end_at_scope,
    filters.end_before_repetition,
    filters.end_at_whole_statement,
    filters.end_before_comment,
    filters.leave_what_stands_right,
    filters.trim_end,
    filters.drop_what_does_not_fit,
    filters.drop_copy_of_neighbour,
    filters.drop_blank,
)

# A filter may uncover something for an earlier one. Two passes settle real text; what takes
# more than four is junk.
_MAX_PASSES = 4


def postprocess(text: str, cursor: Cursor, scope: Scope) -> Completion | None:
    """What to show of `text`, all that the model said; None where nothing of it is worth showing.

    One visible character is enough: `)` and `:` are right answers. What is worth showing unasked is
    for the model's confidence to say, not for a length.
    """
    text = LINE_END.sub("\n", text)
    for _ in range(_MAX_PASSES):
        filtered = _filtered(text, cursor, scope)
        if filtered == text:
            return _completion(text, cursor) if text else None
        text = filtered
    return None


def _filtered(text: str, cursor: Cursor, scope: Scope) -> str:
    for keep in FILTERS:
        text = keep(text, cursor, scope)
    return text


def _completion(text: str, cursor: Cursor) -> Completion:
    in_line_ends_of_document = text.replace("\n", cursor.line_end)
    return Completion(text=in_line_ends_of_document, replaced=replaced_rest(text, cursor))
