"""Notices the end of the editor's process, so that nothing of ours outlives it.

Editors that die close our stdin, but not where another process inherited the other end.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

# Where the system cannot tell us, we ask this often.
_POLL_INTERVAL_S = 0.5


async def ended(pid: int) -> None:
    """Return when the process `pid` has ended; never, where it was not alive to begin with.

    Some clients send the number of a process in another container, or of one that is gone.
    """
    if not is_alive(pid):
        await asyncio.Event().wait()
    if sys.platform == "linux":
        # Pythons that were built on old systems do not have it.
        with suppress(OSError, NotImplementedError, AttributeError):
            await _ended_by_pidfd(pid)
            return
    while is_alive(pid):  # noqa: ASYNC110 - no event tells of it here
        await asyncio.sleep(_POLL_INTERVAL_S)


def is_alive(pid: int) -> bool:
    """Whether there is such a process; one that has ended and was not waited for is not alive."""
    if pid <= 0:
        return False
    if sys.platform == "win32":
        return _is_alive_on_windows(pid)
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


async def _ended_by_pidfd(pid: int) -> None:
    descriptor = os.pidfd_open(pid)
    has_ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, has_ended.set)
    try:
        await has_ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _is_zombie(pid: int) -> bool:
    try:
        # The state stands behind the name, which is in parentheses and may hold any character.
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[:1] == [b"Z"]
    except OSError:
        return False


def _is_alive_on_windows(pid: int) -> bool:
    # os.kill(pid, 0) would end the process there.
    import ctypes

    synchronize, wait_timeout = 0x00100000, 0x00000102
    kernel32 = ctypes.windll.kernel32  # type: ignore[attr-defined,unused-ignore]
    handle = kernel32.OpenProcess(synchronize, False, pid)
    if not handle:
        return False
    try:
        return bool(kernel32.WaitForSingleObject(handle, 0) == wait_timeout)
    finally:
        kernel32.CloseHandle(handle)
