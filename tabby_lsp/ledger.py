"""The local file of what became of suggestions, for `tabby-lsp stats` and for nobody else.

Invariant: it holds no code and no path, and keeping it never fails whoever asks for it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, get_args

from tabby_lsp.domain import Fate

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

# Some lines below 512 kB, for several processes may write their last line to a file at once. Two
# files hold the latest two to four thousand suggestions.
MAX_FILE_BYTES = 500_000

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
_MAX_TRIES = 3

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One suggestion and what became of it."""

    at: datetime  # with its time zone; written in UTC, to the second
    language: str  # LSP language id
    model: str  # of a path or an address its last part is written
    fate: Fate
    n_chars_shown: int
    n_chars_typed: int  # key by key, along the suggestion
    n_chars_accepted: int  # put in at once
    n_lines: int
    is_automatic: bool
    is_from_cache: bool
    latency_ms: int  # from the request to the answer


class Ledger:
    """Appends to the file; lives as long as the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._has_complained = False

    def add(self, entry: Entry) -> None:
        """Write one line; where that fails, say so once in the log and go on."""
        try:
            _append(self._path, _line(entry))
        except OSError as error:
            if not self._has_complained:
                _logger.warning("What becomes of suggestions is not counted: %s", error)
            self._has_complained = True


def older(path: Path) -> Path:
    """Where the lines before those in `path` are kept."""
    return path.with_name(path.name + ".1")


def read(path: Path) -> Iterator[Entry]:
    """The entries, oldest first; passes over torn and foreign lines.

    Raises OSError when a file is there and cannot be read.
    """
    for file in (older(path), path):
        try:
            lines = file.open("rb")
        except FileNotFoundError:
            continue
        with lines:
            for line in lines:
                entry = _entry(line)
                if entry is not None:
                    yield entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What became of the suggestions of one language, or of all."""

    language: str
    n_shown: int
    n_by_fate: dict[Fate, int]
    n_chars_accepted: int
    median_latency_ms: int | None  # None where every answer came from the cache

    @property
    def acceptance_rate(self) -> float:
        """How many of those shown were accepted, as a whole or in part, from 0 to 1."""
        return (self.n_by_fate["accepted"] + self.n_by_fate["accepted-in-part"]) / self.n_shown


