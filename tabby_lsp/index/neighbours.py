"""What the files round a document hold, ready when a request needs it.

Invariant: a request never waits for the disk longer than it says, and of two files of the same path
the open one counts.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabby_lsp.index.chunks import chunks
from tabby_lsp.index.files import ignored_files, sibling_files
from tabby_lsp.index.sources import MAX_FILE_BYTES, SourceCache
from tabby_lsp.languages import family_of, language_of
from tabby_lsp.secrets import is_secret_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

logger = logging.getLogger(__name__)

# As many as Copilot looks at (similarFiles.ts).
_MAX_FILES = 20
_CACHE_BYTES = 16 * 1024 * 1024
# What other programs write is noticed after so long; what the editor saves at once.
_FRESH_S = 30.0
# Of so many documents; each entry has the texts of its siblings.
_MAX_KNOWN = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFile:
    """A document that is open in the editor, as it is there."""

    path: Path | None  # None where it is not a file
    language: str
    read: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What was found: for each file its path below the workspace folder and its chunks."""

    files: tuple[tuple[str, tuple[str, ...]], ...]
    is_complete: bool  # whether the disk was read in time


@dataclass(frozen=True, slots=True)
class _OnDisk:
    read_at_s: float
    siblings: tuple[tuple[Path, str], ...]  # nearest first
    judged: frozenset[Path]  # the files that were open then
    usable: frozenset[Path]  # of those


class Neighbours:
    """Remembers what was read from disk; lives as long as the app."""

    def __init__(self) -> None:
        self._sources = SourceCache(_CACHE_BYTES)
        self._known: OrderedDict[Path, _OnDisk] = OrderedDict()  # the latest used last
        self._reading: dict[Path, asyncio.Task[_OnDisk]] = {}

    async def around(
        self,
        path: Path,
        root: Path,
        language: str,
        others: Sequence[OpenFile],
        wait_s: float | None,
    ) -> Surroundings:
        """The open files of the same language family, then those near `path` on disk.

        `wait_s` is how long the disk is waited for, None for as long as it takes.
        """
        others = [o for o in others if family_of(o.language) == family_of(language)]
        known = self._known.get(path)
        if known is not None:
            self._known.move_to_end(path)
        open_paths = tuple(other.path for other in others if other.path)
        is_news = known is not None and not known.judged.issuperset(open_paths)
        if known is None or is_news or time.monotonic() - known.read_at_s > _FRESH_S:
            reading = self._start_reading(path, root, language, open_paths)
            if known is None:
                with suppress(TimeoutError):
                    # Shielded: what comes too late for this request is there for the next.
                    known = await asyncio.wait_for(asyncio.shield(reading), wait_s)
        if known is None:
            return Surroundings((), is_complete=False)
        texts = list(_texts(known, root, others))
        # Cutting a long file takes tens of milliseconds, which the event loop has not.
        return Surroundings(await asyncio.to_thread(_cut, texts), is_complete=not is_news)

    def saved(self, path: Path) -> None:
        """A file was saved: everything that was read in its neighbourhood is read again."""
        for each in [known for known in self._known if known.parent == path.parent]:
            del self._known[each]

    def _start_reading(
        self, path: Path, root: Path, language: str, open_paths: tuple[Path, ...]
    ) -> asyncio.Task[_OnDisk]:
        task = self._reading.get(path)
        if task is None:
            reading = asyncio.to_thread(self._read, path, root, language, open_paths)
            task = self._reading[path] = asyncio.ensure_future(reading)
            task.add_done_callback(lambda done: self._finish_reading(path, done))
        return task

    def _finish_reading(self, path: Path, task: asyncio.Task[_OnDisk]) -> None:
        del self._reading[path]
        if not task.cancelled() and task.exception() is None:
            self._known[path] = task.result()
            self._known.move_to_end(path)
            if len(self._known) > _MAX_KNOWN:
                self._known.popitem(last=False)

    def _read(self, path: Path, root: Path, language: str, open_paths: tuple[Path, ...]) -> _OnDisk:
        """Whatever goes wrong costs the files, and not the completion that they are for."""
        try:
            return self._read_all(path, root, language, open_paths)
        except Exception:
            logger.warning("the files near %s cannot be used", path, exc_info=True)
            return _OnDisk(time.monotonic(), (), frozenset(open_paths), frozenset())

    def _read_all(
        self, path: Path, root: Path, language: str, open_paths: tuple[Path, ...]
    ) -> _OnDisk:
        siblings = sibling_files(path, root, language, _MAX_FILES)
        texts = ((sibling, self._sources.read(sibling)) for sibling in siblings)
        return _OnDisk(
            read_at_s=time.monotonic(),
            siblings=tuple((sibling, text) for sibling, text in texts if text),
            judged=frozenset(open_paths),
            usable=_usable(open_paths, root),
        )


def _texts(
    known: _OnDisk, root: Path, others: Sequence[OpenFile]
) -> Iterator[tuple[str, str, str]]:
    """Path, text and language of every file that may be used."""
    open_paths = {other.path for other in others}
    for other in others:
        # What is no file may be another view of one that must not be used: a cell, an old version.
        if other.path is None or other.path not in known.usable:
            continue
        text = other.read()
        if len(text) <= MAX_FILE_BYTES:
            yield _name(other.path, root), text, other.language
    for path, text in known.siblings:
        if path not in open_paths:
            yield _name(path, root), text, language_of(path.name)


def _cut(texts: list[tuple[str, str, str]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple(
        (name, tuple(chunk.text for chunk in chunks(text, language)))
        for name, text, language in texts
    )


def _usable(paths: Sequence[Path], root: Path) -> frozenset[Path]:
    """Those of which neither the name nor what it links to is secret or ignored."""
    places = {path: (path, path.resolve()) for path in paths}
    ignored = ignored_files({place for both in places.values() for place in both}, root)
    return frozenset(
        path
        for path, both in places.items()
        if not any(is_secret_path(str(place)) or place in ignored for place in both)
    )


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
