"""Writes one setting into the user's own file.

Invariant: everything else in the file stays as it is, comments, order and line ends included; where
that cannot be done nothing is written, and the user is given the line.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import tomllib
from typing import TYPE_CHECKING

from tabby_lsp.config.quoting import printable, toml_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BYTE_ORDER_MARK = "\ufeff"
# A text on one line, in any of TOML's four kinds of quotes; what follows it may be a comment.
_TEXT = r"""(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_COMMENT = re.compile(r"\s*#")


class NotWritten(Exception):
    """The file could not be changed; the text is a sentence with the line to write by hand."""


def write_setting(path: Path, key: str, value: str) -> None:
    """Give the top-level `key` this text, in a file that may not be there yet; raises NotWritten.

    A link is followed, so that a file in a repository of dotfiles stays there.
    """
    line = toml_line(key, value)
    try:
        path = path.resolve()
        before = path.read_bytes().decode("utf-8") if path.exists() else ""
        after = with_setting(before, key, value)
        if after is None:
            raise NotWritten(_by_hand(path, line, "its form is not one that can be changed safely"))
        _replace(path, after)
    except UnicodeDecodeError:
        raise NotWritten(_by_hand(path, line, "it is not UTF-8")) from None
    except OSError as error:
        raise NotWritten(_by_hand(path, line, error.strerror or str(error))) from error


def with_setting(text: str, key: str, value: str) -> str | None:
    """The text of a settings file with another value for `key`; None where it cannot be done.

    Tries the likely edits, and takes the first that TOML reads as this change and no other.
    """
    wanted = _values(text)
    if wanted is None:
        return None
    wanted.pop(key, None)
    for edited in _edits(text, key, value):
        values = _values(edited)
        if values is not None and values.pop(key, None) == value and repr(values) == repr(wanted):
            return edited
    return None


def _values(text: str) -> dict[str, object] | None:
    try:
        return tomllib.loads(text.removeprefix(_BYTE_ORDER_MARK))
    except (ValueError, RecursionError):
        return None


def _edits(text: str, key: str, value: str) -> Iterator[str]:
    """The value in each line that looks like the key's, then a new line at the top."""
    mark = _BYTE_ORDER_MARK if text.startswith(_BYTE_ORDER_MARK) else ""
    text = text.removeprefix(mark)
    line = toml_line(key, value)
    quoted = re.escape(key)
    assignment = re.compile(
        rf"""^[ \t]*(?:{quoted}|"{quoted}"|'{quoted}')[ \t]*=[ \t]*({_TEXT})""", re.MULTILINE
    )
    for found in assignment.finditer(text):
        new = line.partition(" = ")[2]
        yield mark + text[: found.start(1)] + new + text[found.end(1) :]
    newline = "\r\n" if "\r\n" in text else "\n"
    head = _first_comments(text)
    rest = text[len(head) :]
    gap = newline if rest.strip() and not rest.startswith(("\n", "\r\n")) else ""
    yield mark + head + line + newline + gap + rest


def _first_comments(text: str) -> str:
    """The comments that begin the file, if an empty line sets them off: they speak of all of it."""
    end = 0
    for line in text.splitlines(keepends=True):
        if not line.strip():
            return text[: end + len(line)] if end else ""
        if not _COMMENT.match(line):
            return ""
        end += len(line)
    return ""


def _replace(path: Path, text: str) -> None:
    """At once, so that a full disk or a kill leaves the old file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(file, "wb") as fresh:
            fresh.write(text.encode("utf-8"))
        if path.exists():
            shutil.copymode(path, name)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _by_hand(path: Path, line: str, reason: str) -> str:
    return (
        f"{printable(str(path))} was not changed ({reason}); write this line into it, above its"
        f" first [section]: {line}"
    )
