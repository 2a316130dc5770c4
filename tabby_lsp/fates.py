"""Follows each suggestion until it is known what became of it, and writes that down."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tabby_lsp.completion.outcomes import (
    Following,
    Shown,
    accepted,
    begin,
    continues,
    dismissed,
    follow,
    window_chars,
)
from tabby_lsp.ledger import Entry, Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    # The live document from the start of a line, at most so many characters.
    ReadFromLine = Callable[[int, int], str]


@dataclass(slots=True)
class _Followed:
    following: Following
    latency_ms: int
    is_from_cache: bool


class Fates:
    """At most one suggestion for each document; lives as long as the app."""

    def __init__(self, ledger: Ledger | None) -> None:
        """Without a ledger nothing is written."""
        self._ledger = ledger
        self._ids = itertools.count(1)
        self._followed: dict[str, _Followed] = {}  # by the document's uri

    def next_id(self) -> str:
        """A name for a suggestion, which the accept command will bring back."""
        return str(next(self._ids))

    def shown(self, shown: Shown, latency_ms: int, is_from_cache: bool, read: ReadFromLine) -> str:
        """Follow a suggestion from now on; the id to send along with it.

        The rest of one that is being typed along is no new one, and keeps its id.
        """
        earlier = self._followed.get(shown.uri)
        if earlier is not None and continues(earlier.following, shown):
            return earlier.following.shown.id
        self.ended(shown.uri)
        live = read(shown.line, window_chars(shown))
        self._followed[shown.uri] = _Followed(begin(shown, live), latency_ms, is_from_cache)
        return shown.id

    def edited(self, uri: str, read: ReadFromLine) -> None:
        """Look at a document after an edit."""
        followed = self._followed.get(uri)
        if followed is None:
            return
        if followed.following.fate is not None:
            self.ended(uri)
            return
        shown = followed.following.shown
        live = read(shown.line, window_chars(shown))
        followed.following = follow(followed.following, live)

    def accepted(self, suggestion_id: object) -> None:
        """The client says that a suggestion was taken; an unknown id means nothing.

        It may say so before the edit or after it: what has ended is kept until the next event.
        """
        for followed in self._followed.values():
            if followed.following.shown.id == suggestion_id:
                followed.following = accepted(followed.following)

    def ended(self, uri: str) -> None:
        """Nothing more will become of what was shown in a document: write it down."""
        followed = self._followed.pop(uri, None)
        if followed is not None and self._ledger is not None:
            self._ledger.add(_entry(followed))

    def end_all(self) -> None:
        """The editor leaves."""
        for uri in list(self._followed):
            self.ended(uri)


def _entry(followed: _Followed) -> Entry:
    following = dismissed(followed.following)
    shown = following.shown
    assert following.fate is not None, "dismissed() ends what has not ended"
    return Entry(
        at=datetime.now(UTC),
        language=shown.language,
        model=shown.model,
        fate=following.fate,
        n_chars_shown=len(shown.text),
        n_chars_typed=following.n_chars_typed,
        n_chars_accepted=following.n_chars_accepted,
        n_lines=shown.text.count("\n") + 1,
        is_automatic=shown.is_automatic,
        is_from_cache=followed.is_from_cache,
        latency_ms=followed.latency_ms,
    )
