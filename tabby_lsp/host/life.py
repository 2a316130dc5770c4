"""A host's life: it opens its door, serves, and leaves when nobody needs it or its door is gone.

Invariant: at most one lives at a place, and what it leaves behind is nothing.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import logging
import os
import secrets
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tabby_lsp import __version__
from tabby_lsp.host import processes
from tabby_lsp.host.deaths import STARTED
from tabby_lsp.host.door import Door
from tabby_lsp.host.place import HAS_UNIX_SOCKETS
from tabby_lsp.host.shelf import Shelf
from tabby_lsp.models import lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tabby_lsp.config import HostSettings
    from tabby_lsp.host.model import HostedModel
    from tabby_lsp.host.place import Place
    from tabby_lsp.host.shelf import Loadable

logger = logging.getLogger(__name__)

_BACKLOG = 128
_LOOK_EVERY_S = 0.5
_PARTING_S = 0.5
# How long one that leaves may hold the lock.
_LEAVING_S, _LOOK_AGAIN_S = 1.5, 0.05
# Where memory runs out, the kernel takes the host rather than an editor.
_OOM_SCORE = "500"


def live(
    where: Place,
    settings: HostSettings,
    make: Callable[[HostedModel], Loadable],
    prepare: Callable[[], None],
) -> bool:
    """Be the host of this place until it is time to leave; False where there is one already.

    `make` builds the engine of a model, and does not load it; `prepare` is called once before the
    first is loaded.
    """
    deadline_s = time.monotonic() + _LEAVING_S
    while not _lived(where, settings, Shelf(make, prepare)):
        # Whoever holds the lock may be leaving.
        if time.monotonic() > deadline_s:
            return False
        time.sleep(_LOOK_AGAIN_S)
    return True


def _lived(where: Place, settings: HostSettings, shelf: Shelf) -> bool:
    with lock.tried(where.lock) as mine:
        if mine is None:
            return False
        with suppress(OSError):  # A full disk; who holds it is for others to know.
            os.ftruncate(mine, 0)
            os.write(mine, processes.identity(os.getpid()).encode())
        faulthandler.enable()
        with suppress(OSError):
            sys.stderr.write(f"{STARTED}: {os.getpid()}, tabby-lsp {__version__}\n")
            sys.stderr.flush()
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
        asyncio.run(_live(where, settings, shelf))
        return True


async def _live(where: Place, settings: HostSettings, shelf: Shelf) -> None:
    token = "" if HAS_UNIX_SOCKETS else secrets.token_urlsafe(32)
    door = Door(shelf, token, str(where.socket))
    server = await _opened(where, door, token)
    is_ours = _identity(where.socket)
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError):  # Windows
        loop.add_signal_handler(signal.SIGTERM, door.closing.set)
    # OpenBLAS sends it to its own process where it gets no thread, and there is no terminal.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    await _until_time_to_leave(where, door, shelf, settings, is_ours)
    server.close()
    if _identity(where.socket) == is_ours:
        with suppress(OSError):
            where.socket.unlink()
    door.say_goodbye()
    with suppress(TimeoutError):
        async with asyncio.timeout(_PARTING_S):
            await shelf.close()


async def _until_time_to_leave(
    where: Place, door: Door, shelf: Shelf, settings: HostSettings, is_ours: object
) -> None:
    needed_s = time.monotonic()
    while not door.closing.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_EVERY_S):
                await door.closing.wait()
        if _identity(where.socket) != is_ours:
            return
        if door.n_windows:
            needed_s = time.monotonic()
        elif time.monotonic() - needed_s >= (0 if _is_replaced(where) else settings.stays_s):
            return
        await shelf.give_back(settings.stays_s, settings.unloads_s)


async def _opened(where: Place, door: Door, token: str) -> asyncio.Server:
    if not HAS_UNIX_SOCKETS:
        server = await asyncio.start_server(door.meet, "127.0.0.1", 0, backlog=_BACKLOG)
        _write_token(where.socket, server.sockets[0].getsockname()[1], token)
        return server
    # The lock is ours, so nobody alive answers there.
    with suppress(FileNotFoundError):
        where.socket.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(where.socket))
    finally:
        os.umask(before)
    where.socket.chmod(0o600)
    listener.listen(_BACKLOG)
    return await asyncio.start_unix_server(door.meet, sock=listener)


def _write_token(path: Path, port: int, token: str) -> None:
    draft = path.with_suffix(".new")
    with suppress(FileNotFoundError):
        draft.unlink()
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as stream:
        json.dump({"port": port, "token": token}, stream)
    draft.replace(path)


def _identity(path: Path) -> object:
    """Which file stands there; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_replaced(where: Place) -> bool:
    """Whether another version's host has been started since: the package was exchanged."""
    try:
        mine_s = where.lock.stat().st_mtime
        others = [path for path in where.folder.glob("*.lock") if path != where.lock]
        return any(
            path.stat().st_mtime > mine_s and processes.pid_in(path.read_text("utf-8").strip())
            for path in others
        )
    except OSError:
        return False
