"""Standard output belongs to the protocol alone, and the log never holds what the user writes."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from tests.e2e.clients import VSCODE, initialize_params
from tests.e2e.wire import (
    INLINE_COMPLETION,
    PATIENCE_S,
    REPOSITORY,
    Client,
    frame,
    inline_params,
    start,
)

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = (REPOSITORY / "tests/e2e/wire.py").read_text()

# What a chatty library does inside the server, on every way there is to file descriptor 1.
NOISE = """\
import ctypes, os, pathlib, threading, time

def shout():
    libc = ctypes.CDLL(None)
    while not pathlib.Path(os.environ["HOME"], "shout").exists():
        time.sleep(0.01)
    while True:
        os.write(1, b"noise by write\\n")
        print("noise by print", flush=True)
        libc.puts(b"noise by puts")
        libc.fflush(None)
        time.sleep(0.001)

threading.Thread(target=shout, daemon=True).start()
"""


def work(client: Client, canary: str = "") -> None:
    """Load the model, get answers from it, and have it refuse things."""
    client.initialize(initialize_params(VSCODE))
    client.open("untitled:work", f"# {canary}\n{SOURCE}")
    client.wait_ready()
    for line in range(40, 60, 3):
        client.complete("untitled:work", {"line": line, "character": 200})
    client.change("untitled:work", 2, {"text": f"def {canary or 'f'}(width):\n    return "})
    client.complete("untitled:work", {"line": 1, "character": 11})
    broken = {"textDocument": {"uri": "untitled:work", "text": canary}, "position": canary}
    assert client.request(INLINE_COMPLETION, broken).reply().code
    assert client.request("tabby/unknown", {"text": canary}).reply().code
    client.send_bytes(frame(f'{{"method": "{canary}"'.encode()))
    client.notify("textDocument/didOpen", {"text": canary})
    client.change("untitled:never-opened", 2, {"text": canary})
    client.change("untitled:work", 1, {"text": f"stale {canary}"})
    client.inspect(prompt=True)


def check_framed(client: Client) -> None:
    """Every byte was part of a frame, and every request was answered once."""
    client.call("shutdown")
    client.notify("exit")
    assert client.wait_ended(PATIENCE_S) == 0
    assert client.foreign == []
    assert all(len(replies) == 1 for replies in client.replies.values())


def test_a_debug_log_leaves_stdout_alone(home: Path) -> None:
    with start(home, "--stdio", "--log-level", "debug") as client:
        work(client)
        check_framed(client)
        assert client.logged.strip()


def test_a_log_file_takes_the_log(home: Path) -> None:
    log = home / "logs" / "tabby.log"
    log.parent.mkdir()
    with start(home, "--stdio", "--log-level=debug", f"--log-file={log}") as client:
        work(client)
        check_framed(client)
        assert log.read_text().strip()


def test_noise_on_descriptor_1_never_reaches_the_client(home: Path, tmp_path: Path) -> None:
    (tmp_path / "noisy").mkdir()
    (tmp_path / "noisy/sitecustomize.py").write_text(NOISE)
    with start(home, python_path=tmp_path / "noisy") as client:
        client.call("initialize", initialize_params(VSCODE))
        (home / "shout").touch()
        time.sleep(0.05)
        client.notify("initialized", {})
        client.open("untitled:work", SOURCE)
        client.wait_ready()
        for line in range(40, 60, 3):
            client.ask("untitled:work", {"line": line, "character": 200}).reply()
        check_framed(client)
        for way in (b"write", b"print", b"puts"):
            assert client.logged.count(b"noise by " + way) > 10


def test_what_is_written_stands_in_no_log_and_no_file(home: Path, tmp_path: Path) -> None:
    canary = "zebra_quagga_okapi"
    log = tmp_path / "tabby.log"
    with start(home, "--stdio", f"--log-file={log}") as client:
        work(client, canary)
        segments = json.dumps(client.inspect(prompt=True)["decisions"])
        assert canary in segments
        params = inline_params("untitled:work", {"line": 1, "character": 11})
        for item in client.call(INLINE_COMPLETION, params)["items"]:
            client.execute(item["command"]["command"], *item["command"]["arguments"])
        check_framed(client)
        assert canary.encode() not in client.logged
    written = [log, *(path for path in home.rglob("*") if path.is_file())]
    assert [
        path for path in written if path.exists() and canary.encode() in path.read_bytes()
    ] == []
