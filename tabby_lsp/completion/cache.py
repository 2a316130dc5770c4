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

    def put(
        self, place: Place, completion: Completion, others: tuple[Completion, ...] | None = None
    ) -> None:
        """Remember what was answered at a place; NOTHING is an answer too.

        `others` are what else may stand there, the best first; None where nobody asked for others.
        """
        prefix, suffix = place.before, place.behind
        texts = [_text_of(each, suffix) for each in (completion, *(others or ()))]
        key = _key(place)
        self._entries[key] = _Entry(
            nearest=prefix[-LEAST_CHARS:],
            texts=tuple(texts),
            longest=max(len(text.text) for text in texts),
            others=others,
        )
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
            earliest = max(len(prefix) - len(entry.nearest) - entry.longest, 0)
            if key[0] != place.uri or prefix.find(entry.nearest, earliest) < 0:
                continue
            for text in entry.texts:
                found = _what_is_left(key[1], text, prefix, suffix)
                if found is not None:
                    self._entries.move_to_end(key)
                    return found
        return None

    def others(self, place: Place) -> tuple[Completion, ...] | None:
        """What else may stand at just this place; None where nobody has asked for others."""
        entry = self._entries.get(_key(place))
        return entry.others if entry is not None else None


def is_subsequence(needle: str, text: str) -> bool:
    """Whether the characters of `needle` stand in `text` in this order."""
    characters = iter(text)
    return all(character in characters for character in needle)


@dataclass(frozen=True, slots=True)
class _Text:
    completion: Completion
    text: str  # the completion's, with "\n" as the only line end
    beyond: str  # begins where what the completion replaces ends


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    nearest: str  # the end of what stands before the texts
    texts: tuple[_Text, ...]  # the best first
    longest: int  # of the texts, in characters
    others: tuple[Completion, ...] | None


def _key(place: Place) -> tuple[str, str, str]:
    return place.uri, place.before[-NEAR_PREFIX_CHARS:], place.behind[:LEAST_CHARS]


def _text_of(completion: Completion, suffix: str) -> _Text:
    beyond = suffix[len(completion.replaced) :][:NEAR_SUFFIX_CHARS]
    return _Text(completion, completion.text.replace("\r\n", "\n"), beyond)


def _what_is_left(near: str, stored: _Text, prefix: str, suffix: str) -> Completion | None:
    n_typed = _n_chars_typed(near, stored.text, prefix)
    if n_typed is None:
        return None
    completion = stored.completion
    rest = stored.text[n_typed:]
    for between in _between(stored, suffix):
        if n_typed == 0 and between == completion.replaced:
            return completion
        if _is_of_the_editor(between, completion.replaced):
            return _in_its_line_ends(completion, _over(between, rest))
    return None


def _n_chars_typed(near: str, text: str, prefix: str) -> int | None:
    """How much of the text, never all of it, was typed since it was stored."""
    for end in ends_in(prefix, near, max(len(text) - 1, 0)):
        if text.startswith(prefix[end:]):
            return len(prefix) - end
    return None


def _between(stored: _Text, suffix: str) -> Iterator[str]:
    """What may stand between the cursor and the text that the completion leaves alone."""
    longest = min(len(stored.completion.replaced) + MAX_INSERTED_CHARS, len(suffix))
    for length in range(longest + 1):
        if begin_alike(suffix[length : length + NEAR_SUFFIX_CHARS], stored.beyond):
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


def _in_its_line_ends(completion: Completion, found: Completion | None) -> Completion | None:
    if found is None or "\r\n" not in completion.text:
        return found
    return Completion(text=found.text.replace("\n", "\r\n"), replaced=found.replaced)
