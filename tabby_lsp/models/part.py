"""A file that is on its way: the bytes so far, and what is needed to go on after a kill.

Invariant: bytes stand where they belong in the whole file and are never cut off in place, so that
two processes that a broken lock has let in write the same and harm nobody.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tabby_lsp.models.errors import DownloadError, in_units

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_ROOM_TO_SPARE = 1.05  # a disk that is full to the last byte harms more than a missing model


class Part:
    """The part of one file, in `folder` under its hash, until it is whole."""

    def __init__(self, folder: Path, sha256: str) -> None:
        self.path = folder / f"{sha256}.part"
        self._state_path = folder / f"{sha256}.json"
        self.size_bytes, self.etag = _read_state(self._state_path)
        self.was_resumed = False
        # Claimed by a process that was killed before it had installed it.
        for path in folder.glob(f"{sha256}.*.whole"):
            os.replace(path, self.path)
        if self.n_bytes > (self.size_bytes or 0):
            self.start_over()

    @property
    def n_bytes(self) -> int:
        """How much is here."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    @property
    def is_whole(self) -> bool:
        """Whether every byte is here; which bytes they are is for the hash to say."""
        return self.size_bytes is not None and self.n_bytes == self.size_bytes

    def start_over(self) -> None:
        """Forget everything."""
        self.path.unlink(missing_ok=True)
        self._state_path.unlink(missing_ok=True)
        self.size_bytes, self.etag, self.was_resumed = None, "", False

    def begin(self, size_bytes: int, etag: str) -> None:
        """Expect a file of this size from its beginning.

        `etag` is what the server calls this version of the file, "" where it does not say.
        """
        self.start_over()
        fresh = self._state_path.with_suffix(".new")
        fresh.write_text(json.dumps({"size_bytes": size_bytes, "etag": etag}), "utf-8")
        fresh.replace(self._state_path)
        self.size_bytes, self.etag = size_bytes, etag

    @contextmanager
    def writing(self) -> Iterator[Callable[[bytes], None]]:
        """Gives what writes on at the end; each piece is the system's as soon as it is written."""
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        try:
            os.lseek(file, self.n_bytes, os.SEEK_SET)
            yield lambda data: _write_all(file, data)
        finally:
            os.close(file)

    def claim(self) -> Path:
        """Give what is whole a name that no other process knows; only then is it hashed.

        Without locks another process may have put another file in the part's place by the time
        that the hash is known.
        """
        with open(self.path, "rb+") as file:
            os.fsync(file.fileno())
        claimed = self.path.with_suffix(f".{uuid.uuid4().hex}.whole")
        os.replace(self.path, claimed)
        return claimed


def check_room(folder: Path, n_bytes: int) -> None:
    """Raises DownloadError where the disk has no room for so much."""
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < n_bytes * _ROOM_TO_SPARE:
        raise DownloadError(
            f"{folder} has {in_units(free_bytes)} free and {in_units(n_bytes * _ROOM_TO_SPARE)} are"
            " needed; make room there, or set XDG_DATA_HOME to a larger disk"
        )


def _read_state(path: Path) -> tuple[int | None, str]:
    try:
        state = json.loads(path.read_bytes())
        size_bytes, etag = state["size_bytes"], state["etag"]
    except (OSError, ValueError, KeyError, TypeError):
        return None, ""
    if type(size_bytes) is not int or size_bytes < 1 or not isinstance(etag, str):
        return None, ""
    return size_bytes, etag


def _write_all(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
