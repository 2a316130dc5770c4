"""The host is killed, and killed again, while somebody types; editors are killed as well."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shlex
import signal
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import VSCODE, initialize_params
from tests.e2e.hosts import (
    END,
    SOURCE,
    complete_until_shown,
    hosts_of,
    is_alive,
    pid_of_host,
    status,
)
from tests.e2e.wire import Client, server_command, start, wait_until
from tests.faults.typing import Typist, all_answered_once

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.conftest import Faults

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.timeout(3600),
]

KINDS = (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGSTOP)


def test_kills_at_random_moments_of_typing(home: Path, faults: Faults) -> None:
    chance = random.Random(faults.seed)
    n = faults.n(5, 100)
    waits_s, dead = [], 0
    with start(home) as client:
        typist = Typist(client, "untitled:typed")
        typist.open(home)
        client.open("untitled:shown", SOURCE)
        client.wait_ready()
        for number in range(n):
            for _ in range(chance.randrange(3, 12)):
                typist.key()
                time.sleep(chance.uniform(0.0, 0.15))
            (pid,) = wait_for_host(home)
            kind = KINDS[number % len(KINDS)]
            os.kill(pid, kind)
            typist.key()
            client.change(
                "untitled:shown", number + 2, {"text": SOURCE.replace("Point", f"P{number}")}
            )
            waits_s.append(complete_until_shown(client, "untitled:shown"))
            dead += client.process.poll() is not None
            assert dead == 0, (number, kind)
        assert wait_until(lambda: all_answered_once(client), 10)
        assert client.foreign == []
        assert b"Traceback" not in client.logged
    spread = f"median {statistics.median(waits_s):.2f} s, longest {max(waits_s):.2f} s"
    faults.tell(f"language servers dead in {n} host kills", str(dead), "0")
    faults.tell("next suggestion after a kill, load included", spread, "< 3 s + load")


def wait_for_host(home: Path) -> list[int]:
    """The one host that there is."""
    assert wait_until(lambda: len([p for p in hosts_of(home) if is_alive(p)]) == 1, 20)
    return [pid for pid in hosts_of(home) if is_alive(pid)]


def test_windows_that_start_at_the_same_instant(home: Path, faults: Faults) -> None:
    n = faults.n(6, 20)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(start(home)) for _ in range(n)]
        greeting = initialize_params(VSCODE, root=home)
        for client in clients:
            client.send({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": greeting})
        for client in clients:
            assert wait_until(lambda c=client: 1 in c.replies, 60)  # type: ignore[misc]
            client.notify("initialized", {})
            client.open("untitled:a", SOURCE)
        for client in clients:
            complete_until_shown(client, "untitled:a")
        n_hosts = len(hosts_of(home))
    faults.tell(f"hosts after {n} simultaneous starts", str(n_hosts), "1")
    assert n_hosts == 1


def test_editors_that_are_killed_leave_nothing_behind(home: Path, faults: Faults) -> None:
    chance = random.Random(faults.seed)
    n, orphans = faults.n(4, 100), 0
    with start(home) as witness:
        witness.initialize(initialize_params(VSCODE, root=home))
        witness.open("untitled:a", SOURCE)
        witness.wait_ready()
        for number in range(n):
            orphans += killed_editor(home, chance, number)
        assert (status(home) or {})["clients"] == 1
        assert witness.complete("untitled:a", END)
    faults.tell(f"language servers alive 5 s after {n} editor kills", str(orphans), "0")
    assert orphans == 0


def killed_editor(home: Path, chance: random.Random, number: int) -> int:
    """Kill an editor while its server works; how many of its servers are there 5 s later."""
    # The shell plays the editor; this process goes on holding the server's stdin.
    script = f"exec 3<&0; {shlex.join(server_command())} <&3 & echo $! >&2; wait"
    with start(home, command=["sh", "-c", script]) as client:
        client.call("initialize", initialize_params(process_id=client.process.pid))
        client.notify("initialized", {})
        client.open(f"untitled:{number}", SOURCE)
        server = int(bytes(client.logged).split()[0])
        time.sleep(chance.uniform(0.0, 0.6))
        client.ask(f"untitled:{number}", END)
        client.process.kill()
        return not wait_until(lambda: not is_alive(server), 5.0)


def test_a_window_that_does_not_read_is_let_go(home: Path) -> None:
    """What is answered to it would pile up in the host."""
    with start(home) as client:
        client.initialize(initialize_params(VSCODE, root=home))
        client.open("untitled:a", SOURCE)
        client.wait_ready()
        report = status(home)
        assert report is not None
        deaf = subprocess.Popen(
            [sys.executable, "-c", DEAF, report["socket"], report["models"][0]["path"]],
            stdout=subprocess.PIPE,
        )
        with deaf:
            assert deaf.stdout is not None
            assert deaf.stdout.read() == b"let go\n"
        after = status(home)
        assert after is not None
        assert after["pid"] == report["pid"]
        assert after["rss_bytes"] < report["rss_bytes"] + 60_000_000
        assert client.complete("untitled:a", END)


# Asks how things are, again and again, and reads no answer.
DEAF = """
import json, socket, sys, time
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
def send(value):
    body = json.dumps(value).encode()
    connection.sendall(len(body).to_bytes(4, "big") + body)