def tallies(entries: Iterable[Entry]) -> list[Tally]:
    """One for each language, the most used first, and the last for all; none without an entry."""
    by_language: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_language[entry.language or "(none)"].append(entry)
    if not by_language:
        return []
    languages = sorted(by_language, key=lambda language: (-len(by_language[language]), language))
    rows = [_tally(language, by_language[language]) for language in languages]
    return [*rows, _tally("all", [entry for group in by_language.values() for entry in group])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What became of one day's suggestions; those that are left were dismissed."""

    day: date
    n_shown: int
    n_accepted: int  # as a whole or in part
    n_typed_along: int


def days(entries: Iterable[Entry], last: date, n_days: int) -> list[Day]:
    """`n_days` days, oldest first, `last` among them; as this machine's clock counts days."""
    by_date: dict[date, Counter[Fate]] = {
        last - timedelta(days=n): Counter() for n in reversed(range(n_days))
    }
    for entry in entries:
        counts = by_date.get(entry.at.astimezone().date())
        if counts is not None:
            counts[entry.fate] += 1
    return [
        Day(
            day=each,
            n_shown=counts.total(),
            n_accepted=counts["accepted"] + counts["accepted-in-part"],
            n_typed_along=counts["typed-along"],
        )
        for each, counts in by_date.items()
    ]


def summary(entries: Iterable[Entry], path: Path) -> str:
    """The table that `tabby-lsp stats` prints, with a line end after each line."""
    rows = tallies(entries)
    where = f"counted in {path}, without any code, and nothing of it leaves this machine.\n"
    if not rows:
        return f"No suggestion has been counted yet.\nThey will be {where}"
    cells = [_HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "".join(f"{_aligned(row, widths)}\n" for row in cells) + (
        "\n"
        "rate: accepted as a whole or in part, of those shown\n"
        "characters: put in by accepting\n"
        "ms: median time to an answer that was not known already\n"
        "\n"
        f"Suggestions are {where}"
    )


_HEADINGS = (
    *("language", "shown", "accepted", "in part", "typed along", "dismissed"),
    *("rate", "characters", "ms"),
)


def _cells(tally: Tally) -> tuple[str, ...]:
    latency_ms = tally.median_latency_ms
    return (
        tally.language,
        f"{tally.n_shown:,}",
        *(f"{tally.n_by_fate[fate]:,}" for fate in get_args(Fate)),
        f"{tally.acceptance_rate:.0%}",
        f"{tally.n_chars_accepted:,}",
        "-" if latency_ms is None else f"{latency_ms:,}",
    )


def _aligned(cells: tuple[str, ...], widths: list[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)])


def _tally(language: str, entries: list[Entry]) -> Tally:
    # It brings fractions and decimals along, for which no editor is to wait at its start.
    from statistics import median

    latencies = [entry.latency_ms for entry in entries if not entry.is_from_cache]
    return Tally(
        language=language,
        n_shown=len(entries),
        n_by_fate={fate: sum(entry.fate == fate for entry in entries) for fate in get_args(Fate)},
        n_chars_accepted=sum(entry.n_chars_accepted for entry in entries),
        median_latency_ms=round(median(latencies)) if latencies else None,
    )


def _append(path: Path, line: bytes) -> None:
    """Add a line with one write, which several processes may do at once.

    Raises OSError when it cannot be written, or only a part of it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for _ in range(_MAX_TRIES):
        file = os.open(path, _FLAGS, 0o600)
        try:
            size_bytes = os.fstat(file).st_size
            if size_bytes + len(line) <= MAX_FILE_BYTES:
                _write_line(file, line, size_bytes)
                return
        finally:
            os.close(file)
        with _no_other_in(path.parent), contextlib.suppress(FileNotFoundError):
            # If another process has moved it a moment ago, the new one must not go the same way.
            if path.stat().st_size + len(line) > MAX_FILE_BYTES:
                path.replace(older(path))
    raise OSError(f"{path} is full and cannot be moved away")


@contextlib.contextmanager
def _no_other_in(folder: Path) -> Iterator[None]:
    """Keep other processes out; Windows locks no folders, and lets nobody move an open file."""
    if sys.platform == "win32":
        yield
    else:
        file = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)


def _write_line(file: int, line: bytes, size_bytes: int) -> None:
    if size_bytes > 0:
        os.lseek(file, -1, os.SEEK_END)
        if os.read(file, 1) != b"\n":
            # A line was torn when the disk was full; it must not take this one with it.
            line = b"\n" + line
    if os.write(file, line) < len(line):
        raise OSError("the disk is full")


def _line(entry: Entry) -> bytes:
    at = entry.at.astimezone(UTC).isoformat(timespec="seconds")
    names = {"language": _plain(entry.language), "model": _plain(entry.model)}
    return json.dumps(asdict(entry) | names | {"at": at}).encode() + b"\n"


def _plain(name: str) -> str:
    """Only the last part of a path or an address, and nothing that stands for more than a name."""
    last = re.split(r"[/\\@]", name.partition("?")[0].rstrip("/\\"))[-1]
    return re.sub(r"[^\w.+#: -]", "", last)[:80]


def _entry(line: bytes) -> Entry | None:
    """None where the line is not one that was written here."""
    try:
        values = json.loads(line)
        values["at"] = datetime.fromisoformat(values["at"])
        entry = Entry(**{field.name: values[field.name] for field in fields(Entry)})
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return entry if _is_sound(entry) else None


def _is_sound(entry: Entry) -> bool:
    counts = (
        *(entry.n_chars_shown, entry.n_chars_typed, entry.n_chars_accepted),
        *(entry.n_lines, entry.latency_ms),
    )
    return (
        entry.at.tzinfo is not None
        and all(type(count) is int and count >= 0 for count in counts)
        and isinstance(entry.language, str)
        and isinstance(entry.model, str)
        and entry.fate in get_args(Fate)
        and isinstance(entry.is_automatic, bool)
        and isinstance(entry.is_from_cache, bool)
    )
