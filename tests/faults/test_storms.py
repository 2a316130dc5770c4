"""Long and heavy use: keys while the model works, many windows, and what that leaves in memory."""

from __future__ import annotations

import contextlib
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import VSCODE, initialize_params
from tests.e2e.hosts import END, SOURCE, complete_until_shown, pid_of_host, status
from tests.e2e.wire import start, wait_until
from tests.faults.typing import Typist, all_answered_once

if TYPE_CHECKING:
    from tests.e2e.wire import Client
    from tests.faults.conftest import Faults

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.timeout(4000),
]

KEY_S = 0.15
MB = 1_000_000


def private_bytes(pid: int) -> int:
    """What would be free if the process ended."""
    rows = [row.split() for row in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()]
    return sum(int(row[1]) * 1024 for row in rows if row[0].startswith("Private_"))


def test_a_key_is_applied_at_once_while_the_model_works(home: Path, faults: Faults) -> None:
    n = faults.n(40, 4000)  # ten minutes of typing
    with start(home) as client:
        typist = Typist(client, "untitled:a")
        typist.open(home)
        client.open("untitled:b", "def f(x):\n" + "    y = x\n" * 300)
        client.wait_ready()
        waits_ms = []
        for number in range(n):
            started_s = time.monotonic()
            # Another place each time, so that the model is never done.
            client.ask("untitled:b", {"line": number % 300, "character": 9})
            waits_ms.append(typist.applied_s() * 1000)
            time.sleep(max(0.0, KEY_S - (time.monotonic() - started_s)))
        assert wait_until(lambda: all_answered_once(client), 60)
        assert client.foreign == []
    p99_ms = statistics.quantiles(waits_ms, n=100)[98]
    value = f"median {statistics.median(waits_ms):.1f} ms, 99 of 100 within {p99_ms:.1f} ms"
    faults.tell(f"didChange to applied and told, {n} keys under generation", value, "p99 < 10 ms")


def test_frames_are_neither_lost_nor_foreign(home: Path, faults: Faults) -> None:
    n = faults.n(300, 10_000)
    with start(home) as client:
        typist = Typist(client, "untitled:a")
        typist.open(home)
        client.wait_ready()
        while sum(map(len, client.replies.values())) + len(client.notifications) < n:
            pending = [typist.key() for _ in range(8)]
            pending[-1].reply()
        assert wait_until(lambda: all_answered_once(client), 30)
        asked = {request.id for request in typist.requests}
        lost = len(asked - client.replies.keys())
        foreign = len(client.foreign)
    faults.tell(f"frames lost or foreign on stdout, of {n}", str(lost + foreign), "0")
    assert (lost, foreign) == (0, 0)


def test_windows_that_type_in_the_same_workspace(home: Path, faults: Faults) -> None:
    n_windows, n_keys = faults.n(3, 8), faults.n(15, 200)
    with contextlib.ExitStack() as stack:
        typists = [
            Typist(stack.enter_context(start(home)), f"untitled:{number}")
            for number in range(n_windows)
        ]
        for typist in typists:
            typist.open(home)
        typists[0].client.wait_ready()
        host_bytes = private_bytes(pid_of_host(home))
        for typist in typists[1:]:
            typist.client.wait_ready()

        def type_all(typist: Typist) -> None:
            for _ in range(n_keys):
                typist.key()
                time.sleep(KEY_S)

        threads = [threading.Thread(target=type_all, args=[typist]) for typist in typists]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        clients = [typist.client for typist in typists]
        assert wait_until(lambda: all(map(all_answered_once, clients)), 60)
        # Nobody was starved: each window was shown something of the model's.
        for client in clients:
            decisions = client.inspect()["decisions"]
            assert any(d["outcome"] == "shown" for d in decisions)
            assert not [d for d in decisions if d["outcome"] == "failed"]
            assert client.foreign == []
        report = status(home)
        assert report is not None and report["clients"] == n_windows
        grown_bytes = private_bytes(report["pid"]) - host_bytes
        each_mb = max(private_bytes(client.process.pid) for client in clients[1:]) / MB
        more_mb = each_mb + grown_bytes / MB / (n_windows - 1)
    faults.tell(f"windows with an error, of {n_windows} that type", "0", "0")
    value = f"{more_mb:.0f} MB, {grown_bytes / MB / (n_windows - 1):.0f} of it in the host"
    faults.tell("memory for each further window", value, "< 60 MB")
    assert more_mb < 100