send({"wire": 1, "token": ""})
try:
    for number in range(10_000_000):
        send({"id": number, "do": "status"})
except OSError:
    print("let go")
"""


def test_a_model_that_is_cut_off_while_it_is_used(home: Path) -> None:
    from tests.models.model_files import STARTER

    model = home / "mine.gguf"
    model.write_bytes(STARTER.read_bytes())
    with start(home, "--stdio", "--model", str(model)) as client:
        client.initialize(initialize_params(VSCODE, root=home))
        client.open("untitled:a", SOURCE)
        client.wait_ready()
        assert client.complete("untitled:a", END)
        pid = pid_of_host(home)
        os.truncate(model, 100_000)
        survives_a_cut_model(client, pid)
        # Whole again, and a new window has it.
        model.write_bytes(STARTER.read_bytes())
        with start(home, "--stdio", "--model", str(model)) as second:
            second.initialize(initialize_params(VSCODE, root=home))
            second.open("untitled:a", SOURCE)
            complete_until_shown(second, "untitled:a")


def survives_a_cut_model(client: Client, pid: int) -> None:
    """Whatever the host does, the window answers and says what is wrong with the file."""
    for number in range(2, 8):
        client.change("untitled:a", number, {"text": SOURCE.replace("Point", f"P{number}")})
        client.complete("untitled:a", END)
        time.sleep(0.3)
    assert client.process.poll() is None
    engine = client.execute("tabby.status")["engine"]
    assert engine["state"] == "failed", engine
    assert "mine.gguf" in engine["message"]


def test_a_model_that_does_not_fit_is_refused_with_both_numbers(home: Path) -> None:
    """Where the system gives no more, llama.cpp would end the process."""
    settings = home / ".config" / "tabby-lsp" / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text("[local]\nn_ubatch = 4096\n", "utf-8")
    command = ["sh", "-c", f"ulimit -v 300000; {shlex.join(server_command())}"]
    with start(home, command=command) as client:
        client.initialize(initialize_params(VSCODE, root=home))
        client.open("untitled:a", SOURCE)
        assert wait_until(lambda: client.engine_state() == "away", 30, every_s=0.1)
        message = client.execute("tabby.status")["engine"]["message"]
        assert re.search(r"needs about [\d,]+ MB .* [\d,]+ MB are free", message)
        assert client.complete("untitled:a", END) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk(home: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        with contextlib.suppress(OSError):
            (disk / "filler").write_bytes(bytes(1_000_000))
        names = ("HOME", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CACHE_HOME")
        full = {name: str(disk) for name in names}
        with start(home, variables=full) as client:
            client.initialize(initialize_params(VSCODE, root=home))
            client.open("untitled:a", SOURCE)
            complete_until_shown(client, "untitled:a")
            report = status(home, **full)
            assert report is not None
            os.kill(report["pid"], signal.SIGKILL)
            client.change("untitled:a", 2, {"text": SOURCE.replace("Point", "Place")})
            complete_until_shown(client, "untitled:a")
            assert wait_until(lambda: status(home, **full) is not None, 10)
            again = status(home, **full)
        assert again is not None
        assert wait_until(lambda: not is_alive(again["pid"]), 15)
    finally:
        subprocess.run(["umount", "-l", disk], check=False)


def test_a_runtime_folder_that_cannot_be_written(home: Path) -> None:
    nowhere = {"XDG_RUNTIME_DIR": "/proc/1"}
    with start(home, variables=nowhere) as client:
        client.initialize(initialize_params(VSCODE, root=home))
        client.open("untitled:a", SOURCE)
        complete_until_shown(client, "untitled:a")
        report = status(home, **nowhere)
        assert report is not None and not report["socket"].startswith("/proc")
