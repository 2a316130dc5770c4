"""The rules that tell a secret from the code round it, within a text.

Invariant: every pattern is bounded in length and anchored where a plain search has found its mark,
so that no text makes it slow.
"""

from __future__ import annotations

import re
from collections import Counter
from math import log2
from typing import TYPE_CHECKING

from tabby_lsp.secrets import lists

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabby_lsp.secrets.lists import Kind

_ISSUED_TOKENS = tuple((mark, re.compile(tail)) for mark, tail in lists.ISSUED_TOKENS.items())
_MARKS = tuple((mark, re.compile(tail)) for mark, tail in lists.MARKS.items())
_VALUES = tuple((mark, re.compile(value, re.I), kind) for mark, value, kind in lists.VALUES)
_NAMES = tuple((mark, re.compile(name), kind) for mark, name, kind in lists.NAMES)

# From the end of a name to where its value begins: the rest of the name, then one of
#   password: str = "…"          password string = "…"          "password": …, password = …
#   "name": "PASSWORD", "value": …        variable "password" { default = …        <password>…
#   ("PASSWORD", "…"        password("…        #define PASSWORD "…"
_SEPARATOR = re.compile(
    r"""
    (?:_?(?:base|prod|production|dev|test|live|staging|main|value|b64|base64|hex|raw|v?\d{1,3})){0,2}
    (?![\w-])
    (?:
        [?!]?\s{0,4}:\s{0,4}[A-Za-z_&*][\w.\[\]<>|?&*,\x20']{0,40}?=(?=\s{0,9}\\?[bru(]{0,2}["'`])
      | \s{1,4}(?:string|\[\]byte)\s{0,4}=
      | \\?["'`]?[\])]{0,2}(?:\[\d{0,5}\])?[?!]?\s{0,40}(?:=>|(?::|\|\||\?\?)?={1,3}|!=|<-|:)
      | \\?["'`]?,?\s{1,60}\\?["']?(?:value|default|content)\\?["']?\s{0,8}[:=]
      | ["']\s{0,4}\{[^{}]{1,200}?\sdefault\s{0,8}=
      | (?P<only_quoted>(?P<comma>\\?["'`]\s{0,4},)|\s{0,2}\(|[ ]{1,4}(?=["'`]))
      | (?P<tag>["']?>)
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_QUOTED = re.compile(
    r"(?:[^\n]{1,80}?(?:\|\||\?\?|\sor|\selse)(?=\s))?\s{0,60}[(\[{]?\s{0,60}[bBrRuUfF@$]{0,2}\\?"
    r"(?:\"{1,3}([^\"\n]{1,120})|'{1,3}([^'\n]{1,120})|`([^`\n]{1,120}))"
)
_FIRST_ARGUMENT = re.compile(r"\w\([\"'][\w.-]*$")
_BARE = re.compile(r"[ \t]{0,40}([^\s\"'`<>]{1,100})")

# What a value has besides itself, and what stands in its place: ${TOKEN}, %(token)s, <token>.
_TEMPLATE = re.compile(r"\$?\{\{?[^{}]{0,80}\}\}?|%\(\w{0,40}\)[sd]|%[sdr]")
_DEFAULT = re.compile(r"\$\{\w{1,40}:?[-=]([^{}]{0,100})\}")
_STAND_IN = re.compile(r"\$(?:[A-Z_]+|[a-z_]+)\d?|%\w+%|<[^<>]*>|\[[^\]]*\]|(.)\1*")
_CODE = re.compile(r"[!&*~+(\-]*[A-Za-z_$@]\w*(?:(?:\.|->|::|\?\.)\w+)*(?:[(\[{)\]};,]|$)")
_BRACKETED = re.compile(r"[^#$@!?~^%]*[()\[\]{}][^#$@!?~^%]*")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_LITERAL = re.compile(r"(?<![\w+/=.@-])[\w+/=.-]{32,}+")
_DIGIT = re.compile(r"\d")
_SYMBOL = re.compile(r"[#$@!?~^%&*]")
_SPACE = re.compile(r"\s")
# Where the kind of character changes. A capital and the small letters after it are a word's
# beginning, no change: ClientV2 has two.
_TURN = re.compile(r"(?<=\d)\D|(?<=[a-z])[A-Z\d]|(?<=[A-Z])\d")
_PHRASE = re.compile(r"[a-z]{2,12}(?:[ ][a-z]{2,12}){3,23}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HASH_NAME = re.compile(lists.HASH_NAMES)
_HEX = re.compile(r"(?:0x)?[0-9a-fA-F]+")


def holds_secret(text: str) -> bool:
    """Whether a text seems to hold a key, a token, a password or another secret.

    Time is linear in the text.
    """
    # The one letter whose lower case is longer would shift every offset after it.
    lowered = text.replace("\u0130", "i").lower()
    return (
        any(_stands_in(text, mark, tail) for mark, tail in _MARKS)
        or any(_stands_in(text, mark, tail, is_word=True) for mark, tail in _ISSUED_TOKENS)
        or any(_is_secret(value, kind) for value, kind in _marked_values(text, lowered))
        or any(
            _is_secret(value, kind, is_bare=is_bare)
            for value, kind, is_bare in _named_values(text, lowered)
        )
        or any(_is_random_literal(text, found) for found in _LITERAL.finditer(text))
    )


def _at(text: str, mark: str) -> Iterator[int]:
    start = text.find(mark)
    while start >= 0:
        yield start
        start = text.find(mark, start + len(mark))


def _stands_in(text: str, mark: str, tail: re.Pattern[str], *, is_word: bool = False) -> bool:
    return any(
        not (is_word and text[at - 1 : at].isalnum()) and tail.match(text, at + len(mark))
        for at in _at(text, mark)
    )


def _marked_values(text: str, lowered: str) -> Iterator[tuple[str, Kind]]:
    for mark, pattern, kind in _VALUES:
        for at in _at(lowered, mark):
            if found := pattern.match(text, at):
                yield found[1], kind


def _named_values(text: str, lowered: str) -> Iterator[tuple[str, Kind, bool]]:
    for mark, pattern, kind in _NAMES:
        for at in _at(lowered, mark):
            name = pattern.match(lowered, at)
            if not name or not (kind_here := _kind_of_name(text, at, name[0], kind)):
                continue
            separator = _SEPARATOR.match(text, name.end())
            if not separator or (separator[0].isspace() and name[0] == "pass"):  # the verb
                continue
            if quoted := _QUOTED.match(text, separator.end()):
                value = quoted[quoted.lastindex or 0]
                is_listed = separator["comma"] and not _FIRST_ARGUMENT.search(
                    text[max(0, at - 60) : at]
                )
                # In a list of names the next string is a name as a rule.
                if not is_listed or _DIGIT.search(value) or _is_random(value):
                    yield value, "key" if is_listed else kind_here, False
            elif not separator["only_quoted"] and (bare := _BARE.match(text, separator.end())):
                is_literal = (separator[0] == "=" and text[at].isupper()) or (
                    separator["tag"] is not None and text[bare.end() : bare.end() + 1] == "<"
                )
                yield bare[1], kind_here, not is_literal


def _kind_of_name(text: str, at: int, name: str, kind: Kind) -> Kind | None:
    """What a name's value may be, by what stands before it: `apiKey` but not `monkey`."""
    before = text[max(0, at - 20) : at]
    is_word = not before[-1:].isalpha() or (text[at].isupper() and before[-1].islower())
    if name in ("key", "keys", "token", "tokens"):
        if before.rstrip("_-. ").lower().endswith(lists.KEY_OWNERS):
            return "key"
        return "token" if is_word else None
    return kind if is_word or len(name) > 5 else None


def _is_secret(value: str, kind: Kind, *, is_bare: bool = False) -> bool:
    """Whether a value is one, rather than a name of one, a stand-in, a path or a piece of code."""
    value = _TEMPLATE.sub("", _DEFAULT.sub(r"\1", value)).strip("\\,;.:")
    words = {word.lower() for word in _WORD.findall(value)}
    is_known = not words.isdisjoint(lists.KNOWN_WORDS)
    if _SPACE.search(value):
        is_sentence = is_known or not words.isdisjoint(lists.SMALL_WORDS)
        return kind == "password" and not is_sentence and _PHRASE.fullmatch(value) is not None
    if len(value) < 6 or _STAND_IN.fullmatch(value) or (is_bare and _BRACKETED.fullmatch(value)):
        return False
    if _is_random(value):
        return len(value) >= (12 if kind == "token" else 10)
    if kind == "token" or value.startswith(("/", "./", "../", "~/")) or "://" in value:
        return False
    has_digit = _DIGIT.search(value) is not None
    if is_bare and _CODE.match(value):
        return kind == "password" and has_digit and not is_known
    if kind == "key":
        return len(value) >= (8 if has_digit else 16) and not is_bare and not is_known
    if has_digit:
        return True
    is_odd = _has_both_cases(value) and _SYMBOL.search(value) is not None
    return not is_known and (not is_bare or is_odd or len(value) >= 16)


def _is_random(value: str) -> bool:
    """Whether letters and digits, or capitals and small letters, alternate as they do in keys.

    Four in ten neighbours differ in hexadecimal, base36 and base64 text, one in ten in `utf8_name`;
    pieces of one case are two letters long in random text, six in `SomeClassName`.
    """
    if _UUID.fullmatch(value):
        return True
    letters = "".join(filter(str.isalnum, value))
    if len(letters) < 10:
        return False
    if _DIGIT.search(letters):
        is_mixed = len(_TURN.findall(letters)) >= len(letters) / 5
    else:
        is_mixed = _has_both_cases(letters) and len(letters) <= 3 * len(_WORD.findall(value))
    return is_mixed and _entropy(value) > 2.7


def _is_random_literal(text: str, found: re.Match[str]) -> bool:
    value = found[0].rstrip("=")
    before = text[max(0, found.start() - 64) : found.start() + 8].rpartition("\n")[2].lower()
    if _HASH_NAME.search(before):
        return False
    if sum(not c.isalnum() for c in value) > max(3, len(value) // 8) or not _is_random(value):
        return False
    if not _DIGIT.search(value):
        return False
    if _HEX.fullmatch(value):
        return _entropy(value) > 3.0
    return _has_both_cases(value) and _entropy(value) > 4.0


def _has_both_cases(text: str) -> bool:
    return text != text.lower() and text != text.upper()


def _entropy(text: str) -> float:
    """Shannon's, in bits a character."""
    n = len(text)
    return -sum(count / n * log2(count / n) for count in Counter(text).values())
