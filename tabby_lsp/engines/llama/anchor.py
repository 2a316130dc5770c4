"""Holds a prompt fast while somebody types, so that a key costs the tokens that it adds. Pure.

What was typed since stands at the prompt's end: behind the middle token where a family reads the
prefix first, as if the model had begun to say it, and behind the prefix where the prefix runs into
the middle anyway. (A family that was trained prefix first knows that order from short prefixes:
arXiv 2207.14255, appendix D.)

Invariant: a prompt spells the text left of the cursor exactly, from where its window begins, and
right of the cursor nothing that is not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabby_lsp.engines.llama.layout import (
    IMPORTS_SHARE,
    MOST_CHARS_PER_TOKEN,
    N_CONTROL_TOKENS,
    SNIPPETS_SHARE,
    SUFFIX_SHARE,
    from_line_start,
    head,
    imports_above,
    opening,
    unix,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tabby_lsp.domain import Segments, Snippet
    from tabby_lsp.engines.llama.layout import Tokenize
    from tabby_lsp.models.families import Fim

# The windows of whoever asks are cut by characters, so that what is left out moves their end.
_MOST_CUT_CHARS = 16
_FEW_CHARS = 200
# So much of a text says where it stands in another.
_KEY_CHARS = 300
# When the prefix is too long, so much of its room is freed at once.
_STEP_SHARE = 0.25
# More than that behind the middle token becomes prefix: nobody was trained on much more.
_TAIL_SHARE = 0.25
_MOST_TAIL_TOKENS = 512
# Of each text that is only looked at for what may be copied.
_MOST_ELSEWHERE_CHARS = 8_000
# In the last lines somebody is at work.
_LINES_AT_WORK = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A place in a document, and the prompt for it up to what is typed there."""

    about: tuple[str, str]  # path and repository
    snippets: tuple[Snippet, ...]
    imports: str
    before: tuple[int, ...]  # tokens before the open text
    after: tuple[int, ...]  # and behind it
    fixed: str  # of the text left of the cursor, what stays as it is
    is_open: bool  # whether `fixed` belongs to the open text; else it is in `before`
    suffix: str  # what is shown of the text right of the cursor
    suffix_is_cut: bool
    n_most_open: int  # tokens that the open text may have


def with_tail(
    anchor: Anchor, segments: Segments, tokenize: Tokenize, n_room: int
) -> list[int] | None:
    """The prompt for a place, at most `n_room` tokens; None where the anchor's is another place."""
    if anchor.about != _about(segments) or not _is_suffix(anchor, _right_of(segments)):
        return None
    tail = _tail(anchor.fixed, unix(segments.prefix))
    if tail is None:
        return None
    prompt = _spelled(anchor, tail, tokenize)
    n_open = len(prompt) - len(anchor.before) - len(anchor.after)
    return prompt if n_open <= anchor.n_most_open and len(prompt) <= n_room else None


