"""What became of a suggestion, told from the document after each edit and from the accept command.

Invariant: the document alone is enough; a client that never says "accepted" is understood as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tabby_lsp.completion.cache import is_subsequence
from tabby_lsp.completion.place import BLANKS, CLOSERS

if TYPE_CHECKING:
    from tabby_lsp.domain import Fate

# The second half of a pair, on a line of its own after Enter between the halves.
_ADDED_BY_EDITOR = re.compile(rf"(?:(?:\n[ \t]*)?[{re.escape(CLOSERS)}]+)?")

# How much of what stands right of the text is compared: enough to tell one blank line from two.
_REST_CHARS = 64

# Neovim gathers the keys of 150 ms into one change (`debounce_text_changes`): four at the most.
_MAX_BURST_KEYS = 4
_ONE_KEY = re.compile(r"\n[ \t]*|[ \t]+")  # Enter with the indentation it brings, or Tab


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A suggestion as it was sent to the client."""

    id: str  # what the accept command will name
    uri: str
    line: int  # the cursor's, from 0
    line_prefix: str  # of the cursor's line, up to the cursor
    text: str
    replaced: str = ""
    language: str
    model: str
    is_automatic: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """A suggestion and what has happened to it so far; `fate` is None as long as it can go on."""

    shown: Shown  # with "\n" as the only line end
    marks: str = ""  # a letter for each character of the text now in the document: typed, accepted
    rest: str = ""  # what stood right of the cursor when the suggestion was shown
    n_taken: int = 0  # how much of it is gone, less than 0 where the editor has added closers
    is_confirmed: bool = False  # the client has said "accepted" before the document shows it
    fate: Fate | None = None

    @property
    def n_chars_typed(self) -> int:
        """How much of the text was typed key by key."""
        return self.marks.count("t")

    @property
    def n_chars_accepted(self) -> int:
        """How much of the text was put in at once."""
        return self.marks.count("a")


def window_chars(shown: Shown) -> int:
    """How much of the document, from the start of the suggestion's line, `follow` has to see."""
    # Twice, since a line end may be two characters there.
    return len(shown.line_prefix) + 2 * (len(shown.text) + len(shown.replaced) + 4 * _REST_CHARS)


def begin(shown: Shown, live: str) -> Following:
    """Follow a suggestion from now on; `live` is the document from the start of its line."""
    live = live.replace("\r\n", "\n")
    following = Following(
        shown=replace(shown, text=shown.text.replace("\r\n", "\n")),
        rest=_rest(live, len(shown.line_prefix)),
    )
    return following if live.startswith(shown.line_prefix) else dismissed(following)


def follow(following: Following, live: str) -> Following:
    """Take in an edit; `live` is the document from the start of the suggestion's line.

    Text of the suggestion that came in at once was accepted; single characters were typed, as was a
    line break or a tab with its blanks. An edit below changes nothing, any other text dismisses.
    """
    live = live.replace("\r\n", "\n")
    shown = following.shown
    if following.fate is not None:
        return following
    if not live.startswith(shown.line_prefix):
        return dismissed(following)
    written = live[len(shown.line_prefix) :]
    n_same = _n_same(shown.text, written)
    reading = _best_reading(following, written, n_same)
    if reading is not None:
        return _moved(following, reading)
    if n_same >= len(following.marks) and _is_edit_below(following, written):
        return _with_new_lines_below(following, written)
    if n_same == len(shown.text):
        return _moved(following, _Reading(n_same, n_taken=0, is_typed_over=False))
    return dismissed(following)


def accepted(following: Following) -> Following:
    """Take in the accept command: before the edit or after it, twice, for the whole or a part."""
    if following.fate is None:
        # Right after an acceptance in part it confirms that one.
        is_known = following.marks.endswith("a")
        return following if is_known else replace(following, is_confirmed=True)
    if following.fate == "typed-along":
        return replace(following, marks=following.marks[:-1] + "a", fate="accepted")
    if following.fate == "dismissed":
        # The client has put it in otherwise than it was sent, with tabs for spaces for example.
        return _accepted_whole(following)
    return following


def dismissed(following: Following) -> Following:
    """End it: another place was asked about, something else is shown, the document was closed."""
    if following.fate is not None:
        return following
    if following.is_confirmed:
        return _accepted_whole(following)
    return replace(following, fate="accepted-in-part" if "a" in following.marks else "dismissed")


