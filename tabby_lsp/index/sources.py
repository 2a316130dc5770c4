"""What stands in a file, where it may be used as context.

Invariant: no link, device, binary, generated or minified file and nothing that may hold a secret.
Everything here waits for the disk, so the caller runs it in a thread.
"""

from __future__ import annotations

import os
import re
import stat
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabby_lsp.secrets import holds_secret, is_secret_path

if TYPE_CHECKING:
    from pathlib import Path

MAX_FILE_BYTES = 256 * 1024
SNIFFED_BYTES = 8 * 1024  # git, too, calls a file binary for a NUL in its first 8,000 bytes
# Tabby's index leaves out files with longer lines (tabby-index, code/index.rs).
MAX_LINE_CHARS = 300
MAX_AVERAGE_LINE_CHARS = 150
N_HEAD_LINES = 10  # where generated files say so

_GENERATED = re.compile(
    r"@generated|code generated|auto-?generated|(?:automatically|is) generated"
    r"|generated (?:by|from)|do not (?:edit|modify)|don't edit",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Cached:
    mtime_ns: int
    size_bytes: int
    text: str | None

    @property
    def cost_bytes(self) -> int:
        """What it holds in memory; 500 bytes for the entry itself, also where there is no text."""
        return 500 + (len(self.text) if self.text else 0)


class SourceCache:
    """Texts by path, kept until the file changes or others need the room.

    An instance lives as long as the language server, and may be asked from several threads.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._n_bytes = 0
        self._texts: OrderedDict[Path, _Cached] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, path: Path) -> str | None:
        """What `read_source` says, without reading a file twice that stayed as it was."""
        try:
            status = os.lstat(path)
        except (OSError, ValueError):
            return None
        with self._lock:
            cached = self._texts.get(path)
            if cached and (cached.mtime_ns, cached.size_bytes) == (
                status.st_mtime_ns,
                status.st_size,
            ):
                self._texts.move_to_end(path)
                return cached.text
        text = read_source(path)
        self._keep(path, _Cached(status.st_mtime_ns, status.st_size, text))
        return text

    def _keep(self, path: Path, cached: _Cached) -> None:
        with self._lock:
            if replaced := self._texts.pop(path, None):
                self._n_bytes -= replaced.cost_bytes
            self._texts[path] = cached
            self._n_bytes += cached.cost_bytes
            while self._n_bytes > self._max_bytes:
                _, dropped = self._texts.popitem(last=False)
                self._n_bytes -= dropped.cost_bytes


def read_source(path: Path) -> str | None:
    """A file's text with "\\n" line ends; None where it may not be used or cannot be read.

    Not used are links, devices, binary, generated and minified files, files above `MAX_FILE_BYTES`
    and files that may hold a secret. Bytes that are no UTF-8 become U+FFFD.
    """
    if is_secret_path(path.as_posix()):
        return None
    try:
        content = _regular_file(path)
    except (OSError, ValueError):
        return None
    if content is None or b"\0" in content[:SNIFFED_BYTES]:
        return None
    text = content.decode("utf-8-sig", errors="replace").replace("\r\n", "\n")
    return None if _is_machine_made(text) or holds_secret(text) else text


def _regular_file(path: Path) -> bytes | None:
    """A file's bytes; None above the cap and for what is no file: a FIFO would never end."""
    flags = ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")  # not every system has them all
    descriptor = os.open(path, os.O_RDONLY | sum(getattr(os, flag, 0) for flag in flags))
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES:
            return None
        content = file.read(MAX_FILE_BYTES + 1)
    return content if len(content) <= MAX_FILE_BYTES else None


def _is_machine_made(text: str) -> bool:
    lines = text.split("\n")
    return (
        len(text) > MAX_AVERAGE_LINE_CHARS * len(lines)
        or max(map(len, lines)) > MAX_LINE_CHARS
        or _GENERATED.search("\n".join(lines[:N_HEAD_LINES])) is not None
    )
