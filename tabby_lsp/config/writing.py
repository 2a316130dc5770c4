"""Writes settings into the user's own file.

Invariant: everything else in the file stays as it is, comments, order and line ends included; where
that cannot be done nothing is written, and the user is given the lines.
"""

from __future__ import annotations

import copy
import os
import re
import shutil
import tempfile
import tomllib
from typing import TYPE_CHECKING, Any

from tabby_lsp.config.quoting import printable, toml_key, toml_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# Where a setting is: its key, or the names of the tables round it and then its key.
KeyPath = tuple[str, ...]

_BYTE_ORDER_MARK = "\ufeff"
# A text on one line, in any of TOML's four kinds of quotes; what follows it may be a comment.
_TEXT = r"""(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_COMMENT = re.compile(r"\s*#")


class NotWritten(Exception):
    """The file could not be changed; the text is a sentence with the lines to write by hand."""


def write_settings(path: Path, changes: Mapping[KeyPath, str]) -> None:
    """Give these keys these texts, all at once, in a file that may not be there yet.

    A link is followed, so that a file in a repository of dotfiles stays there. Raises NotWritten.
    """
    try:
        path = path.resolve()
        before = path.read_bytes().decode("utf-8") if path.exists() else ""
        after = with_settings(before, changes)
        if after is None:
            reason = "its form is not one that can be changed safely"
            raise NotWritten(_by_hand(path, changes, reason))
        _replace(path, after)
    except UnicodeDecodeError:
        raise NotWritten(_by_hand(path, changes, "it is not UTF-8")) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise NotWritten(_by_hand(path, changes, reason)) from error


def with_settings(text: str, changes: Mapping[KeyPath, str]) -> str | None:
    """The text of a settings file with other values; None where it cannot be done."""
    # Each new key goes below its table's heading, so that the last one has to be first.
    for key, value in reversed([*changes.items()]):
        edited = _with_setting(text, key, value)
        if edited is None:
            return None
        text = edited
    return text


def _with_setting(text: str, key: KeyPath, value: str) -> str | None:
    """Tries the likely edits, and takes the first that TOML reads as this change and no other."""
    before = _values(text)
    if before is None:
        return None
    wanted = _without(before, key)
    for edited in _edits(text, key, value):
        values = _values(edited)
        if values is None or _at(values, key) != value:
            continue
        if repr(_without(values, key)) == repr(wanted):
            return edited
    return None


def _values(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text.removeprefix(_BYTE_ORDER_MARK))
    except (ValueError, RecursionError):
        return None


def _at(values: object, key: KeyPath) -> object:
    for name in key:
        values = values.get(name) if isinstance(values, dict) else None
    return values


def _without(values: dict[str, Any], key: KeyPath) -> dict[str, Any]:
    """All other values; a table that has none of them does not count."""
    rest = copy.copy(values)
    name, *inner = key
    table = rest.get(name)
    if inner and isinstance(table, dict):
        rest[name] = _without(table, tuple(inner))
    if not inner or rest.get(name) == {}:
        rest.pop(name, None)
    return rest


def _edits(text: str, key: KeyPath, value: str) -> Iterator[str]:
    """The value in each line that looks like the key's, then a new line where it belongs."""
    mark = _BYTE_ORDER_MARK if text.startswith(_BYTE_ORDER_MARK) else ""
    text = text.removeprefix(mark)
    newline = "\r\n" if "\r\n" in text else "\n"
    line = toml_line(key[-1], value)
    assignment = re.compile(rf"^[ \t]*{_spelled(key[-1])}[ \t]*=[ \t]*({_TEXT})", re.MULTILINE)
    for found in assignment.finditer(text):
        new = line.partition(" = ")[2]
        yield mark + text[: found.start(1)] + new + text[found.end(1) :]
    if len(key) == 1:
        yield mark + _with_first_line(text, line, newline)
    else:
        for edited in _with_line_in_table(text, key[:-1], line, newline):
            yield mark + edited


def _with_first_line(text: str, line: str, newline: str) -> str:
    """A line above all sections."""
    head = _first_comments(text)
    rest = text[len(head) :]
    gap = newline if rest.strip() and not rest.startswith(("\n", "\r\n")) else ""
    return head + line + newline + gap + rest


def _with_line_in_table(text: str, table: KeyPath, line: str, newline: str) -> Iterator[str]:
    """The line below the table's heading, or a new table at the end."""
    dotted = r"[ \t]*\.[ \t]*".join(map(_spelled, table))
    heading = re.compile(rf"^[ \t]*\[[ \t]*{dotted}[ \t]*\][^\r\n]*", re.MULTILINE)
    for found in heading.finditer(text):
        yield text[: found.end()] + newline + line + text[found.end() :]
    gap = newline if text and not text.endswith("\n") else ""
    gap += newline if text.strip() else ""
    yield f"{text}{gap}[{'.'.join(map(toml_key, table))}]{newline}{line}{newline}"


def _spelled(name: str) -> str:
    """A pattern for a key, bare or in quotes."""
    quoted = re.escape(name)
    return f"""(?:{quoted}|"{quoted}"|'{quoted}')"""


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


def _by_hand(path: Path, changes: Mapping[KeyPath, str], reason: str) -> str:
    top = [toml_line(key[-1], value) for key, value in changes.items() if len(key) == 1]
    told = f"{printable(str(path))} was not changed ({reason}); write "
    if top:
        lines = "this line" if len(top) == 1 else "these lines"
        told += f"{lines} into it, above its first [section]: {'; '.join(top)}"
    tables = with_settings("", {key: text for key, text in changes.items() if len(key) > 1})
    return told + (f"{'; and ' if top else ''}at its end:\n{tables}".rstrip() if tables else "")
