"""Values as text: short and harmless in a message, exact in TOML.

Invariant: what comes out is printable, whatever went in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

MAX_SHOWN_CHARS = 80
MAX_TEXT_CHARS = 1_000  # of a text that is looked through for what should not be shown
MAX_SHOWN_ITEMS = 5
MAX_SHOWN_BITS = 200  # a number of 60 digits; Python refuses to write one of more than 4,300

# A name and a password in front of a host, with or without the rest of an address.
USER_INFO = re.compile(r"\S*:\S*@")
# What is asked of an address, where some put a key.
QUERY = re.compile(r"(://[^\s?#]*[?#])\S+")
# Whoever misspells the name of a credential should not find the credential in a log.
CREDENTIAL = re.compile(
    r"(^|[._-])(token|secret|password|bearer|auth|authorization|(api_?)?key(_env)?)$", re.IGNORECASE
)


def printable(text: str) -> str:
    """The text with an escape for everything that cannot be seen."""
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def short(text: str) -> str:
    """The text made printable, and cut where it gets long."""
    start = printable(text[: MAX_SHOWN_CHARS + 1])
    return start if len(start) <= MAX_SHOWN_CHARS else start[: MAX_SHOWN_CHARS - 1] + "…"


def shown(value: object, key: str = "") -> str:
    """A value of any type, size and depth in about 80 characters; a credential is not shown."""
    if CREDENTIAL.search(key[-MAX_SHOWN_CHARS:]):
        return "(not shown)"
    if isinstance(value, str):
        text = QUERY.sub(r"\1…", USER_INFO.sub("…@", value[:MAX_TEXT_CHARS]))
        return f'"{short(text)}"'
    if isinstance(value, Mapping):
        return "(a table)"
    if isinstance(value, (list, tuple)):
        return short(f"[{', '.join(map(_shown_item, value[:MAX_SHOWN_ITEMS]))}]")
    if isinstance(value, bool) or value is None:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and value.bit_length() > MAX_SHOWN_BITS:
        return "(a huge number)"
    return short(str(value))


def toml_line(key: str, value: object) -> str:
    """One line of TOML that gives `key` the text or the number `value`."""
    return f"{toml_key(key)} = {toml_text(value) if isinstance(value, str) else value}"


def toml_key(key: str) -> str:
    """One part of a dotted key, in quotes where TOML wants them."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_text(key)


def toml_text(text: str) -> str:
    """A basic string of TOML, on one line."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{printable(quoted)}"'


def _shown_item(item: object) -> str:
    return "[…]" if isinstance(item, (list, tuple)) else shown(item)


def _escape(char: str) -> str:
    number = ord(char)
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"
