"""Answers that are known already: typing along a completion needs no model.

Invariant: accepting what is found gives the document that accepting what was stored would have
given.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabby_lsp.domain import Completion

if TYPE_CHECKING:
    from collections.abc import Iterator

# How much of a place is looked at, so that a key press costs the same in a document of five
# megabytes: room for what is compared, and for as long a text as a model ever says.
_PREFIX_CHARS = 4096
_SUFFIX_CHARS = 512

# How much is compared: some 25 lines before the cursor and 6 after it. An edit farther away does
# not make an answer wrong, and comparing the near ends lets the caller's window slide.
_NEAR_PREFIX_CHARS = 1024
_NEAR_SUFFIX_CHARS = 256

# What a window must have in common with an earlier one that was cut elsewhere: two lines. Less than
# that is taken for a whole document, and has to be the same.
_LEAST_CHARS = 64

# As llama.vim's `max_cache_keys`: an hour of work in a few documents, some hundred kilobytes.
MAX_ENTRIES = 250

# What editors put right of the cursor on their own: the other half of a pair, and, after Enter
# between the halves, a line break with its indentation.
CLOSERS = ")]}>\"'`"
BLANKS = " \t\n"
_MAX_INSERTED_CHARS = 64

# "The model was asked and had nothing to say", as opposed to None, "nobody knows".
NOTHING = Completion(text="")


@dataclass(frozen=True, slots=True)
class Place:
    """A cursor in a document, known by the text around it."""

    uri: str
    prefix: str  # ends at the cursor; the last 1,024 characters and what may be typed are enough
    suffix: str  # begins at the cursor; 512 characters are enough


class CompletionCache:
    """The latest completions of all documents; lives as long as the model they came from.

    Where several entries fit, the one that was stored or found last wins: that is the text on the
    screen, and it must not change under the user's hands.
    """

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[str, str, str], _Entry] = OrderedDict()  # latest last

    def put(self, place: Place, completion: Completion) -> None:
        """Remember what was answered at a place; NOTHING is an answer too."""
        prefix, suffix = _prefix_of(place), _suffix_of(place)
        entry = _Entry(
            near=prefix[-_NEAR_PREFIX_CHARS:],
            beyond=suffix[len(completion.replaced) :][:_NEAR_SUFFIX_CHARS],
            text=completion.text.replace("\r\n", "\n"),
            completion=completion,
        )
        key = (place.uri, prefix[-_LEAST_CHARS:], suffix[:_LEAST_CHARS])
        self._entries[key] = entry
        self._entries.move_to_end(key)
        if len(self._entries) > MAX_ENTRIES:
            self._entries.popitem(last=False)

    def get(self, place: Place) -> Completion | None:
        """What is left of a completion stored here or just before; None where nothing is.

        Finds NOTHING only where it was stored. `replaced` follows the closers that the editor has
        since put right of the cursor, or that were typed over.
        """
        prefix, suffix = _prefix_of(place), _suffix_of(place)
        for key, entry in reversed(self._entries.items()):
            if key[0] != place.uri:
                continue
            found = _what_is_left(entry, prefix, suffix)
            if found is not None:
                self._entries.move_to_end(key)
                return found
        return None


def is_subsequence(needle: str, text: str) -> bool:
    """Whether the characters of `needle` stand in `text` in this order."""
    characters = iter(text)
    return all(character in characters for character in needle)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    near: str  # ends where the completion begins
    beyond: str  # begins where what the completion replaces ends
    text: str  # the completion's, with "\n" as the only line end
    completion: Completion


# Line ends are compared as "\n": Enter in a CRLF document types "\r\n" along a text that says "\n".
def _prefix_of(place: Place) -> str:
    return place.prefix[-_PREFIX_CHARS:].replace("\r\n", "\n")


def _suffix_of(place: Place) -> str:
    return place.suffix[:_SUFFIX_CHARS].replace("\r\n", "\n")


def _what_is_left(entry: _Entry, prefix: str, suffix: str) -> Completion | None:
    n_typed = _n_chars_typed(entry, prefix)
    if n_typed is None:
        return None
    replaced = entry.completion.replaced
    rest = entry.text[n_typed:]
    for between in _between(entry, suffix):
        if n_typed == 0 and between == replaced:
            return entry.completion
        if _is_of_the_editor(between, replaced):
            return _in_its_line_ends(entry, _over(between, rest))
    return None


def _n_chars_typed(entry: _Entry, prefix: str) -> int | None:
    """How much of the text, never all of it, was typed since it was stored."""
    longest = max(len(entry.text) - 1, 0)
    for end in _ends(entry.near, prefix, longest):
        if entry.text.startswith(prefix[end:]):
            return len(prefix) - end
    return None


def _ends(near: str, prefix: str, longest: int) -> Iterator[int]:
    """Where `near` ends in `prefix`, at most `longest` characters before its end; last first."""
    if len(near) < _LEAST_CHARS:
        if prefix.startswith(near) and len(prefix) <= len(near) + longest:
            yield len(near)
        return
    nearest = near[-_LEAST_CHARS:]
    earliest = max(len(prefix) - len(nearest) - longest, 0)
    start = prefix.rfind(nearest, earliest)
    while start >= 0:
        end = start + len(nearest)
        before = prefix[max(end - _NEAR_PREFIX_CHARS, 0) : end]
        if before.endswith(near) or near.endswith(before):
            yield end
        start = prefix.rfind(nearest, earliest, end - 1)


def _between(entry: _Entry, suffix: str) -> Iterator[str]:
    """What may stand between the cursor and the text that the completion leaves alone."""
    longest = min(len(entry.completion.replaced) + _MAX_INSERTED_CHARS, len(suffix))
    for length in range(longest + 1):
        if _begin_alike(suffix[length : length + _NEAR_SUFFIX_CHARS], entry.beyond):
            yield suffix[:length]


def _begin_alike(one: str, other: str) -> bool:
    shorter, longer = sorted((one, other), key=len)
    return one == other or (len(shorter) >= _LEAST_CHARS and longer.startswith(shorter))


def _is_of_the_editor(between: str, replaced: str) -> bool:
    """Whether it is closers, and then what typing over has left of `replaced`."""
    return any(
        replaced.endswith(between[cut:]) and not between[:cut].strip(CLOSERS + BLANKS)
        for cut in range(len(between) + 1)
    )


def _over(between: str, rest: str) -> Completion | None:
    """`rest` in the place of `between`; None where that would lose a character of it."""
    if "\n" in between:
        # No completion replaces more than its line, but what stands there need not be said again.
        text = rest.removesuffix(between)
        return Completion(text=text) if text and text != rest else None
    return Completion(text=rest, replaced=between) if is_subsequence(between, rest) else None


def _in_its_line_ends(entry: _Entry, found: Completion | None) -> Completion | None:
    if found is None or "\r\n" not in entry.completion.text:
        return found
    return Completion(text=found.text.replace("\n", "\r\n"), replaced=found.replaced)
