"""What each setting takes: the check, and the words for it.

Invariant: knows types, ranges and paths, and no setting by its name.
"""

from __future__ import annotations

import os
import re
import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tabby_lsp.config.settings import MAX_TEXT_CHARS

if TYPE_CHECKING:
    from tabby_lsp.config.keys import Key
    from tabby_lsp.config.settings import About
    from tabby_lsp.config.source import Source

# More than there are programming languages with a language id in any editor.
MAX_LIST_ITEMS = 1_000

YES_AND_NO = {"true": True, "yes": True, "on": True, "1": True} | dict.fromkeys(
    ("false", "no", "off", "0"), False
)

# What is no path on any platform, and no address: no separators, no drive letter, no dot at either
# end. Somewhat longer than one part of a Hugging Face name may be (96).
PLAIN_NAME = re.compile(r"(?![A-Za-z]:)\w[\w .,:+@#()-]{0,127}(?<![ .])")


def is_plain_name(text: str) -> bool:
    """Whether it can only be a name, and neither a path nor an address."""
    return PLAIN_NAME.fullmatch(text) is not None


def names_a_file(model: str) -> bool:
    """Whether `model` is the path of a GGUF file; if not, it is a model's name."""
    return not is_plain_name(model) or model.lower().endswith(".gguf")


def expected(key: Key) -> str:
    """What `key` takes, as the object of "give it"."""
    about = key.about
    if key.choices:
        return " or ".join(f'"{choice}"' for choice in key.choices)
    if key.type == "boolean":
        return "true or false"
    if key.type == "integer":
        zero = f", or 0 for {about.zero}" if about.zero else ""
        of_what = f" of {about.unit}" if about.unit else ""
        return f"a whole number{of_what} from {about.minimum} to {about.maximum}{zero}"
    if key.type == "array":
        return f"a list of at most {MAX_LIST_ITEMS} texts"
    if about.is_url:
        return "an address such as http://127.0.0.1:8000, without a password in it"
    noun = ("a name or path" if about.is_name else "a path") if about.is_path else "text"
    least = f"{about.minimum} to" if about.minimum else "at most"
    return f"{noun} of {least} {about.maximum} characters, without control characters"


def accept(key: Key, value: object, source: Source) -> object | None:
    """The value as the tree holds it, or None where `key` does not take it.

    Text from the environment and from flags is read by the key's type; paths become absolute.
    """
    if isinstance(value, str) and source.kind in ("environment", "flag"):
        value = _parse(key, value)
    if key.type == "boolean":
        return value if isinstance(value, bool) else None
    if key.type == "integer":
        return _whole_number(key.about, value, source)
    if key.type == "array":
        return _texts(value)
    if key.choices:
        return value if isinstance(value, str) and value in key.choices else None
    if not isinstance(value, str) or len(value) < key.about.minimum or not _is_plain(value):
        return None
    if key.about.is_url:
        return value if _is_address(value) else None
    return _anchored(key.about, value, source.folder)


def _parse(key: Key, text: str) -> object:
    if key.type == "boolean":
        return YES_AND_NO.get(text.strip().lower(), text)
    if key.type == "integer" and re.fullmatch(r"[+-]?[0-9]{1,20}", text.strip()):
        return int(text)
    if key.type == "array":
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _whole_number(about: About, value: object, source: Source) -> int | None:
    # Editors whose settings are in a language with one kind of number may send 5 as 5.0.
    if source.kind == "client" and isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    in_range = about.minimum <= value <= about.maximum
    return value if in_range or (value == 0 and about.zero) else None


def _texts(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, (list, tuple)) or len(value) > MAX_LIST_ITEMS:
        return None
    is_fit = all(isinstance(item, str) and item and _is_plain(item) for item in value)
    return tuple(value) if is_fit else None


def _is_plain(text: str) -> bool:
    """Whether it can be a name or a path, and be written as UTF-8."""
    if len(text) > MAX_TEXT_CHARS:
        return False
    return not any(unicodedata.category(char) in ("Cc", "Cs") for char in text)


def _is_address(text: str) -> bool:
    """Whether it is where a server may be; what could be told apart by no eye is none."""
    try:
        parts = urlsplit(text)
        has_place = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    is_bare = "@" not in parts.netloc and not set("?#\\") & set(text)
    is_visible = text.isascii() and text.isprintable() and " " not in text
    return parts.scheme in ("http", "https") and has_place and is_bare and is_visible


def _anchored(about: About, text: str, folder: str) -> str:
    """A path made absolute: editors start us in folders that the user did not choose."""
    if not about.is_path or not text or (about.is_name and not names_a_file(text)):
        return text
    return os.path.join(folder, os.path.expanduser(text))
