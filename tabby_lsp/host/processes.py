"""Other processes: whether one is the one that was meant, whether it stands still, and its end.

Invariant: a process is ended only while its number and the time when it began are the known ones.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
# Behind the name, which is in parentheses: the state is the first field, the start the twentieth.
_STATE, _STARTED, _RESIDENT_PAGES = 0, 19, 21


def identity(pid: int) -> str:
    """The process's number, and where the system says so, when it began."""
    fields = _fields(pid)
    return f"{pid} {fields[_STARTED].decode()}" if fields else str(pid)


def pid_in(text: str) -> int | None:
    """The number in an identity, where that process is still the same one."""
    pid, _, _ = text.partition(" ")
    if not pid.isdigit() or (_PROC.joinpath("self").exists() and identity(int(pid)) != text):
        return None
    return int(pid)


def stands_still(pid: int) -> bool | None:
    """Whether it was stopped by a signal; None where nobody says."""
    fields = _fields(pid)
    return fields[_STATE] in (b"T", b"t") if fields else None


def resident_bytes(pid: int) -> int | None:
    """Its memory; None where nobody says."""
    fields = _fields(pid)
    return int(fields[_RESIDENT_PAGES]) * os.sysconf("SC_PAGE_SIZE") if fields else None


def end(pid: int) -> None:
    """At once and without asking it."""
    with suppress(OSError):
        os.kill(pid, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)


def _fields(pid: int) -> list[bytes]:
    try:
        return (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return []
