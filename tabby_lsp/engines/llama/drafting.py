"""Guesses how an answer goes on, so that several of its tokens are computed at once. Pure.

The guess is what stands behind the same tokens elsewhere: in the document, in what is shown beside
it, or in one of the last answers, since somebody who types on is mostly told the rest of what was
said before. The field calls that prompt lookup, and what is guessed a draft.

Invariant: a draft decides what is computed together, and not what is said.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from tabby_lsp.engines.llama.pace import Pace
from tabby_lsp.engines.llama.searched import MOST_SAME, Place, Searched, nearest
from tabby_lsp.engines.llama.standing import BREAK

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tabby_lsp.engines.llama.searched import Fits

_MOST_DRAFTED = 7
# What somebody was told is looked for at the next few keys, among what was read before it.
_MOST_ANSWERS, _LONGEST_ANSWER = 6, 64
# How often the next token is right, by how many of the last ones are the same; until it is known.
_FIRST_SHARES = (0.0, 0.3, 0.5, 0.65, 0.75, 0.8, 0.8, 0.8, 0.85)
# How often a token has such a lead before the next best that it is the same without a draft: other
# kernels add in another order, which moves logits by 0.01 on the average (docs/log.md, 2026-12-01).
LEAST_LEAD = 0.03
_FIRST_CLEAR = 0.97
# How much the next one moves it: as one of so many that were seen, and later that share.
_FIRST_SEEN, _LEAST_SHARE = 4, 0.05


class Drafts:
    """What is known of drafts so far; lives as long as a model."""

    def __init__(self) -> None:
        self.pace = Pace()
        self._answers: deque[list[int]] = deque(maxlen=_MOST_ANSWERS)
        self._all_answers: list[int] = []  # the latest last
        self._backwards: list[int] = []  # the same, to be looked through in C
        # Of texts, and of answers.
        self._right = {False: [*_FIRST_SHARES], True: [*_FIRST_SHARES]}
        self._clear, self._n_clear_seen = _FIRST_CLEAR, _FIRST_SEEN
        self._n_seen = {each: [_FIRST_SEEN] * len(_FIRST_SHARES) for each in (False, True)}

    def keep(self, answer: Sequence[int]) -> None:
        """Look for this as well: what was said, behind what was read before it."""
        self._answers.append([BREAK, *answer[:_LONGEST_ANSWER]])
        self._all_answers = [token for each in self._answers for token in each]
        self._backwards = self._all_answers[::-1]

    def nearest(self, heard: Sequence[int], fits: Fits) -> Place:
        """Where most of the last tokens stand in an answer."""
        tokens, backwards, n_looked = self._all_answers, self._backwards, 0
        places: list[int] = []
        for _ in range(backwards.count(heard[-1])):
            n_looked = backwards.index(heard[-1], n_looked) + 1
            at = len(tokens) - n_looked
            if n_looked > 1 and tokens[at + 1] != BREAK:
                places.append(at)
        return nearest(tokens, places, heard, fits)

    def learn_clear(self, *, is_clear: bool) -> None:
        """Whether a token was chosen that would also be chosen alone."""
        self._n_clear_seen += 1
        step = max(_LEAST_SHARE, 1 / self._n_clear_seen)
        self._clear += step * (is_clear - self._clear)

    def n_worth(self, n_same: int, n_read: int, n_most: int, *, is_answer: bool) -> int:
        """How many drafted tokens save most time, read together with others."""
        pace, right = self.pace, self._right[is_answer]
        one_s, share, saved_s = pace.one_s(), 1.0, 0.0
        best, best_s = 0, 0.0
        for n in range(1, n_most + 1):
            share *= self._clear * right[min(n_same + n - 1, MOST_SAME)]
            saved_s += share * one_s
            gained_s = saved_s - pace.more_s(n_read, n)
            if gained_s > best_s:
                best, best_s = n, gained_s
        return best

    def learn(self, n_same: int, *, is_answer: bool, is_right: bool) -> None:
        """Whether the token was right that stood behind so many that were the same."""
        right, n_seen, n = self._right[is_answer], self._n_seen[is_answer], min(n_same, MOST_SAME)
        n_seen[n] += 1
        right[n] += max(_LEAST_SHARE, 1 / n_seen[n]) * (is_right - right[n])


class Drafting:
    """The drafts of one answer, whose tokens it has to hear; lives as long as that."""

    def __init__(
        self,
        drafts: Drafts,
        searched: Searched,
        before: Sequence[int],
        piece: Callable[[int], bytes],
        typed: bytes = b"",
        *,
        is_one_line: bool = False,
    ) -> None:
        """`before` ends where the answer begins, which begins with what was `typed`."""
        self.pace = drafts.pace
        searched.read(before)
        self._drafts = drafts
        self._searched = searched
        self._heard, self._n_heard = [*before[-MOST_SAME:]], 0
        self._piece = piece
        self._typed = typed
        self._is_one_line = is_one_line
        self._awaited: deque[int] = deque()
        self._n_same, self._is_answer = 0, False

    def hear(self, token: int | None, lead: float = math.inf) -> None:
        """What has been said, None where the answer ends by itself, and how clear that was."""
        if lead < math.inf:
            self._drafts.learn_clear(is_clear=lead >= LEAST_LEAD)
        if self._awaited:
            is_right = self._awaited.popleft() == token
            self._drafts.learn(self._n_same, is_answer=self._is_answer, is_right=is_right)
            self._n_same += 1
            if not is_right:
                self._awaited.clear()
        if token is not None:
            self._n_heard += 1
            self._heard.append(token)
            if self._typed:
                self._typed = self._typed[len(self._piece(token)) :]

    def draft(self, n_read: int, n_most: int) -> list[int]:
        """What is worth to be read behind so many others, `n_most` at the most."""
        self._awaited.clear()
        if not self._heard or n_most <= 0:
            return []
        answer, text = (
            each.nearest(self._heard, self._fits) for each in (self._drafts, self._searched)
        )
        self._is_answer = answer.n_same >= text.n_same
        place = answer if self._is_answer else text
        if not place.n_same:
            return []
        behind = self._behind(place, min(n_most, _MOST_DRAFTED))
        self._n_same = place.n_same
        # Whether it would have been right is learned in any case.
        self._awaited.extend(behind)
        n = self._drafts.n_worth(place.n_same, n_read, len(behind), is_answer=self._is_answer)
        return behind[:n]

    def end(self) -> None:
        """Nothing more is said."""
        if self._n_heard:
            self._drafts.keep(self._heard)

    def _fits(self, token: int) -> bool:
        """Whether a token goes on with what was typed."""
        if not self._typed:
            return True
        piece = self._piece(token)
        return piece.startswith(self._typed) or self._typed.startswith(piece)

    def _behind(self, place: Place, n_most: int) -> list[int]:
        """What stands there, up to where an answer would end."""
        behind: list[int] = []
        for token in place.tokens[place.at + 1 : place.at + 1 + n_most]:
            if token == BREAK or (self._is_one_line and b"\n" in self._piece(token)):
                break
            behind.append(token)
        return behind