def drop_anchor(
    segments: Segments,
    fim: Fim,
    tokenize: Tokenize,
    n_room: int,
    others: Sequence[Anchor] = (),
) -> tuple[Anchor, list[int]]:
    """Hold a place fast, and its prompt.

    Where possible it has what `others` of its document, the latest first, have:  the
    beginning of the window and the text right of the cursor. After a jump, or where a text has
    grown too long, the prompt need then not be read from the beginning.
    """
    begin = opening(segments, fim, tokenize, int(n_room * SNIPPETS_SHARE))
    suffix, is_cut = _suffix(_right_of(segments), int(n_room * SUFFIX_SHARE), tokenize, others)
    right = (fim.suffix, *tokenize(suffix))
    middle = () if fim.middle is None else (fim.middle,)
    n_left = n_room - begin.n_tokens - len(right) - N_CONTROL_TOKENS
    is_open = fim.layout != "psm"
    n_most_open = n_left if is_open else min(int(n_room * _TAIL_SHARE), _MOST_TAIL_TOKENS)
    n_near = n_left if is_open else n_left - n_most_open
    near = _near(unix(segments.prefix), n_near, tokenize, others)
    imports = imports_above(near, segments, int(min(n_room * IMPORTS_SHARE, n_near)), tokenize)
    if imports:
        n_near, n_most_open = n_near - len(imports), n_most_open - len(imports) * is_open
        near = _near(unix(segments.prefix), n_near, tokenize, others)
    after: tuple[int, ...] = ()
    if fim.layout == "psm":
        fixed = _up_to_line(near, n_most_open // 2, tokenize)
        left = (fim.prefix, *begin.in_prefix, *imports, *tokenize(fixed))
        before = (*begin.before, *left, *right, *middle)
    elif fim.layout == "spm_v1":
        fixed = _above_work(near)
        before = (*begin.before, *right, fim.prefix, *begin.in_prefix, *imports)
        after = middle
    else:
        fixed = _above_work(near)
        before = (*begin.before, fim.prefix, *right, *middle, *begin.in_prefix, *imports)
    anchor = Anchor(
        about=_about(segments),
        snippets=segments.snippets,
        imports=segments.imports,
        before=before,
        after=after,
        fixed=fixed,
        is_open=is_open,
        suffix=suffix,
        suffix_is_cut=is_cut,
        n_most_open=n_most_open,
    )
    return anchor, _spelled(anchor, near[len(fixed) :], tokenize)


def _spelled(anchor: Anchor, tail: str, tokenize: Tokenize) -> list[int]:
    open_text = anchor.fixed + tail if anchor.is_open else tail
    return [*anchor.before, *tokenize(open_text), *anchor.after]


def texts_elsewhere(anchor: Anchor, segments: Segments) -> tuple[str, ...]:
    """What there is of text that is not in the open text, read or not; the nearest last.

    It is as it is now, also where the anchor shows what was there before. Of `segments.further`,
    which nobody reads, it is all.
    """
    prefix = unix(segments.prefix)
    n_shown = len(anchor.fixed) + len(_tail(anchor.fixed, prefix) or "")
    above = prefix[: max(0, len(prefix) - n_shown)]
    imports = unix(segments.imports)
    near = (
        *(each.text for each in sorted(anchor.snippets, key=lambda each: -each.rank)),
        _right_of(segments)[:_MOST_ELSEWHERE_CHARS],
        "" if imports in prefix else imports,
        above[-_MOST_ELSEWHERE_CHARS:],
        "" if anchor.is_open else anchor.fixed,
    )
    texts = (*segments.further, *(text[:_MOST_ELSEWHERE_CHARS] for text in near))
    return tuple(unix(text) for text in texts if text)


def _about(segments: Segments) -> tuple[str, str]:
    return segments.path, segments.repository


def _right_of(segments: Segments) -> str:
    """The text right of the cursor as the model is shown it: without what only closes its line."""
    suffix = unix(segments.suffix)
    return suffix[len(suffix.partition("\n")[0]) :] if segments.rest_closes else suffix


def _is_suffix(anchor: Anchor, suffix: str) -> bool:
    """Whether what an anchor shows of a text right of the cursor is the beginning of this one."""
    shown = anchor.suffix
    n_both = min(len(shown), len(suffix))
    if shown[:n_both] != suffix[:n_both]:
        return False
    if anchor.suffix_is_cut and len(suffix) >= len(shown):
        return True
    n_apart = abs(len(shown) - len(suffix))
    return n_apart == 0 or (n_apart <= _MOST_CUT_CHARS and n_both >= _FEW_CHARS)


def _suffix(
    right: str, n_room: int, tokenize: Tokenize, others: Sequence[Anchor]
) -> tuple[str, bool]:
    """What is shown of the text right of the cursor, and whether that is not all."""
    for other in others:
        if _is_suffix(other, right):
            return other.suffix, other.suffix_is_cut
    suffix = head(right, n_room, tokenize)
    return suffix, len(suffix) < len(right)


def _tail(fixed: str, prefix: str) -> str | None:
    """What stands left of the cursor behind a text; None where that text is not there.

    The window left of the cursor may begin before that text or in it.
    """
    if prefix.startswith(fixed):
        return prefix[len(fixed) :]
    start = prefix.rfind(fixed)
    if start >= 0:
        return prefix[start + len(fixed) :]
    key, end = fixed[-_KEY_CHARS:], len(prefix)
    while len(key) == _KEY_CHARS and (at := prefix.rfind(key, 0, end)) >= 0:
        n_before = at + _KEY_CHARS
        if fixed.endswith(prefix[max(0, n_before - len(fixed)) : n_before]):
            return prefix[n_before:]
        end = n_before - 1
    return None


def _near(prefix: str, n_room: int, tokenize: Tokenize, others: Sequence[Anchor]) -> str:
    """The end of the text left of the cursor that is shown, from a line's beginning on.

    It begins where it began before, if it still fits so; else it is cut so far that it can grow.
    """
    prefix = from_line_start(prefix, max(0, len(prefix) - n_room * MOST_CHARS_PER_TOKEN))
    for other in others:
        start = prefix.find(other.fixed[:_KEY_CHARS]) if other.fixed else -1
        if start >= 0 and len(tokenize(prefix[start:])) <= n_room:
            return prefix[start:]
    near, tokens = prefix, tokenize(prefix)
    n_kept = n_room if len(tokens) <= n_room else int(n_room * (1 - _STEP_SHARE))
    while near and len(tokens) > n_kept:
        # In proportion, and a little less, so that two or three rounds do.
        n_chars = int(len(near) * max(0, n_kept) / len(tokens) * 0.97)
        near = from_line_start(near, len(near) - n_chars)
        tokens = tokenize(near)
    return near


def _up_to_line(near: str, n_most: int, tokenize: Tokenize) -> str:
    """All before the cursor's line; where the line is longer than that, all."""
    line_start = near.rfind("\n") + 1
    return near if len(tokenize(near[line_start:])) > n_most else near[:line_start]


def _above_work(near: str) -> str:
    """All but the last lines, which are never more than a third."""
    end, n_least = len(near), len(near) * 2 // 3
    for _ in range(_LINES_AT_WORK):
        line_start = near.rfind("\n", n_least, end)
        end = line_start if line_start >= 0 else end
    return near[:end] if end < len(near) else near[:n_least]
