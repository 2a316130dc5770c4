"""A llama-server that really runs, on a free port of loopback, and what it says of itself."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from benchmarks.peers.server_build import HERE, llama_server
from tabby_lsp.engines.llama import library

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = "sk-canary-5f3a"
_START_S = 60.0
_PAUSE_S = 0.05


class RealServer:
    """Runs one model, for those who know `KEY` where it has one; lives until its `with` ends."""

    def __init__(self, model: Path, *options: str, has_key: bool = True) -> None:
        with socket.create_server(("127.0.0.1", 0)) as unused:
            self.port: int = unused.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = HERE / f"server-{self.port}.log"
        self._command = [str(llama_server()), "--model", str(model), "--port", str(self.port)]
        self._command += ["--offline", "--metrics", "--slots", *options]
        self._command += ["--api-key", KEY] if has_key else []
        if not library.extra_buffers_are_safe(library.opened()):
            self._command.append("--no-repack")  # as the built-in engine does there
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._log.unlink(missing_ok=True)

    def start(self) -> None:
        """Come back when it answers; it may have been stopped before."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        until(lambda: self._is_healthy() or self._process_has_ended(), "the server starts")

    def stop(self) -> None:
        """As a machine does that is switched off."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        assert self._process is not None
        return self._process.pid

    def says(self, path: str) -> Any:
        """The JSON value, or the text where it is none, that is at a path."""
        asked = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {KEY}"})
        with urllib.request.urlopen(asked, timeout=5) as response:
            text = response.read().decode()
        return json.loads(text) if text[:1] in "[{" else text

    def is_idle(self) -> bool:
        """Whether no slot works on anything."""
        return not any(slot["is_processing"] for slot in self.says("/slots"))

    def n_predicted(self) -> int:
        """How many tokens it has generated since it started."""
        for line in self.says("/metrics").splitlines():
            if line.startswith("llamacpp:tokens_predicted_total "):
                return int(float(line.split()[1]))
        raise AssertionError("/metrics no longer tells of llamacpp:tokens_predicted_total")

    def _is_healthy(self) -> bool:
        with suppress(OSError):
            return bool(self.says("/health")["status"] == "ok")
        return False

    def _process_has_ended(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            sys.exit(f"llama-server ended:\n{self._log.read_text('utf-8', errors='replace')}")
        return False


def until(is_so: Callable[[], bool], what: str) -> None:
    """Wait for a fact; raises TimeoutError after a minute."""
    deadline_s = time.monotonic() + _START_S
    while not is_so():
        if time.monotonic() > deadline_s:
            raise TimeoutError(what)
        time.sleep(_PAUSE_S)
