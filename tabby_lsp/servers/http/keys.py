"""The keys that a server asks for which others than this machine can reach.

Invariant: no key is logged or compared byte by byte, and nobody but the user can read their file.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

Privilege = Literal["api", "admin"]

_FILE = "keys.json"
_N_BYTES = 32


class KeysUnusable(Exception):
    """The file of keys cannot be used; the text is a sentence with the remedy."""


@dataclass(frozen=True, slots=True)
class Keys:
    """An `api` key for asking, an `admin` key for everything."""

    api: str
    admin: str
    path: Path

    def privilege_of(self, key: str) -> Privilege | None:
        """What a key allows; None for one that is none."""
        # Of equal length whatever was given, and always both.
        given = _digest(key)
        is_admin = hmac.compare_digest(given, _digest(self.admin))
        is_api = hmac.compare_digest(given, _digest(self.api))
        return "admin" if is_admin else "api" if is_api else None


def keys_in(folder: Path) -> Keys:
    """The keys of a folder, made when they are first needed; raises KeysUnusable."""
    path = folder / _FILE
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return _read(path) if path.exists() or path.is_symlink() else _make(path)
    except FileExistsError:  # Another server has just made them.
        return _read(path)
    except OSError as error:
        raise KeysUnusable(f"The keys in {path} cannot be used: {error.strerror}.") from error


def _make(path: Path) -> Keys:
    keys = Keys(
        api=secrets.token_hex(_N_BYTES // 2), admin=secrets.token_hex(_N_BYTES // 2), path=path
    )
    part = path.with_name(f".{path.name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(part, flags, 0o600), "w", encoding="utf-8") as file:
        json.dump({"api": keys.api, "admin": keys.admin}, file, indent=2)
    try:
        # Never half a file, and never over one that is there.
        os.link(part, path)
    finally:
        part.unlink()
    return keys


def _read(path: Path) -> Keys:
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(path, flags), encoding="utf-8") as file:
        mode = os.fstat(file.fileno()).st_mode
        if os.name != "nt" and stat.S_IMODE(mode) & 0o077:
            raise KeysUnusable(f"Others can read the keys in {path}: `chmod 600 {path}`.")
        try:
            values = json.load(file)
            keys = Keys(api=values["api"], admin=values["admin"], path=path)
        except (ValueError, KeyError, TypeError):
            keys = Keys(api="", admin="", path=path)
    is_whole = all(isinstance(key, str) and len(key) >= 16 for key in (keys.api, keys.admin))
    if not is_whole or keys.api == keys.admin:
        raise KeysUnusable(
            f"{path} does not hold an `api` and another `admin` key of 16 characters or more: "
            "delete it, and new ones are made."
        )
    return keys


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
