"""Finds the user's engine host or starts it, and keeps one conversation with it.

Invariant: of all that look for a host at the same time one starts it, and the others wait.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from tabby_lsp.config import host_environment
from tabby_lsp.domain import EngineError
from tabby_lsp.host import deaths, processes
from tabby_lsp.host.conversation import Conversation, Hung, connect, pid_of_holder
from tabby_lsp.host.place import log_path, place
from tabby_lsp.models import lock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from tabby_lsp.host.place import Place

logger = logging.getLogger(__name__)

_LOOK_AGAIN_S = 0.02
# So often a host says that there is another, which nobody can reach.
_MAX_REFUSED = 3
# Python alone takes a second on a machine that is busy.
_START_S = 30.0
# Windows' word for a session of its own: no console, and no Ctrl-C of somebody else's.
_DETACHED = 0
if sys.platform == "win32":
    _DETACHED = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
# Of the log as it was left, so that the last words of the host before are still there.
_MAX_LOG_BYTES = 262_144


class Link:
    """The way to the host; one for each process, which all its engines share."""

    def __init__(self, flags: Sequence[str] = ()) -> None:
        """`flags` are those of `tabby-lsp host run`."""
        self._flags = tuple(flags)
        self._conversation: Conversation | None = None
        self._finding = asyncio.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._n_engines = 0

    async def conversation(self) -> Conversation:
        """An open one; the host is started where there is none. Raises EngineError."""
        async with self._finding:
            if self._conversation is None or not self._conversation.is_open:
                self._conversation = await self._found_or_started(place())
            return self._conversation

    def join(self) -> None:
        """One more engine uses it."""
        self._n_engines += 1

    async def part(self) -> None:
        """One engine less; the last one ends the conversation."""
        self._n_engines -= 1
        if self._n_engines <= 0 and self._conversation is not None:
            conversation, self._conversation = self._conversation, None
            await conversation.close()

    def last_words(self, pid: int) -> tuple[str, ...]:
        """What the host said before it ended."""
        return deaths.last_words(_end_of_log(), pid)

    async def _found_or_started(self, where: Place) -> Conversation:
        n_refused = 0
        while True:
            if (found := await _found(where)) is not None:
                return found
            with lock.tried(where.starting) as mine:
                if mine is not None:
                    # Whoever held it before may have started one.
                    found = await _found(where) or await self._started(where)
                    if found is not None:
                        return found
                    n_refused += 1
            if n_refused >= _MAX_REFUSED and (holder := pid_of_holder(where)) is not None:
                logger.warning("the process %d holds the lock and does not listen: ended", holder)
                processes.end(holder)
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def _started(self, where: Place) -> Conversation | None:
        """A new host; None where another turned out to be there, such as one that leaves."""
        self._reap()
        self._process = process = _spawn(self._flags)
        deadline_s = asyncio.get_running_loop().time() + _START_S
        while asyncio.get_running_loop().time() < deadline_s:
            if (found := await _found(where)) is not None:
                return found
            if process.poll() == 0:
                return None
            if process.returncode is not None:
                break
            await asyncio.sleep(_LOOK_AGAIN_S)
        else:
            processes.end(process.pid)
        said = self.last_words(process.pid) or tuple(_end_of_log().splitlines()[-1:])
        raise EngineError(f"The engine host does not start: {deaths.why(said)}.")

    def _reap(self) -> None:
        if self._process is not None:
            self._process.poll()


async def _found(where: Place) -> Conversation | None:
    """The host that is there and answers; one that hangs is ended."""
    try:
        return await connect(where)
    except Hung as hung:
        logger.warning("%s and is ended", hung)
        if hung.pid is not None:
            processes.end(hung.pid)
        return None


def _spawn(flags: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start the host, which is nobody's child in any other way than by number."""
    log = _open_log()
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "tabby_lsp", "host", "run", *flags],
            stdin=subprocess.DEVNULL,
            stdout=log or subprocess.DEVNULL,
            stderr=log or subprocess.DEVNULL,
            cwd=os.sep,
            env=host_environment(),
            start_new_session=True,
            creationflags=_DETACHED,
        )
    except OSError as error:
        raise EngineError(
            f"The engine host cannot be started: {error.strerror}. Where no second process may be "
            "started, start `tabby-lsp --in-process`."
        ) from error
    finally:
        if log is not None:
            log.close()


def _open_log() -> BinaryIO | None:
    """For appending, and not too long; None where there is no place for it."""
    path = log_path()
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > _MAX_LOG_BYTES:
            path.write_bytes(path.read_bytes()[-_MAX_LOG_BYTES // 4 :])
        return path.open("ab")
    return None


def _end_of_log() -> str:
    try:
        with log_path().open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _MAX_LOG_BYTES // 4))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""
