"""Where the host of this user and of this installation is, and who may come near it.

Invariant: socket, lock and token are in a folder that is the user's own and closed to all others.
"""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tabby_lsp import __version__
from tabby_lsp.config import runtime_dirs, state_dir, temporary_dirs
from tabby_lsp.domain import EngineError

HAS_UNIX_SOCKETS = hasattr(socket, "AF_UNIX") and sys.platform != "win32"
# macOS takes 104 with the NUL, others a little more.
MAX_SOCKET_BYTES = 99


@dataclass(frozen=True, slots=True)
class Place:
    """The files of one host."""

    folder: Path
    name: str  # the version, and which installation of it
    socket: Path  # below MAX_SOCKET_BYTES; where there are none, the file with port and token

    @property
    def lock(self) -> Path:
        """Held by the host as long as it lives; says its process and when that began."""
        return self.folder / f"{self.name}.lock"

    @property
    def starting(self) -> Path:
        """Held by whoever starts a host."""
        return self.folder / f"{self.name}.starting"


def place() -> Place:
    """Where to look; raises EngineError where no folder can be used."""
    name = f"{__version__}-{_installation()}"
    tried = []
    for folder in runtime_dirs():
        if _is_ours(folder):
            return Place(folder, name, _socket_in(folder, name))
        tried.append(str(folder))
    for above in temporary_dirs():
        folder = above / _user_folder()
        if _is_ours(folder):
            return Place(folder, name, _socket_in(folder, name))
        tried.append(str(folder))
    raise EngineError(
        "There is no folder for the engine host's socket that is yours alone and can be written: "
        f"tried {', '.join(tried)}. Set XDG_RUNTIME_DIR to one, or start `tabby-lsp --in-process`."
    )


def log_path() -> Path:
    """What the host has said; it may not be there."""
    return state_dir() / "host.log"


def _socket_in(folder: Path, name: str) -> Path:
    """In the folder, or where its path is too long for that, in a short one of the user's own."""
    if not HAS_UNIX_SOCKETS:
        return folder / f"{name}.json"
    path = folder / f"{name}.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_BYTES:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    for above in temporary_dirs():
        short = above / _user_folder() / f"{digest}.sock"
        if len(os.fsencode(short)) <= MAX_SOCKET_BYTES and _is_ours(short.parent):
            return short
    raise EngineError(
        f"{path} is too long for a socket, and there is no shorter folder that is yours alone: set "
        "XDG_RUNTIME_DIR to one, or start `tabby-lsp --in-process`."
    )


def _installation() -> str:
    """Tells installations of one version apart: each may have another build of llama.cpp."""
    where = f"{sys.prefix}\0{Path(__file__).parent.parent}"
    return hashlib.sha256(os.fsencode(where)).hexdigest()[:8]


def _user_folder() -> str:
    return f"tabby-lsp-{os.getuid()}" if HAS_UNIX_SOCKETS else "tabby-lsp"


def _is_ours(folder: Path) -> bool:
    """Whether it is there, or can be made, the user's alone, and can be written into."""
    try:
        if not folder.is_dir():
            # What stands above it is made by logins and by others; only the last is ours to make.
            folder.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
        if HAS_UNIX_SOCKETS:
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
                return False
            if stat.S_IMODE(found.st_mode) & 0o077:
                folder.chmod(0o700)
        file, name = tempfile.mkstemp(dir=folder)
        os.close(file)
        os.unlink(name)
    except OSError:
        return False
    return True
