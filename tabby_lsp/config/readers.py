"""Reads the places that settings come from.

Invariant: judges no setting; a file that cannot be read is a Problem, never an exception.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from tabby_lsp.config.keys import KEYS, SECTIONS, snake_case
from tabby_lsp.config.quoting import printable, shown
from tabby_lsp.config.source import VARIABLE_PREFIX, Problem, Source, variable

Channel = Literal["initializationOptions", "workspace/configuration", "didChangeConfiguration"]

MAX_FILE_BYTES = 1_048_576  # a thousand times what anybody writes by hand

OWN_SECTION = "tabby_lsp"


def read_user_file(path: Path, *, must_exist: bool = False) -> Source:
    """The user's own file; an absent one says nothing, unless it was asked for by name."""
    path = Path(_present_folder(), os.path.expanduser(path))
    try:
        if makes_wait(path):
            return _file_source(path, {}, "it is a pipe. Make it a file that you may read.")
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        trouble = "it does not exist. Create it, or name another." if must_exist else ""
        return _file_source(path, {}, trouble)
    except OSError as error:
        reason = f"{error.strerror or error}. Make it a file that you may read."
        return _file_source(path, {}, reason)
    return _file_source(path, *_parse_toml(data))


def makes_wait(path: Path) -> bool:
    """Whether it is a named pipe, which cannot be opened before another program opens it too.

    The pipes of a shell, `<(...)`, are open already, and stand in /dev.
    """
    return path.is_fifo() and Path("/dev") not in path.absolute().parents


def read_environment(environ: Mapping[str, str] = os.environ) -> Source:
    """The variables `TABBY_LSP_*`; an empty one counts as not set."""
    names = {variable(name): name for name in KEYS}
    values = {
        names.get(name.upper(), name.removeprefix(VARIABLE_PREFIX).lower()): value
        for name, value in environ.items()
        if name.startswith(VARIABLE_PREFIX) and value
    }
    folder = _present_folder()
    return Source(name="the environment", kind="environment", values=values, folder=folder)


def flag_source(values: Mapping[str, object], flags: Mapping[str, str] | None = None) -> Source:
    """What flags set, by dotted key; `flags` has those that are not called as their key.

    `--log-level` is called as `log.level` is.
    """
    return Source(
        name="the command line",
        kind="flag",
        values=values,
        folder=_present_folder(),
        flags=flags or {},
    )


def client_source(values: object, channel: Channel) -> Source:
    """What the client sent, with or without the section `tabby-lsp`; null is nothing.

    Some clients push the settings of all servers to each by didChangeConfiguration (eglot does):
    without our section and without a key of ours these are for somebody else.
    """
    name = f"the editor ({channel})"
    if values is None:
        return Source(name=name, kind="client", values={})
    if not isinstance(values, Mapping):
        message = f"{shown(values)} from {name} is ignored: settings are an object of keys."
        problem = Problem("", name, message)
        return Source(name=name, kind="client", values={}, problems=(problem,))
    own = _own_section(values)
    is_for_all = channel == "didChangeConfiguration" and own is values
    if is_for_all and not any(map(_is_ours, own)):
        own = {}
    return Source(name=name, kind="client", values=own)


def _present_folder() -> str:
    """Where relative paths start; "" where somebody has deleted that folder."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def _own_section(values: Mapping[str, object]) -> Mapping[str, object]:
    """What stands under `tabby-lsp`, nested or dotted; everything where there is no such key."""
    own: dict[str, object] = {}
    is_sectioned = False
    for name, value in values.items():
        head, _, rest = name.partition(".")
        if snake_case(head) != OWN_SECTION:
            continue
        is_sectioned = True
        if rest:
            own[rest] = value
        elif isinstance(value, Mapping):
            own.update(value)
        elif value is not None:
            own[name] = value
    return own if is_sectioned else values


def _is_ours(name: str) -> bool:
    head = snake_case(name.partition(".")[0])
    return head in KEYS or head in SECTIONS


def _file_source(path: Path, values: Mapping[str, object], trouble: str) -> Source:
    name = str(path)
    problem = Problem("", printable(name), f"{printable(name)} is ignored: {trouble}")
    return Source(
        name=name,
        kind="file",
        values=values,
        folder=str(path.parent),
        problems=(problem,) if trouble else (),
    )


def _parse_toml(data: bytes) -> tuple[Mapping[str, object], str]:
    """The values and "", or nothing and what is wrong."""
    if len(data) > MAX_FILE_BYTES:
        return {}, f"it is longer than {MAX_FILE_BYTES} bytes. Name a settings file."
    try:
        # Windows' Notepad begins a file with a byte order mark, which TOML does not know.
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return {}, f"it is not UTF-8 (at line {line}). Save it as UTF-8."
    try:
        return tomllib.loads(text), ""
    except RecursionError:
        return {}, "its values are nested too deeply. No setting is nested."
    except ValueError as error:
        remedy = "Correct that; a path with backslashes goes in single quotes."
        return {}, f"{printable(_with_line(str(error), text))}. {remedy}"


def _with_line(message: str, text: str) -> str:
    last_line = text.rstrip("\n").count("\n") + 1
    return message.replace("at end of document", f"at line {last_line}, the end")
