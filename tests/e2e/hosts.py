"""The engine host of a home, as its user can see it and as the system can hurt it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.wire import isolated_environment

if TYPE_CHECKING:
    from tests.e2e.wire import Client, Json

SOURCE = "class Point:\n    def __init__(self, x, y):\n        self.x = x\n        self."
END: Json = {"line": 3, "character": 13}
SHOW = "window/showMessage"
PATIENCE_S = 30.0


def command(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `tabby-lsp host ...` in this home."""
    return subprocess.run(
        [sys.executable, "-m", "tabby_lsp", "host", *arguments],
        env=isolated_environment(home) | variables, cwd=home,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def status(home: Path, **variables: str) -> Json | None:
    """What `host status --json` says; None where there is no host."""
    run = command(home, "status", "--json", **variables)
    assert run.returncode == 0, run.stderr
    report: Json | None = json.loads(run.stdout)
    return report


def pid_of_host(home: Path) -> int:
    report = status(home)
    assert report is not None, log(home)
    return int(report["pid"])


def hosts_of(home: Path) -> list[int]:
    """Every process that is a host of this home, found without asking any of them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"host" in words and b"run" in words and f"HOME={home}".encode() in variables:
            found.append(int(folder.name))
    return found


def log(home: Path) -> str:
    path = home / ".local/state/tabby-lsp/host.log"
    return path.read_text("utf-8") if path.exists() else ""


def complete_until_shown(client: Client, uri: str, position: Json = END) -> float:
    """Ask as somebody does who wants a suggestion; the seconds until one came."""
    started_s = time.monotonic()
    while time.monotonic() - started_s < PATIENCE_S:
        if client.complete(uri, position):
            return time.monotonic() - started_s
        time.sleep(0.05)
    raise AssertionError(f"no suggestion\n{client.logged.decode(errors='replace')}")


def messages(client: Client) -> list[str]:
    """What the user was shown."""
    return [m["params"]["message"] for m in client.notifications if m["method"] == SHOW]


def has_mapped(pid: int, word: str) -> bool:
    """Whether a process has loaded a file whose path holds this word."""
    return word in Path(f"/proc/{pid}/maps").read_text("utf-8", "replace")


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except OSError:
        return False
    return state != b"Z" and os.path.exists(f"/proc/{pid}")
