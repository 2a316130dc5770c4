"""What of the user's own document a model is given: all of it but the secrets.

Invariant: nothing that `secrets.holds_secret` knows is in what comes out, and lines stay lines.
"""

from __future__ import annotations

import re
from functools import lru_cache

from tabby_lsp.secrets import holds_secret

# Looked at together and remembered together: most of a document stays the same from key to key.
_BLOCK_LINES = 32
_N_BLOCKS_KEPT = 512

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
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
    lines = _LINE.findall(text)
    blocks = (
        "".join(lines[start : start + _BLOCK_LINES]) for start in range(0, len(lines), _BLOCK_LINES)
    )
    return "".join(_block_without_secrets(block) for block in blocks)


@lru_cache(maxsize=_N_BLOCKS_KEPT)
def _block_without_secrets(block: str) -> str:
    if not holds_secret(block):
        return block
    lines = [_hidden(line) if holds_secret(line) else line for line in _LINE.findall(block)]
    hidden = "".join(lines)
    # What is secret only as a whole, over several lines, is left out as a whole.
    return _only_line_ends(hidden) if holds_secret(hidden) else hidden


def _hidden(line: str) -> str:
    name = _NAME.match(line)
    kept = name[0] if name else ""
    text = line.rstrip("\r\n")
    shown = f"{kept}..." if not holds_secret(f"{kept}...") else "..."
    return shown + line[len(text) :]


def _only_line_ends(text: str | re.Match[str]) -> str:
    whole = text if isinstance(text, str) else text[0]
    return re.sub(r"[^\r\n]+", "", whole)
