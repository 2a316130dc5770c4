"""The rest of the line and the completion: where both say the same, and what is replaced.

Invariant: what is replaced is a prefix of the rest of the line and a subsequence of the text, as
VSCode wants it for ghost text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tabby_lsp.completion.brackets import pair_up
from tabby_lsp.completion.cursor import LINE_END

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tabby_lsp.completion.cursor import Cursor

# More closers than that are not typed in a row; it bounds the work on lines of nothing else.
_MAX_CLOSER_CHARS = 8

# A shorter piece of code stands in most texts by chance.
_MIN_CODE_CHARS = 4

# How far up a bracket is looked for that the line may close; an empty line ends the search.
_MAX_LINES_ABOVE = 20
_MAX_CHARS_ABOVE = 2000


def n_said_twice(text: str, cursor: Cursor) -> int:
    """How many characters at the end of `text` stand right of the cursor, a closer first."""
    right = cursor.rest.strip()
    longest = min(len(right), _MAX_CLOSER_CHARS)
    candidates = [n for n in (*range(1, longest + 1), len(right)) if text.endswith(right[:n])]
    endings = [text[: len(text) - n] + cursor.rest for n in candidates]
    return _evenest(text + cursor.rest, candidates, endings, cursor)


def replaced_rest(text: str, cursor: Cursor) -> str:
    """What of the rest of the line the text takes the place of; mostly nothing."""
    rest = cursor.rest.rstrip()
    if not cursor.rest_closes:
        return rest if _contains_code(text, rest) else ""
    candidates = range(1, _n_leading(rest[:_MAX_CLOSER_CHARS], text) + 1)
    endings = [text + rest[n:] for n in candidates]
    return rest[: _evenest(text + rest, candidates, endings, cursor)]


def is_uneven(text: str, cursor: Cursor) -> bool:
    """Whether the text would leave brackets or quotes of the line without their other half."""
    was = pair_up(cursor.line_before + cursor.rest, cursor.language)
    kept = cursor.rest[len(replaced_rest(text, cursor)) :]
    now = pair_up(cursor.line_before + text + kept, cursor.language)
    return (
        len(now.left_open) > len(was.left_open)
        or now.n_unopened > max(was.n_unopened, _n_open_above(cursor))
        or (now.string_at is not None and was.string_at is None)
    )


def code_again_at(line: str, cursor: Cursor) -> int | None:
    """Where in `line` the code right of the cursor is said again, at least its beginning."""
    code = cursor.rest.strip()
    if line.rstrip().endswith(code):
        return len(line.rstrip()) - len(code)
    for said in (code, code[:_MIN_CODE_CHARS]):
        # Not in the middle of a word: `x` stands in `max`.
        again = re.search((r"\b" if said[0].isalnum() else "") + re.escape(said), line)
        if again:
            return again.start()
    return None


def _evenest(
    unchanged: str, candidates: Sequence[int], endings: Sequence[str], cursor: Cursor
) -> int:
    """The candidate whose line end leaves the fewest brackets and quotes without their other half.

    0 where none is better than `unchanged`; of equally good ones the largest.
    """
    if not candidates:
        return 0
    n_open_above = _n_open_above(cursor)
    n_unchanged, *n_others = (
        _n_uneven(ending, cursor, n_open_above) for ending in (unchanged, *endings)
    )
    n_fewest, minus_best = min(zip(n_others, (-n for n in candidates), strict=True))
    return -minus_best if n_fewest < n_unchanged else 0


def _n_uneven(ending: str, cursor: Cursor, n_open_above: int) -> int:
    """How many brackets and quotes have no other half when the line goes on with `ending`.

    Within a string its own ones count too: the rest of the line closes those of f"{…}".
    """
    n_in_line = _n_without_half(cursor.line_before, ending, cursor, n_open_above)
    string_at = pair_up(cursor.line_before, cursor.language).string_at
    if string_at is None:
        return n_in_line
    return n_in_line + _n_without_half(cursor.line_before[string_at + 1 :], ending, cursor, 0)


def _n_without_half(before: str, ending: str, cursor: Cursor, n_open_above: int) -> int:
    was = pair_up(before + cursor.rest, cursor.language)
    now = pair_up(before + ending, cursor.language)
    n_unopened_before = pair_up(before, cursor.language).n_unopened
    n_closing_above = max(n_unopened_before, min(was.n_unopened, n_open_above))
    n_brackets = len(now.left_open) + abs(now.n_unopened - n_closing_above)
    return n_brackets + ((now.string_at is None) != (was.string_at is None))


def _n_open_above(cursor: Cursor) -> int:
    """How many brackets the lines above leave open for this one."""
    above = cursor.prefix[: len(cursor.prefix) - len(cursor.line_before)]
    lines = LINE_END.split(above[-_MAX_CHARS_ABOVE:])[-_MAX_LINES_ABOVE - 1 : -1]
    blank = [n for n, line in enumerate(lines, 1) if not line.strip()]
    paragraph = "\n".join(lines[blank[-1] if blank else 0 :])
    return len(pair_up(paragraph, cursor.language).left_open)


def _contains_code(text: str, rest: str) -> bool:
    code = rest.strip()
    return len(code) >= _MIN_CODE_CHARS and code in text and _n_leading(rest, text) == len(rest)


def _n_leading(rest: str, text: str) -> int:
    """How many characters of `rest`, from its first one on, stand in `text` in this order."""
    found = -1
    for n_chars, character in enumerate(rest):
        found = text.find(character, found + 1)
        if found < 0:
            return n_chars
    return len(rest)
