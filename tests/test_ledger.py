"""The file of what became of suggestions: what stands in it, how it is kept, what is told of it."""

from __future__ import annotations

import json
import logging
import os
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import get_args

import pytest

import tabby_lsp
from tabby_lsp.domain import Fate
from tabby_lsp.ledger import (
    MAX_FILE_BYTES,
    Entry,
    Ledger,
    days,
    older,
    read,
    summary,
    tallies,
)

ENTRY = Entry(
    at=datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC),
    language="python",
    model="starter",
    fate="accepted",
    n_chars_shown=40,
    n_chars_typed=0,
    n_chars_accepted=40,
    n_lines=2,
    is_automatic=True,
    is_from_cache=False,
    latency_ms=120,
)


# Every write to it fails as on a full disk; Linux has it.
FULL_DEVICES = [device for device in ["/dev/full"] if Path(device).exists()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "suggestions.jsonl"


def test_what_is_added_is_read_again(path: Path) -> None:
    ledger = Ledger(path)
    entries = [
        replace(ENTRY, fate=fate, n_lines=number) for number, fate in enumerate(get_args(Fate))
    ]
    for entry in entries:
        ledger.add(entry)
    assert list(read(path)) == entries


def test_a_line_is_json_with_the_time_in_utc_to_the_second(path: Path) -> None:
    at = datetime(2026, 3, 1, 14, 30, 15, 999, tzinfo=timezone(timedelta(hours=2)))
    Ledger(path).add(replace(ENTRY, at=at))
    assert json.loads(path.read_bytes()) == {
        "at": "2026-03-01T12:30:15+00:00",
        "language": "python",
        "model": "starter",
        "fate": "accepted",
        "n_chars_shown": 40,
        "n_chars_typed": 0,
        "n_chars_accepted": 40,
        "n_lines": 2,
        "is_automatic": True,
        "is_from_cache": False,
        "latency_ms": 120,
    }


@pytest.mark.parametrize(
    ("model", "written"),
    [
        ("/home/ada/models/qwen2.5-coder-1.5b-q8_0.gguf", "qwen2.5-coder-1.5b-q8_0.gguf"),
        (r"C:\Users\ada\models\star coder.gguf", "star coder.gguf"),
        ("Qwen/Qwen2.5-Coder-0.5B", "Qwen2.5-Coder-0.5B"),
        ("qwen2.5-coder:1.5b", "qwen2.5-coder:1.5b"),
        ("http://ada:secret@localhost:8080/?key=secret", "localhost:8080"),
        ("odd\nname\x00\udcff", "oddname"),
        ("", ""),
    ],
)
def test_a_model_is_written_by_its_name_alone(path: Path, model: str, written: str) -> None:
    Ledger(path).add(replace(ENTRY, model=model))
    assert [entry.model for entry in read(path)] == [written]


def test_only_the_user_may_read_it(path: Path) -> None:
    # Windows has no such permissions; there the user's folder is closed to others.
    expected = (0o666, 0o777) if os.name == "nt" else (0o600, 0o700)
    before = os.umask(0o022)
    try:
        Ledger(path).add(ENTRY)
    finally:
        os.umask(before)
    assert (mode(path), mode(path.parent)) == expected


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nothing_is_read_where_nothing_was_written(path: Path) -> None:
    assert list(read(path)) == []


def test_foreign_lines_are_passed_over(path: Path) -> None:
    ledger = Ledger(path)
    ledger.add(ENTRY)
    good = json.loads(path.read_bytes())
    bad = [
        {},
        {"at": 1},
        good | {"at": "yesterday"},
        good | {"at": "2026-03-01T12:30:15"},
        good | {"n_lines": "2"},
        good | {"n_lines": -2},
        good | {"n_lines": True},
        good | {"latency_ms": float("nan")},
        good | {"is_automatic": 1},
        good | {"fate": "shown"},
        good | {"fate": ["accepted"]},
        good | {"language": None},
        [good],
        "accepted",
        None,
    ]
    with path.open("ab") as file:
        file.write(b"\xff\xfe\n\n" + b"[" * 100_000 + b"\n")
        file.writelines(json.dumps(line).encode() + b"\n" for line in bad)
        file.write(json.dumps(good | {"of_a_later_version": 1}).encode() + b"\n")
    assert list(read(path)) == [ENTRY, ENTRY]


def test_a_torn_last_line_costs_only_itself(path: Path) -> None:
    ledger = Ledger(path)
    ledger.add(ENTRY)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    assert list(read(path)) == [ENTRY]
    ledger.add(ENTRY)
    assert list(read(path)) == [ENTRY, ENTRY]


def test_two_files_are_kept_and_the_oldest_lines_go(path: Path) -> None:
    ledger = Ledger(path)
    ledger.add(ENTRY)
    n_in_a_file = MAX_FILE_BYTES // path.stat().st_size
    for number in range(3 * n_in_a_file):
        ledger.add(replace(ENTRY, latency_ms=100 + number % 900))
    kept = [entry.latency_ms for entry in read(path)]
    last = 3 * n_in_a_file - 1
    assert n_in_a_file <= len(kept) <= 2 * n_in_a_file
    assert kept == [100 + number % 900 for number in range(last - len(kept) + 1, last + 1)]
    assert sorted(path.parent.iterdir()) == [path, older(path)]
    assert max(path.stat().st_size, older(path).stat().st_size) <= MAX_FILE_BYTES


WRITER = """
import sys
from pathlib import Path
from tabby_lsp.ledger import Ledger, read
path = Path(sys.argv[1])
[entry] = read(Path(sys.argv[2]))
ledger = Ledger(path)
sys.stdin.readline()
for _ in range(int(sys.argv[3])):
    ledger.add(entry)
"""


def test_several_processes_lose_no_line(path: Path, tmp_path: Path) -> None:
    example = tmp_path / "example.jsonl"
    Ledger(example).add(ENTRY)
    # As many as to move a full file away while the others write.
    n_lines = MAX_FILE_BYTES // example.stat().st_size // 2
    command = [sys.executable, "-c", WRITER, str(path), str(example), str(n_lines)]
    root = Path(tabby_lsp.__file__).parent.parent
    writers = [subprocess.Popen(command, stdin=subprocess.PIPE, cwd=root) for _ in range(3)]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    assert len(list(read(path))) == 3 * n_lines
    assert older(path).exists()
    assert older(path).stat().st_size < 512_000


def test_a_file_that_another_process_moved_a_moment_ago_is_left_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = b"\n" * MAX_FILE_BYTES
    path.parent.mkdir()
    path.write_bytes(full)
    fstat = os.fstat

    def move_and_fstat(file: int) -> os.stat_result:
        if not older(path).exists():
            path.replace(older(path))
            path.touch()
        return fstat(file)

    monkeypatch.setattr(os, "fstat", move_and_fstat)
    Ledger(path).add(ENTRY)
    assert older(path).read_bytes() == full
    assert list(read(path)) == [ENTRY]


def check_complains_once(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        ledger.add(ENTRY)
        ledger.add(ENTRY)
    [record] = caplog.records
    assert record.levelno == logging.WARNING


@pytest.mark.parametrize("place", ["file/suggestions.jsonl", "folder", *FULL_DEVICES])
def test_a_place_that_cannot_be_written_is_complained_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    check_complains_once(Ledger(tmp_path / place), caplog)


def test_a_full_file_that_cannot_be_moved_does_not_grow(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    older(path).mkdir(parents=True)
    path.write_bytes(b"\n" * MAX_FILE_BYTES)
    check_complains_once(Ledger(path), caplog)
    assert path.stat().st_size == MAX_FILE_BYTES


def test_a_full_disk_is_complained_of_once(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, line: write(file, line[:10]))
    ledger = Ledger(path)
    check_complains_once(ledger, caplog)
    monkeypatch.undo()
    ledger.add(ENTRY)
    assert list(read(path)) == [ENTRY]


def test_no_entry_is_told_as_such(path: Path) -> None:
    assert summary([], path) == (
        "No suggestion has been counted yet.\n"
        f"They will be counted in {path}, without any code,"
        " and nothing of it leaves this machine.\n"
    )


def test_the_summary_is_a_table_by_language_and_in_all() -> None:
    entries = [
        ENTRY,
        replace(ENTRY, fate="accepted-in-part", n_chars_accepted=1_200, latency_ms=80),
        replace(ENTRY, fate="typed-along", n_chars_accepted=0, n_chars_typed=40, latency_ms=1_100),
        replace(ENTRY, fate="dismissed", n_chars_accepted=0, is_from_cache=True, latency_ms=0),
        replace(ENTRY, fate="dismissed", n_chars_accepted=0, is_from_cache=True, language=""),
    ]
    assert summary(entries, Path("ledger.jsonl")) == (
        "language  shown  accepted  in part  typed along  dismissed  rate  characters   ms\n"
        "python        4         1        1            1          1   50%       1,240  120\n"
        "(none)        1         0        0            0          1    0%           0    -\n"
        "all           5         1        1            1          2   40%       1,240  120\n"
        "\n"
        "rate: accepted as a whole or in part, of those shown\n"
        "characters: put in by accepting\n"
        "ms: median time to an answer that was not known already\n"
        "\n"
        "Suggestions are counted in ledger.jsonl, without any code, and nothing of it leaves this"
        " machine.\n"
    )


def test_the_tallies_add_up() -> None:
    entries = [
        replace(ENTRY, language=language, fate=fate)
        for language in ("go", "python", "rust")
        for fate in get_args(Fate)
        for _ in range(len(language))
    ]
    *rows, everything = tallies(entries)
    assert [row.language for row in rows] == ["python", "rust", "go"]
    assert everything.language == "all"
    assert everything.n_shown == sum(row.n_shown for row in rows) == len(entries)
    assert everything.acceptance_rate == 0.5
    for row in (*rows, everything):
        assert sum(row.n_by_fate.values()) == row.n_shown


def test_days_are_counted_oldest_first_and_without_gaps() -> None:
    noon = datetime(2026, 3, 3, 12).astimezone()
    entries = [
        replace(ENTRY, at=noon),
        replace(ENTRY, at=noon, fate="accepted-in-part"),
        replace(ENTRY, at=noon, fate="dismissed"),
        replace(ENTRY, at=noon - timedelta(days=2), fate="typed-along"),
        replace(ENTRY, at=noon - timedelta(days=3)),
        replace(ENTRY, at=noon + timedelta(days=1)),
    ]
    counted = [
        (each.day.day, each.n_shown, each.n_accepted, each.n_typed_along)
        for each in days(entries, noon.date(), 3)
    ]
    assert counted == [(1, 1, 0, 1), (2, 0, 0, 0), (3, 3, 2, 0)]


def test_a_day_is_this_machines_and_not_utcs() -> None:
    late = datetime(2026, 3, 3, 23, 59).astimezone()
    (day,) = days([replace(ENTRY, at=late.astimezone(UTC))], late.date(), 1)
    assert day.n_shown == 1