def test_the_second_window_is_warm(home: Path, faults: Faults) -> None:
    def first_text_s(client: Client) -> float:
        client.initialize(initialize_params(VSCODE, root=home))
        started_s = time.monotonic()
        client.open("untitled:a", SOURCE)
        complete_until_shown(client, "untitled:a")
        return time.monotonic() - started_s

    ratios = []
    for _ in range(faults.n(1, 5)):
        with start(home) as first:
            first_s = first_text_s(first)
            with start(home) as second:
                ratios.append(first_text_s(second) / first_s)
        assert wait_until(lambda: status(home) is None, 20, every_s=0.2)
    value = f"{statistics.median(ratios):.2f}"
    faults.tell("second window: opened to first ghost text, relative to the first", value, "<= 0.3")
    assert statistics.median(ratios) < 1


def test_memory_does_not_grow(home: Path, faults: Faults) -> None:
    """The slope while somebody types without a pause, with the upper bound of its 95 % interval.

    What is parked grows to the limit that the settings have; with a low one, and keys as fast as
    they are answered, that is over before the measuring begins.
    """
    settings = home / ".config" / "tabby-lsp" / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text("[local]\nparked_mib = 16\n", "utf-8")
    warm_up_s, wanted_s = faults.n(1, 900), faults.n(4, 1800)
    with start(home) as client:
        typist = Typist(client, "untitled:a")
        typist.open(home)
        client.wait_ready()
        pid = pid_of_host(home)
        for _ in range(faults.n(60, 10_000)):
            typist.key().reply()
        samples: list[tuple[float, int, int]] = []
        started_s = time.monotonic() + warm_up_s
        while (passed_s := time.monotonic() - started_s) < wanted_s:
            for _ in range(20):
                key_s = time.monotonic()
                typist.key().reply()
                time.sleep(max(0.0, KEY_S - (time.monotonic() - key_s)))
            if passed_s < 0:
                continue
            host, window = private_bytes(pid), private_bytes(client.process.pid)
            samples.append((passed_s, host, window))
        assert client.complete("untitled:a", END) is not None
    if not faults.is_soak:
        return
    sizes = {
        "the host": [(at_s, host) for at_s, host, _ in samples],
        "a language server": [(at_s, window) for at_s, _, window in samples],
    }
    for name, rows in sizes.items():
        slope, bound = slope_mb_per_hour(rows)
        first_mb, last_mb = rows[0][1] / MB, rows[-1][1] / MB
        value = f"{slope:+.2f} MB/h, at most {bound:+.2f}; {first_mb:.1f} to {last_mb:.1f} MB"
        faults.tell(f"memory slope of {name}, {wanted_s / 60:.0f} minutes", value, "< 1 MB/h")


def slope_mb_per_hour(samples: list[tuple[float, int]]) -> tuple[float, float]:
    """The regression's slope, and the upper bound of its 95 % interval."""
    times = [row[0] / 3600 for row in samples]
    sizes = [row[1] / MB for row in samples]
    slope, start_mb = statistics.linear_regression(times, sizes)
    mean_h = statistics.mean(times)
    rest = [size - start_mb - slope * at for at, size in zip(times, sizes, strict=True)]
    spread = sum(each**2 for each in rest) / max(1, len(rest) - 2)
    error: float = (spread / sum((at - mean_h) ** 2 for at in times)) ** 0.5
    return slope, slope + 1.96 * error
