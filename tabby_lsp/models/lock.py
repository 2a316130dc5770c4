"""Lets one process at a time do a thing, and takes the lock from one that was killed.

Invariant: the system holds the lock for a live process only; where its file system has no locks
everybody goes on, so whoever uses this must survive company.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_LOOK_AGAIN_S = 0.1
# What network file systems without locks answer (Lustre, some NFS).
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def held(path: Path, while_waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of that file, which is gone afterwards; calls while somebody else holds it."""
    file = _acquire(path, while_waiting)
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes no open file
            path.unlink()
        os.close(file)


@contextmanager
def tried(path: Path) -> Iterator[int | None]:
    """The open file, whose lock is held as long as this lasts; None where somebody else holds it.

    The file stays, empty or with what its holder has written into it.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield file if _try_lock(file) and _is_still_at(path, file) else None
    finally:
        os.close(file)


def _acquire(path: Path, while_waiting: Callable[[], None]) -> int:
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            while not _try_lock(file):
                while_waiting()
                time.sleep(_LOOK_AGAIN_S)
            # Whoever held it has removed it: the next process makes another one.
            if _is_still_at(path, file):
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _try_lock(file: int) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _NO_LOCKS
    return True


def _is_still_at(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False
