"""What the source files of a whole folder hold, as far as one look reaches.

Invariant: bounded in files and characters, and reads nothing that `files` and `sources` would not.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabby_lsp.index.chunks import chunks
from tabby_lsp.index.files import source_files
from tabby_lsp.index.sources import read_source
from tabby_lsp.languages import language_of

if TYPE_CHECKING:
    from pathlib import Path

MAX_FILES = 400
MAX_CHARS = 4_000_000
# What is edited meanwhile is noticed after so long.
_FRESH_S = 60.0


@dataclass(frozen=True, slots=True)
class _Look:
    at_s: float
    files: tuple[tuple[str, tuple[str, ...]], ...]


class Survey:
    """Remembers its last look at each folder; lives as long as the server."""

    def __init__(self) -> None:
        self._looks: dict[Path, _Look] = {}
        self._locks: dict[Path, asyncio.Lock] = {}

    async def of(self, root: Path) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """For each file its path below `root`, with forward slashes, and its chunks."""
        async with self._locks.setdefault(root, asyncio.Lock()):
            look = self._looks.get(root)
            if look is None or time.monotonic() - look.at_s > _FRESH_S:
                files = await asyncio.to_thread(_read, root)
                look = self._looks[root] = _Look(time.monotonic(), files)
        return look.files


def _read(root: Path) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found: list[tuple[str, tuple[str, ...]]] = []
    n_chars = 0
    for path in source_files(root, MAX_FILES):
        text = read_source(path)
        n_chars += len(text or "")
        if n_chars > MAX_CHARS:
            break
        if text:
            pieces = chunks(text, language_of(path.name))
            found.append((path.relative_to(root).as_posix(), tuple(each.text for each in pieces)))
    return tuple(found)
