"""Answers that are known already: typing along a completion needs no model.

Invariant: accepting what is found gives the document that accepting what was stored would have
given.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabby_lsp.completion.place import (
    BLANKS,
    CLOSERS,
    LEAST_CHARS,
    MAX_INSERTED_CHARS,
    NEAR_PREFIX_CHARS,
    NEAR_SUFFIX_CHARS,
    begin_alike,
    ends_in,
)
from tabby_lsp.domain import Completion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabby_lsp.completion.place import Place

# As llama.vim's `max_cache_keys`: an hour of work in a few documents, some hundred kilobytes.
MAX_ENTRIES = 250

# "The model was asked and had nothing to say", as opposed to None, "nobody knows".
NOTHING = Completion(text="")


class CompletionCache:
    """The latest completions of all documents; lives as long as the model they came from.

    Where several entries fit, the one that was stored or found last wins: that is the text on the
    screen, and it must not change under the user's hands.
    """

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[str, str, str], _Entry] = OrderedDict()  # latest last

    def put(self, place: Place, completion: Completion) -> None:
        """Remember what was answered at a place; NOTHING is an answer too."""
        prefix, suffix = place.before, place.behind
        entry = _Entry(
            near=prefix[-NEAR_PREFIX_CHARS:],
            nearest=prefix[-LEAST_CHARS:],
            beyond=suffix[len(completion.replaced) :][:NEAR_SUFFIX_CHARS],
            text=completion.text.replace("\r\n", "\n"),
            completion=completion,
        )
        key = (place.uri, prefix[-LEAST_CHARS:], suffix[:LEAST_CHARS])
        self._entries[key] = entry
        self._entries.move_to_end(key)
        if len(self._entries) > MAX_ENTRIES:
            self._entries.popitem(last=False)

    def get(self, place: Place) -> Completion | None:
        """What is left of a completion stored here or just before; None where nothing is.

        Finds NOTHING only where it was stored. `replaced` follows the closers that the editor has
        since put right of the cursor, or that were typed over.
        """
        prefix, suffix = place.before, place.behind
        for key, entry in reversed(self._entries.items()):
            # Most entries are of other lines, and are told by this alone.
            earliest = max(len(prefix) - len(entry.nearest) - len(entry.text), 0)
            if key[0] != place.uri or prefix.find(entry.nearest, earliest) < 0:
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
    nearest: str  # its end
    beyond: str  # begins where what the completion replaces ends
    text: str  # the completion's, with "\n" as the only line end
    completion: Completion


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
    for end in ends_in(prefix, entry.near, longest):
        if entry.text.startswith(prefix[end:]):
            return len(prefix) - end
    return None


def _between(entry: _Entry, suffix: str) -> Iterator[str]:
    """What may stand between the cursor and the text that the completion leaves alone."""
    longest = min(len(entry.completion.replaced) + MAX_INSERTED_CHARS, len(suffix))
    for length in range(longest + 1):
        if begin_alike(suffix[length : length + NEAR_SUFFIX_CHARS], entry.beyond):
            yield suffix[:length]


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
