"""What Tabby's own settings file says: the repositories that its users have configured."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tabby_lsp.config.readers import MAX_FILE_BYTES, makes_wait


@dataclass(frozen=True, slots=True)
class Repository:
    """One `[[repositories]]`."""

    name: str  # the last part of its address, which is all that Tabby goes by
    git_url: str
    folder: Path | None  # where it is, if it is on this machine


def tabby_root() -> Path:
    """Tabby's folder: `TABBY_ROOT`, else `~/.tabby`."""
    own = os.environ.get("TABBY_ROOT", "")
    try:
        return Path(own) if own else Path.home() / ".tabby"
    except RuntimeError:  # no home
        return Path(os.sep) / ".tabby"


def read_repositories(root: Path) -> tuple[Repository, ...]:
    """The repositories of `config.toml` in Tabby's folder; none where it cannot be read."""
    path = root / "config.toml"
    try:
        if makes_wait(path):
            return ()
        with path.open("rb") as file:
            values = tomllib.loads(file.read(MAX_FILE_BYTES).decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return ()
    tables = values.get("repositories")
    found = [
        table["git_url"]
        for table in (tables if isinstance(tables, list) else [])
        if isinstance(table, dict) and isinstance(table.get("git_url"), str)
    ]
    return tuple(Repository(name_of(url), url, _folder(url)) for url in found)


def name_of(git_url: str) -> str:
    """The last part of an address, without `.git`: `git@host:a/b.git` is `b`."""
    return re.split(r"[/:\\]", git_url.rstrip("/\\"))[-1].removesuffix(".git")


def _folder(git_url: str) -> Path | None:
    try:
        parts = urlsplit(git_url)
    except ValueError:  # a bracket that no address has
        return None
    path = unquote(parts.path)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or "\0" in path:
        return None
    # `file:///C:/x` has a slash too many for Windows.
    return Path(path[1:] if re.match(r"/[A-Za-z]:", path) else path)
