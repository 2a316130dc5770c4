"""Places in documents, and what was typed between two of them.

Invariant: line ends are compared as "\\n", and only what stands near the cursor is compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# How much of a place is looked at, so that a key press costs the same in a document of five
# megabytes: room for what is compared, and for as long a text as a model ever says.
_PREFIX_CHARS = 4096
_SUFFIX_CHARS = 512

# How much is compared: some 25 lines before the cursor and 6 after it. An edit farther away does
# not make an answer wrong, and comparing the near ends lets the caller's window slide.
NEAR_PREFIX_CHARS = 1024
NEAR_SUFFIX_CHARS = 256

# What a window must have in common with an earlier one that was cut elsewhere: two lines. Less than
# that is taken for a whole document, and has to be the same.
LEAST_CHARS = 64

# What editors put right of the cursor on their own: the other half of a pair, and, after Enter
# between the halves, a line break with its indentation.
CLOSERS = ")]}>\"'`"
BLANKS = " \t\n"
MAX_INSERTED_CHARS = 64


@dataclass(frozen=True, slots=True)
class Place:
    """A cursor in a document, known by the text around it."""

    uri: str
    prefix: str  # ends at the cursor; the last 1,024 characters and what may be typed are enough
    suffix: str  # begins at the cursor; 512 characters are enough

    @property
    def before(self) -> str:
        """What is looked at left of the cursor; Enter in a CRLF document types "\\n" here."""
        return self.prefix[-_PREFIX_CHARS:].replace("\r\n", "\n")

    @property
    def behind(self) -> str:
        """What is looked at right of the cursor."""
        return self.suffix[:_SUFFIX_CHARS].replace("\r\n", "\n")


def typed_since(earlier: Place, later: Place) -> Iterator[str]:
    """What may have been typed between two places, the shortest first; nothing for other edits.

    Right of the cursor, the editor may have added closers, and typing may have taken some away.
    """
    if earlier.uri != later.uri:
        return
    before, was, now = later.before, earlier.behind, later.behind
    is_same = begin_alike(was[:NEAR_SUFFIX_CHARS], now[:NEAR_SUFFIX_CHARS])
    may_follow = is_same or begin_alike(_without_closers(was), _without_closers(now))
    for end in ends_in(before, earlier.before[-NEAR_PREFIX_CHARS:], _PREFIX_CHARS):
        if is_same if end == len(before) else may_follow:
            yield before[end:]


def ends_in(prefix: str, near: str, longest: int) -> Iterator[int]:
    """Where `near` ends in `prefix`, at most `longest` characters before its end; last first."""
    if len(near) < LEAST_CHARS:
        if prefix.startswith(near) and len(prefix) <= len(near) + longest:
            yield len(near)
        return
    nearest = near[-LEAST_CHARS:]
    earliest = max(len(prefix) - len(nearest) - longest, 0)
    start = prefix.rfind(nearest, earliest)
    while start >= 0:
        end = start + len(nearest)
        before = prefix[max(end - NEAR_PREFIX_CHARS, 0) : end]
        if before.endswith(near) or near.endswith(before):
            yield end
        start = prefix.rfind(nearest, earliest, end - 1)


def begin_alike(one: str, other: str) -> bool:
    """Whether two windows show the same text; a shorter one may end where its document goes on."""
    shorter, longer = sorted((one, other), key=len)
    return one == other or (len(shorter) >= LEAST_CHARS and longer.startswith(shorter))


def _without_closers(behind: str) -> str:
    """What follows the closers at the cursor, as far as it is compared."""
    added = behind[:MAX_INSERTED_CHARS]
    kept = added.lstrip(CLOSERS + BLANKS)
    return behind[len(added) - len(kept) :][:NEAR_SUFFIX_CHARS]