def continues(following: Following, newer: Shown) -> bool:
    """Whether a newer suggestion is what is left of this one, which then goes on under its id."""
    shown = following.shown
    text = newer.text.replace("\r\n", "\n")
    if following.fate is not None or newer.uri != shown.uri or not text:
        return False
    return any(
        shown.text.startswith(text, n_written)
        and _cursor_behind(shown, n_written) == (newer.line, newer.line_prefix)
        for n_written in range(len(following.marks) + 1)
    )


def _cursor_behind(shown: Shown, n_written: int) -> tuple[int, str]:
    """The line number, and the line up to the cursor, behind that much of the text."""
    lines = (shown.line_prefix + shown.text[:n_written]).split("\n")
    return shown.line + len(lines) - 1, lines[-1]


@dataclass(frozen=True, slots=True)
class _Reading:
    """One way to understand a document: the text up to here, and then what stood there before."""

    n_written: int
    n_taken: int
    is_typed_over: bool  # closers that stood there are part of the text now


def _best_reading(following: Following, written: str, n_same: int) -> _Reading | None:
    """The reading without typing over, since that alone changes no document; then the longest."""
    return max(
        filter(None, (_read(following, written, n_written) for n_written in range(n_same + 1))),
        key=lambda reading: (not reading.is_typed_over, reading.n_written),
        default=None,
    )


def _read(following: Following, written: str, n_written: int) -> _Reading | None:
    """None where something else stands behind that much of the text than stood there before."""
    replaced = following.shown.replaced
    new, new_kept = _closers_and_what_follows(_rest(written, n_written))
    for taken in sorted({"", replaced}):
        old, old_kept = _closers_and_what_follows(following.rest.removeprefix(taken))
        if old_kept[:_REST_CHARS] != new_kept[:_REST_CHARS]:
            continue
        n_shared = _n_same(old[::-1], new[::-1])
        added, removed = new[: len(new) - n_shared], old[: len(old) - n_shared]
        if (
            _ADDED_BY_EDITOR.fullmatch(added)
            and is_subsequence(added, following.shown.text[n_written:])
            and not removed.strip(CLOSERS)
        ):
            n_taken = len(taken) + len(removed) - len(added)
            return _Reading(n_written, n_taken, taken + removed not in ("", replaced))
    return None


def _moved(following: Following, reading: _Reading) -> Following:
    """The text stands in the document so far: farther than before, less far, or as far."""
    n_written = reading.n_written
    text, marks = following.shown.text, following.marks[:n_written]
    is_confirmed = following.is_confirmed
    if n_written > len(marks):
        run, ahead = text[len(marks) : n_written], text[n_written:]
        n_inserted = len(run) + following.n_taken - reading.n_taken
        is_accepted = is_confirmed or _is_put_in_at_once(run, ahead, n_inserted)
        marks += ("a" if is_accepted else "t") * len(run)
        is_confirmed = False
    fate = _fate_of_whole(marks) if n_written == len(text) else None
    return replace(
        following, marks=marks, n_taken=reading.n_taken, is_confirmed=is_confirmed, fate=fate
    )


def _is_edit_below(following: Following, written: str) -> bool:
    """Whether the cursor's line is as before; Enter at its end looks the same."""
    n_written = len(following.marks)
    line = written[:n_written] + _first_line(written[n_written:])
    return _read(replace(following, rest=_first_line(following.rest)), line, n_written) is not None


def _with_new_lines_below(following: Following, written: str) -> Following:
    rest = _rest(written, len(following.marks))
    below = rest[len(_first_line(rest)) :]
    return replace(following, rest=_first_line(following.rest) + below)


def _is_put_in_at_once(run: str, ahead: str, n_inserted: int) -> bool:
    """Whether a command brought this run of text, which ends at a word's end or is long then."""
    n_keys = min(n_inserted, len(_ONE_KEY.sub(" ", run)))
    is_inside_word = ahead != "" and _is_word(run[-1]) and _is_word(ahead[0])
    return n_keys > (_MAX_BURST_KEYS if is_inside_word else 1)


def _fate_of_whole(marks: str) -> Fate:
    if marks.endswith("a"):
        return "accepted"
    return "accepted-in-part" if "a" in marks else "typed-along"


def _accepted_whole(following: Following) -> Following:
    n_missing = len(following.shown.text) - len(following.marks)
    return replace(following, marks=following.marks + "a" * n_missing, fate="accepted")


def _rest(text: str, start: int) -> str:
    return text[start : start + 2 * _REST_CHARS]


def _closers_and_what_follows(text: str) -> tuple[str, str]:
    kept = text.lstrip(CLOSERS + BLANKS)
    return text[: len(text) - len(kept)], kept


def _n_same(one: str, other: str) -> int:
    n_same = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        n_same += 1
    return n_same


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _first_line(text: str) -> str:
    return text.partition("\n")[0]
