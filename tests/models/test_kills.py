"""A pull that is killed anywhere leaves nothing bad and loses nothing that it had."""

from __future__ import annotations

import os
import random
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.e2e.wire import isolated_environment, wait_until
from tests.models.hub import Gate, Hub
from tests.models.nursery import Ended, Nursery

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tabby_lsp.models.catalog import Entry

SIZE_BYTES = 300_000
PATIENCE_S = 60.0
SEEDS = range(25)  # of two kills each


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub


@pytest.fixture(scope="module")
def nursery(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    home = tmp_path_factory.mktemp("nursery")
    nursery = Nursery(isolated_environment(home) | {"HF_ENDPOINT": hub.endpoint})
    yield nursery
    nursery.close()


def content_of(seed: int, size_bytes: int = SIZE_BYTES) -> bytes:
    return random.Random(seed).randbytes(size_bytes)


def installed(home: Path, entry: Entry) -> Path:
    return home / "data" / "tabby-lsp" / "models" / f"{entry.name}.gguf"


def parts(home: Path) -> dict[str, int]:
    """What is on its way: endings of names, and sizes."""
    folder = home / "data" / "tabby-lsp" / "models" / ".parts"
    sizes = {}
    for path in folder.glob("*"):
        with suppress(FileNotFoundError):  # gone since we saw it
            sizes[path.suffix] = path.stat().st_size
    return sizes


def n_stored(home: Path) -> int:
    """How much is on the disk of a pull that has not ended."""
    return max(parts(home).get(".part", 0), parts(home).get(".whole", 0))


def check_whole(home: Path, entry: Entry, content: bytes, ended: Ended) -> None:
    """It is installed, to the byte, and nothing else is left."""
    assert ended.status == 0, ended.said
    assert installed(home, entry).read_bytes() == content
    assert parts(home) == {}


@pytest.fixture(scope="module")
def n_lines(hub: Hub, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many lines of ours a pull runs from beginning to end."""
    home = tmp_path_factory.mktemp("counted")
    entry, _ = hub.offer("counted", content_of(0))
    ended = nursery.run(home, "models", "pull", entry.name, catalog=[entry], count_lines=True)
    check_whole(home, entry, content_of(0), ended)
    assert ended.n_lines > 300
    return ended.n_lines


@pytest.mark.parametrize("seed", SEEDS)
def test_a_pull_survives_its_kill(
    hub: Hub, nursery: Nursery, n_lines: int, tmp_path: Path, seed: int
) -> None:
    """Killed at one line, then at another, then left alone."""
    content = content_of(seed)
    entry, shelf = hub.offer(f"killed-{seed}", content)
    pull = ("models", "pull", entry.name)
    chance = random.Random(f"kill {seed}")
    for _ in range(2):
        n_stored_before = n_stored(tmp_path)
        n_requests = len(shelf.requests)
        at_line = chance.randrange(1, n_lines)
        ended = nursery.run(tmp_path, *pull, catalog=[entry], kill_at_line=at_line)
        assert ended.status in (-signal.SIGKILL, 0)  # what was fetched before is fewer lines now
        if installed(tmp_path, entry).exists():
            assert installed(tmp_path, entry).read_bytes() == content
        for request in shelf.requests[n_requests:]:
            assert request.start == n_stored_before
    n_stored_before, n_requests = n_stored(tmp_path), len(shelf.requests)
    check_whole(tmp_path, entry, content, nursery.run(tmp_path, *pull, catalog=[entry]))
    assert [request.start for request in shelf.requests[n_requests:]] in ([n_stored_before], [])


@pytest.mark.parametrize("n_bytes", [1, 65_536, 150_001, SIZE_BYTES - 1])
def test_what_has_come_before_a_kill_is_not_fetched_again(
    hub: Hub, nursery: Nursery, tmp_path: Path, n_bytes: int
) -> None:
    content = content_of(n_bytes)
    entry, shelf = hub.offer(f"gated-{n_bytes}", content)
    gate = Gate(n_bytes)
    shelf.faults.append(gate)
    pid = nursery.start(tmp_path, "models", "pull", entry.name, catalog=[entry])
    assert gate.reached.wait(PATIENCE_S)
    assert wait_until(lambda: parts(tmp_path).get(".part") == n_bytes, PATIENCE_S)
    os.kill(pid, signal.SIGKILL)
    assert nursery.end(tmp_path, pid).status == -signal.SIGKILL
    gate.opened.set()
    assert not installed(tmp_path, entry).exists()
    ended = nursery.run(tmp_path, "models", "pull", entry.name, catalog=[entry])
    check_whole(tmp_path, entry, content, ended)
    assert [request.start for request in shelf.requests] == [0, n_bytes]
    assert shelf.n_body_bytes == SIZE_BYTES


def test_four_at_once_fetch_it_once(hub: Hub, nursery: Nursery, tmp_path: Path) -> None:
    content = content_of(4, 2_000_000)
    entry, shelf = hub.offer("shared", content)
    shelf.piece_wait_s = 0.005
    pull = ("models", "pull", entry.name)
    pids = [nursery.start(tmp_path, *pull, catalog=[entry]) for _ in range(4)]
    endings = [nursery.end(tmp_path, pid) for pid in pids]
    for ended in endings:
        check_whole(tmp_path, entry, content, ended)
    assert shelf.n_body_bytes <= 1.05 * len(content)
    assert sum("waiting for another process" in ended.said for ended in endings) >= 1


def test_whoever_waits_takes_over_from_one_that_is_killed(
    hub: Hub, nursery: Nursery, tmp_path: Path
) -> None:
    content = content_of(5)
    entry, shelf = hub.offer("inherited", content)
    gate = Gate(100_000)
    shelf.faults.append(gate)
    pull = ("models", "pull", entry.name)
    first = nursery.start(tmp_path, *pull, catalog=[entry])
    assert gate.reached.wait(PATIENCE_S)
    assert wait_until(lambda: parts(tmp_path).get(".part") == 100_000, PATIENCE_S)
    others = [nursery.start(tmp_path, *pull, catalog=[entry]) for _ in range(3)]
    os.kill(first, signal.SIGKILL)
    assert nursery.end(tmp_path, first).status == -signal.SIGKILL
    gate.opened.set()
    for ended in [nursery.end(tmp_path, pid) for pid in others]:
        check_whole(tmp_path, entry, content, ended)
    assert shelf.n_body_bytes == len(content)


def test_a_disk_that_fills_up_is_said_and_gone_on_from(
    hub: Hub, nursery: Nursery, tmp_path: Path
) -> None:
    content = content_of(6)
    entry, shelf = hub.offer("too-large", content)
    pull = ("models", "pull", entry.name)
    ended = nursery.run(tmp_path, *pull, catalog=[entry], max_file_bytes=100_000)
    assert ended.status == 1
    assert "the disk is full" in ended.said
    assert f"`tabby-lsp models pull {entry.name}` goes on where it stopped" in ended.said
    assert "Traceback" not in ended.said
    assert parts(tmp_path)[".part"] == 100_000
    check_whole(tmp_path, entry, content, nursery.run(tmp_path, *pull, catalog=[entry]))
    assert [request.start for request in shelf.requests] == [0, 100_000]


def test_control_c_is_no_traceback(hub: Hub, nursery: Nursery, tmp_path: Path) -> None:
    entry, shelf = hub.offer("stopped", content_of(7))
    gate = Gate(50_000)
    shelf.faults.append(gate)
    pid = nursery.start(tmp_path, "models", "pull", entry.name, catalog=[entry])
    assert gate.reached.wait(PATIENCE_S)
    os.kill(pid, signal.SIGINT)
    ended = nursery.end(tmp_path, pid)
    gate.opened.set()
    assert ended.status == 1
    assert "goes on from here" in ended.said
    assert "Traceback" not in ended.said
