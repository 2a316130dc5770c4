"""A real `tabby-lsp serve`, started as a person starts it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx2

from tabby_lsp.ledger import Entry, Ledger
from tests.e2e.wire import isolated_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tabby_lsp.domain import Fate

PATIENCE_S = 300.0  # only against a test that hangs


@dataclass(frozen=True, slots=True)
class Served:
    """A server that has said that it is ready."""

    url: str
    models: tuple[str, str]  # as it said: the one that completes, and the one that chats or "-"
    process: subprocess.Popen[str]
    http: httpx2.Client

    def post(self, path: str, body: object, **headers: str) -> httpx2.Response:
        """Send JSON."""
        return self.http.post(path, json=body, headers=headers)

    def json(self, path: str) -> Any:
        """What is answered there."""
        return self.http.get(path).raise_for_status().json()


def free_port() -> int:
    """A port at which nobody listens, a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def add_suggestion(home: Path, fate: Fate) -> None:
    """Count one, as an editor of this machine would have it counted now."""
    Ledger(home / ".local/state/tabby-lsp/suggestions.jsonl").add(
        Entry(
            at=datetime.now(UTC),
            language="python",
            model="starter",
            fate=fate,
            n_chars_shown=9,
            n_chars_typed=0,
            n_chars_accepted=0,
            n_lines=1,
            is_automatic=True,
            is_from_cache=False,
            latency_ms=5,
        )
    )


def command(*flags: str) -> list[str]:
    return [sys.executable, "-m", "tabby_lsp", "serve", *flags]


@contextmanager
def serving(home: Path, *flags: str, **variables: str) -> Iterator[Served]:
    """A server at a port of its own, ended with the block; its log is in `home/stderr`."""
    with (home / "stderr").open("w") as log:
        process = subprocess.Popen(
            command("--port", str(free_port()), *flags),
            env=isolated_environment(home) | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=home,
        )
    assert process.stdout is not None
    try:
        words = process.stdout.readline().split()
        assert words[:1] == ["ready"], (home / "stderr").read_text()
        _, url, completion, chat = words
        with httpx2.Client(base_url=url, timeout=PATIENCE_S, trust_env=False) as client:
            yield Served(url, (completion, chat), process, client)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)
        process.stdout.close()
