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
    from collections.abc import Callable, Sequence

    # The live document from the start of a line, at most so many characters.
    ReadFromLine = Callable[[int, int], str]


@dataclass(slots=True)
class _Followed:
    followings: list[Following]  # the best first; several where somebody may choose
    latency_ms: int
    is_from_cache: bool


class Fates:
    """At most one suggestion for each document, or a few to choose from; lives as long as the app.

    Of several to choose from, all that were not taken are one suggestion with the one that was.
    """

    def __init__(self, ledger: Ledger | None) -> None:
        """Without a ledger nothing is written."""
        self._ledger = ledger
        self._ids = itertools.count(1)
        self._followed: dict[str, _Followed] = {}  # by the document's uri

    def next_id(self) -> str:
        """A name for a suggestion, which the accept command will bring back."""
        return str(next(self._ids))

    def shown(
        self, shown: Sequence[Shown], latency_ms: int, is_from_cache: bool, read: ReadFromLine
    ) -> list[str]:
        """Follow what may be chosen from, the best first; the ids to send along.

        The rest of one that is being typed along is no new one, and keeps its id.
        """
        uri = shown[0].uri
        followed = self._followed.get(uri)
        if followed is None or _continued(followed, shown[0]) is None:
            self.ended(uri)
            followed = self._followed[uri] = _Followed([], latency_ms, is_from_cache)
        ids = []
        for each in shown:
            earlier = _continued(followed, each)
            if earlier is None:
                live = read(each.line, window_chars(each))
                followed.followings.append(begin(each, live))
            ids.append(earlier.shown.id if earlier else each.id)
        return ids

    def edited(self, uri: str, read: ReadFromLine) -> None:
        """Look at a document after an edit."""
        followed = self._followed.get(uri)
        if followed is None:
            return
        if any(following.fate is not None for following in followed.followings):
            self.ended(uri)
            return
        edited = [
            follow(each, read(each.shown.line, window_chars(each.shown)))
            for each in followed.followings
        ]
        followed.followings = [e for e in edited if e.fate != "dismissed"] or edited[:1]

    def accepted(self, suggestion_id: object) -> None:
        """The client says that a suggestion was taken; an unknown id means nothing.

        It may say so before the edit or after it: what has ended is kept until the next event.
        """
        for followed in self._followed.values():
            for each in followed.followings:
                if each.shown.id == suggestion_id:
                    followed.followings = [accepted(each)]

    def ended(self, uri: str) -> None:
        """Nothing more will become of what was shown in a document: write it down."""
        followed = self._followed.pop(uri, None)
        if followed is not None and self._ledger is not None:
            self._ledger.add(_entry(followed))

    def end_all(self) -> None:
        """The editor leaves."""
        for uri in list(self._followed):
            self.ended(uri)


def _continued(followed: _Followed, newer: Shown) -> Following | None:
    """Which of those that are followed a newer suggestion is the rest of."""
    return next((each for each in followed.followings if continues(each, newer)), None)


def _entry(followed: _Followed) -> Entry:
    followings = followed.followings
    taken = next((each for each in followings if each.fate is not None), followings[0])
    following = dismissed(taken)
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
