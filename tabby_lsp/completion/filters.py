"""The filters of post-processing, in the order of `postprocess.FILTERS`.

Invariant: text in, text out, "\\n" its only line end. None makes it longer; "" is nothing to show.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tabby_lsp.completion.brackets import CLOSERS, QUOTES, comment_at, opener_of, pair_up
from tabby_lsp.completion.cursor import indentation_of, is_word
from tabby_lsp.completion.rest import is_uneven, n_said_twice, replaced_rest
from tabby_lsp.completion.stops import CONTROL_PIECE, OPENING_FENCE, end_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tabby_lsp.completion.cursor import Cursor
    from tabby_lsp.completion.trigger import Scope

# A control piece that the token limit has cut through.
_CUT_PIECE = re.compile(r"<\|[\w.-]+\Z|<\uff5c[\w▁ ]*\Z|<fim[_-][a-z]*\Z")
_FENCE_LINE = re.compile(r"^[ \t]*```", re.MULTILINE)

_BLANKS_AT_START = re.compile(r"(?<=\n)(?: {4})+")

_BLANK_LINES = re.compile(r"(?:[^\S\n]*+\n)++")
_LINE_TAIL = re.compile(r"(?<![ \t])[ \t]++(?=\n)")
_OPENING_SIGNS = (":", "(", "[", "{", "=>", "->", "\\")
# Up to two letters before a quote may be a string's prefix, as in rb"".
_WORD_END = re.compile(r"\w{3}\Z|\d\w?\Z")

# (characters, times): a piece this long, said this often in a row, is a loop. The first two are
# tabby-agent's; one or two characters may be a number or the end of a nested call.
_LOOPS = ((10, 4), (3, 6), (1, 24))
_MAX_LOOP_CHARS = 480
_MAX_LOOP_LINES = 4


def end_at_control_piece(text: str, cursor: Cursor, scope: Scope) -> str:
    """Sentinels and broken characters never reach a document (minuet #20, continue #8569)."""
    piece = CONTROL_PIECE.search(text) or _CUT_PIECE.search(text)
    return text[: piece.start()] if piece else text


def unwrap_fence(text: str, cursor: Cursor, scope: Scope) -> str:
    """Take the code out of a chat model's fence (QodeAssist #62, continue #2330)."""
    if cursor.has_fences:
        return text
    opening = OPENING_FENCE.match(text)
    code = text[opening.end() :] if opening else text
    fence = _FENCE_LINE.search(code)
    return code[: fence.start()] if fence else code


def indent_as_the_document(text: str, cursor: Cursor, scope: Scope) -> str:
    """Tabs stay tabs, and a document indented with blanks gets none (llama.vscode #72)."""
    document = cursor.prefix + cursor.suffix
    has_tabs = "\n\t" in document or "\r\t" in document
    has_blanks = "\n  " in document or "\r  " in document
    line_starts = "\n" + text if cursor.begins_line else text
    if has_tabs and not has_blanks:
        line_starts = _BLANKS_AT_START.sub(lambda run: "\t" * (len(run[0]) // 4), line_starts)
    elif has_blanks and not has_tabs and "\n\t" in line_starts:
        line_starts = line_starts.partition("\n\t")[0]
    return line_starts.removeprefix("\n") if cursor.begins_line else line_starts


def start_at_cursor(text: str, cursor: Cursor, scope: Scope) -> str:
    """No blank lines first, no indentation twice, no second blank (copilot.el #179)."""
    if not cursor.begins_line:
        return _without_second_blank(text, cursor)
    blank_lines = _BLANK_LINES.match(text)
    if blank_lines:
        text = text[blank_lines.end() :]
        if not text.startswith(cursor.indentation):
            return ""
        text = text[len(cursor.indentation) :]
    return _without_second_indentation(text, cursor)


def end_at_scope(text: str, cursor: Cursor, scope: Scope) -> str:
    """The stop rules once more; a block's last line is known to be whole now."""
    is_block = scope == "block" and cursor.rest_closes
    end = end_of(text + "\n" if is_block else text, cursor, scope)
    return text if end is None else text[:end]


def end_before_repetition(text: str, cursor: Cursor, scope: Scope) -> str:
    """Lines once, and none that ends in a loop (tabby-agent: removeLineEndsWithRepetition)."""
    lines = text.split("\n")
    n_lines = next((n for n, line in enumerate(lines) if _ends_in_loop(line)), len(lines))
    lines[0] = cursor.line_before + lines[0]
    n_lines = min(n_lines, _n_lines_said_once(lines))
    return "\n".join(lines[:n_lines])[len(cursor.line_before) :]


def end_at_whole_statement(text: str, cursor: Cursor, scope: Scope) -> str:
    """No block ends in the middle of a call or with a header whose body is missing."""
    lines = text.split("\n")
    n_first = next((n for n, line in enumerate(lines, 1) if line.strip()), len(lines))
    for n_lines in range(len(lines), n_first, -1):
        pairs = pair_up("\n".join(lines[:n_lines]), cursor.language)
        is_whole = not pairs.left_open and pairs.string_at is None
        if is_whole and not opener_of(lines[n_lines - 1], cursor.language):
            return "\n".join(lines[:n_lines])
    return "\n".join(lines[:n_first])


def end_before_comment(text: str, cursor: Cursor, scope: Scope) -> str:
    """A comment would swallow what stands right of the cursor."""
    if not cursor.rest.strip():
        return text
    start = text.rfind("\n") + 1
    before = "" if start else cursor.line_before
    comment = comment_at(before + text[start:], cursor.language)
    if comment is None or comment < len(before):
        return text
    return text[: start + comment - len(before)].rstrip()


def leave_what_stands_right(text: str, cursor: Cursor, scope: Scope) -> str:
    """Stop before closers, separators and code that are there already (copilot.lua #43).

    A closer on a line of its own stays: it takes the place of the one at the cursor.
    """
    rest = cursor.rest.rstrip()
    if not rest:
        return text
    if rest.lstrip()[0] not in CLOSERS + QUOTES:
        return _without_end(text, rest)
    kept = text[: len(text) - n_said_twice(text, cursor)]
    closes_on_own_line = "\n" in kept and not kept.rpartition("\n")[2].strip()
    return text if closes_on_own_line else kept


def trim_end(text: str, cursor: Cursor, scope: Scope) -> str:
    """No whitespace at line ends; before code on the same line it may be wanted."""
    text = _LINE_TAIL.sub("", text)
    if not cursor.rest.strip():
        return text.rstrip()
    return text.rstrip(" \t") if cursor.rest[0] in " \t" else text


def drop_what_does_not_fit(text: str, cursor: Cursor, scope: Scope) -> str:
    """Before anything else on the line: brackets and quotes even, nothing run into a word."""
    rest = cursor.rest
    if not text or not rest.strip():
        return text
    if is_uneven(text, cursor):
        return ""
    return "" if _runs_into_rest(text, cursor) and not replaced_rest(text, cursor) else text


def drop_copy_of_neighbour(text: str, cursor: Cursor, scope: Scope) -> str:
    """Nothing, where the line would be a neighbour's copy (vscode-copilot-release #11402)."""
    said = text.partition("\n")[0]
    if not said.strip():
        return text
    kept = "" if said != text else cursor.rest[len(replaced_rest(text, cursor)) :]
    line = (cursor.line_before + said + kept).rstrip()
    is_above = cursor.begins_line and line == cursor.line_above and any(map(is_word, line))
    return "" if is_above or line == cursor.line_below.rstrip() else text


def drop_blank(text: str, cursor: Cursor, scope: Scope) -> str:
    """Nothing, where there is nothing to see."""
    return text if text.strip() else ""


def _without_second_blank(text: str, cursor: Cursor) -> str:
    bare = text.lstrip(" \t")
    if bare == text or cursor.line_before[-1] not in " \t":
        return text
    # PEP 8 wants two blanks before a comment at a line's end.
    is_comment = cursor.language == "python" and bare.startswith("#")
    return " " + bare if is_comment and cursor.line_before[-2:-1] not in " \t" else bare


def _without_second_indentation(text: str, cursor: Cursor) -> str:
    """A line may be indented deeper than the one above only where that one opens something."""
    own, outer = cursor.indentation, indentation_of(cursor.line_above)
    may_be_deeper = cursor.line_above.endswith(_OPENING_SIGNS if own else (*_OPENING_SIGNS, ","))
    if may_be_deeper and outer.startswith(own):
        return text
    indentation = own + indentation_of(text)
    wanted = outer if indentation.startswith(outer) and outer.startswith(own) else own
    return text if outer.startswith(indentation) else _outdent(text, indentation, wanted, len(own))


def _outdent(text: str, indentation: str, wanted: str, n_typed: int) -> str:
    """`text` whose lines, the first one after `n_typed` characters, begin with `wanted` instead."""
    first, *others = text.split("\n")
    first = wanted[n_typed:] + first[len(indentation) - n_typed :]
    if all(line.startswith(indentation) for line in others if line.strip()):
        others = [wanted + line[len(indentation) :] if line.strip() else line for line in others]
    return "\n".join([first, *others])


def _runs_into_rest(text: str, cursor: Cursor) -> bool:
    """Whether two things stand side by side that no language reads as one or as two."""
    last, first = text[-1], cursor.rest[0]
    if cursor.rest_closes or last.isspace():
        return False
    if pair_up(cursor.line_before, cursor.language).string_at is not None:
        return False
    if is_word(first):
        return last in CLOSERS + QUOTES or (cursor.begins_line and is_word(last))
    return first in QUOTES and _WORD_END.search(text) is not None


def _ends_in_loop(line: str) -> bool:
    """Whether a line ends in the same piece over and over; a ruler or a table's line is none.

    The periods of all endings come from the border lengths of the reversed line (Knuth, Morris and
    Pratt; as in Copilot).
    """
    end = line[-_MAX_LOOP_CHARS:][::-1]
    borders = [0]
    for n_chars in range(1, len(end)):
        border = borders[-1]
        while border and end[n_chars] != end[border]:
            border = borders[border - 1]
        borders.append(border + (end[n_chars] == end[border]))
        period = n_chars + 1 - borders[-1]
        n_times = next(times for chars, times in _LOOPS if period >= chars)
        if n_chars + 1 >= n_times * period and _says_something(end[:period]):
            return True
    return False


def _says_something(piece: str) -> bool:
    return any(is_word(character) or character in "()[]{}," for character in piece)


def _n_lines_said_once(lines: Sequence[str]) -> int:
    """How many lines there are before up to four of them are said for the second time of three."""
    for n_unit in range(1, _MAX_LOOP_LINES + 1):
        n_same = 0
        for n, line in enumerate(lines[n_unit:], n_unit):
            n_same = n_same + 1 if line == lines[n - n_unit] else 0
            if n_same == 2 * n_unit:
                return n + 1 - n_same
    return len(lines)


def _without_end(text: str, end: str) -> str:
    kept = len(text)
    while kept and text.endswith(end, 0, kept):
        kept -= len(end)
    return text[:kept]
