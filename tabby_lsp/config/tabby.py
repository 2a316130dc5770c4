"""What Tabby's own settings file says: the repositories that its users have configured."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit


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
    try:
        values = tomllib.loads((root / "config.toml").read_bytes().decode("utf-8"))
    except (OSError, ValueError):
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
    parts = urlsplit(git_url)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        return None
    path = unquote(parts.path)
    # `file:///C:/x` has a slash too many for Windows.
    return Path(path[1:] if re.match(r"/[A-Za-z]:", path) else path)
