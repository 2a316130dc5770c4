"""What of the user's own document a model is given: all of it but the secrets.

Invariant: nothing that `secrets.holds_secret` knows is in what comes out, and lines stay lines.
"""

from __future__ import annotations

import re
from functools import lru_cache

from tabby_lsp.completion.cursor import whole_lines
from tabby_lsp.secrets import holds_secret

# Looked at together and remembered together: most of a document stays the same from key to key.
_BLOCK_LINES = 32
_N_TEXTS_KEPT = 1024
# Over so many lines a name and its value may stand apart, as in `password = (` and below it.
_MOST_LINES_APART = 6

# The name that a value is given to; what comes after it is the secret.
_NAME = re.compile(r"\s*[^=:(\"']*[=:(]?\s*")
# What stands below its first line: lines of base64, those that say how it is encrypted, the last
# line. The window may end, or begin, in the middle of it.
_KEY_LINE = r"[ \t\"'+]*(?:[A-Za-z0-9+/]{1,}={0,2}|[A-Z][\w-]{3,20}: [^\n]{1,80})?"
_PRIVATE_KEY = re.compile(
    rf"-----BEGIN[^-\n]{{0,40}}PRIVATE KEY[^\n]*(?:\r?\n{_KEY_LINE}[ \t\"',+\\n]*(?=\r?\n|\Z))*"
    r"(?:\r?\n[^\n]{0,20}-----END[^\n]*)?"
)


def without_secrets(text: str) -> str:
    """The text with `...` in the place of every value that may be secret."""
    if "PRIVATE KEY" in text:
        text = _PRIVATE_KEY.sub(_only_line_ends, text)
    lines = whole_lines(text)
    starts = range(0, len(lines), _BLOCK_LINES)
    for start in starts:
        _hide(lines, start, start + _BLOCK_LINES)
    # And where two of them meet.
    for edge in starts[1:]:
        _hide(lines, edge - _MOST_LINES_APART, edge + _MOST_LINES_APART)
    return "".join(lines)


def further_without_secrets(text: str) -> str:
    """The same for text that lies further off; its first and last lines are left out.

    They may hold a value whose name stands in the text that they were cut off from.
    """
    return without_secrets("".join(whole_lines(text)[_MOST_LINES_APART:-_MOST_LINES_APART]))


def sides_without_secrets(prefix: str, suffix: str) -> tuple[str, str]:
    """The same for both sides of a cursor, before which its own line is left as it is there."""
    prefix, suffix = without_secrets(prefix), without_secrets(suffix)
    above, below = whole_lines(prefix), whole_lines(suffix)
    # What is being typed is no secret by itself, and its name may be.
    at_cursor = above.pop() if above and not prefix.endswith(("\n", "\r")) else ""
    n_above, n_below = len(above[-_MOST_LINES_APART:]), len(below[:_MOST_LINES_APART])
    near = "".join([*above[-_MOST_LINES_APART:], at_cursor, *below[:_MOST_LINES_APART]])
    shown = _without_secrets(near)
    if not at_cursor + suffix or shown is near:
        return prefix, suffix
    # Both are lines of one text, and the cursor's may be in two parts.
    lines = [*whole_lines(shown), ""]
    above[len(above) - n_above :] = lines[:n_above]
    rest = lines[n_above].removeprefix(at_cursor) if at_cursor else lines[n_above]
    below[:n_below] = [rest, *lines[n_above + 1 :]]
    return "".join([*above, at_cursor]), "".join(below)


def _hide(lines: list[str], start: int, end: int) -> None:
    """What is secret in these lines, in place."""
    text = "".join(lines[start:end])
    shown = _without_secrets(text)
    if shown is not text:
        lines[start:end] = whole_lines(shown)


@lru_cache(maxsize=_N_TEXTS_KEPT)
def _without_secrets(text: str) -> str:
    """A few lines; the same object where nothing in them is secret."""
    if not holds_secret(text):
        return text
    lines = [_hidden(line) if holds_secret(line) else line for line in whole_lines(text)]
    # What is secret only together is left out together.
    for n_lines in range(2, _MOST_LINES_APART + 1):
        if not holds_secret("".join(lines)):
            break
        for start in range(len(lines) - n_lines + 1):
            if holds_secret("".join(lines[start : start + n_lines])):
                lines[start : start + n_lines] = _blank(lines[start : start + n_lines])
    return "".join(_blank(lines) if holds_secret("".join(lines)) else lines)


def _blank(lines: list[str]) -> list[str]:
    return [_only_line_ends(line) for line in lines]


def _hidden(line: str) -> str:
    name = _NAME.match(line)
    kept = name[0] if name else ""
    text = line.rstrip("\r\n")
    shown = f"{kept}..." if not holds_secret(f"{kept}...") else "..."
    return shown + line[len(text) :]


def _only_line_ends(text: str | re.Match[str]) -> str:
    whole = text if isinstance(text, str) else text[0]
    return re.sub(r"[^\r\n]+", "", whole)
