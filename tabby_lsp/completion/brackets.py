"""Brackets, quotes and comments: what a piece of code leaves open, and what opens a block.

Invariant: one pass, linear in the length of any text. Strings hide what stands in them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tabby_lsp.languages import BY_ID

OPENERS = "([{"
CLOSERS = ")]}"
QUOTES = "\"'`"

# A quote that nothing closes reaches to the end of its line, a triple one to the end of the text.
# Nothing after the repeats can fail, so they never backtrack; Python 3.11.2 loses groups behind
# possessive ones.
_STRING = (
    r"""(?P<triple>\"{3}|'{3})(?:(?!(?P=triple))[^\\]|\\[\s\S]?)*(?P<end3>(?P=triple))?"""
    r"""|(?P<quote>[%s])(?:(?!(?P=quote))[^\\\r\n]|\\[^\r\n]?)*(?P<end1>(?P=quote))?"""
)
_BRACKET = r"|(?P<bracket>[()\[\]{}])"
_MARKS = re.compile(_STRING % QUOTES + _BRACKET)

# Where a single quote is no half of a pair: lifetimes, primed names, quoted lists.
_PRIMED_LANGUAGES = frozenset({"rust", "haskell", "ocaml", "clojure", "commonlisp", "scheme"})
_CHARACTER = r"|(?P<character>'(?:[^'\\\r\n]|\\[^\r\n][^'\r\n]{0,9})')"
_MARKS_OF_PRIMED = re.compile(_STRING % '"`' + _BRACKET + _CHARACTER)

_PYTHON_HEADER = re.compile(
    r"\s*(?:(?:async\s+)?(?:def|class|if|elif|else|for|while|with|try|except|finally|match|case)\b"
    r"|[)\]}]).*:"
)


@dataclass(frozen=True, slots=True)
class Pairs:
    """What a text leaves without its other half."""

    left_open: str  # brackets, the outermost first
    n_unopened: int  # closers of something before the text
    string_at: int | None  # where the string begins in which the text ends


def pair_up(text: str, language: str) -> Pairs:
    """Match openers with closers; a quote counts as open only where the text ends in its string."""
    left_open: list[str] = []
    n_unopened = 0
    string_at = None
    for mark in _marks_of(language).finditer(text):
        bracket = mark["bracket"]
        if bracket is None:
            is_open = mark.lastgroup in ("triple", "quote") and mark.end() == len(text)
            string_at = mark.start() if is_open else None
        elif bracket in OPENERS:
            left_open.append(bracket)
        elif left_open and OPENERS.index(left_open[-1]) == CLOSERS.index(bracket):
            left_open.pop()
        else:
            n_unopened += 1
    return Pairs("".join(left_open), n_unopened, string_at)


def comment_at(code: str, language: str) -> int | None:
    """Where the first line comment begins; None where none does or the language has no sign."""
    known = BY_ID.get(language)
    if known is None or not known.line_comment:
        return None
    without_strings = _marks_of(language).sub(
        lambda mark: mark["bracket"] or "_" * len(mark[0]), code
    )
    start = without_strings.find(known.line_comment)
    return start if start >= 0 else None


def opener_of(line: str, language: str) -> str:
    """What a line opens a block with: its last bracket, ":" for a Python header, or "" for none."""
    code = line[: comment_at(line, language)].rstrip()
    pairs = pair_up(code, language)
    if code.endswith(tuple(OPENERS)) and pairs.string_at is None:
        return code[-1]
    if language == "python" and not pairs.left_open and _PYTHON_HEADER.fullmatch(code):
        return ":"
    return ""


def _marks_of(language: str) -> re.Pattern[str]:
    return _MARKS_OF_PRIMED if language in _PRIMED_LANGUAGES else _MARKS
