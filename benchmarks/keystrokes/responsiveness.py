"""How soon the language server is there, and whether it answers while its model computes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.keystrokes.figures import percentile
from benchmarks.keystrokes.language_server import LanguageServer
from tests.e2e.clients import NEOVIM_0_12, initialize_params
from tests.e2e.wire import start

if TYPE_CHECKING:
    from collections.abc import Sequence

_N_STARTS = 15
_N_PLACES = 12  # at most
_N_PINGS = 400
_PING_EVERY_S = 0.005


def start_ratio() -> float:
    """From the spawn to the answer to `initialize`, by Python's start and pygls' import alone."""
    ours, bare = [], []
    for _ in range(_N_STARTS):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
            started_s = time.perf_counter()
            with start(Path(home)) as client:
                client.call("initialize", initialize_params(NEOVIM_0_12))
                ours.append(time.perf_counter() - started_s)
        started_s = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import pygls.lsp.server"], check=True)
        bare.append(time.perf_counter() - started_s)
    return percentile(ours, 0.5) / percentile(bare, 0.5)


def lags_ms_p99(settings: str, texts: Sequence[str]) -> tuple[float, float]:
    """How long something trivial takes while the model reads and writes, and while it does not."""
    lags_ms: list[float] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        server = LanguageServer(Path(home), settings)
        try:
            idle_ms = server.lags_ms(_PING_EVERY_S, _N_PINGS)
            for number in range(_N_PLACES):
                if len(lags_ms) >= _N_PINGS:
                    break
                text = texts[number % len(texts)]
                place = len(text) * (number + 1) // (_N_PLACES + 1)
                path = str(Path(home) / f"{number}.py")
                server.open(path, text[:place])
                lags_ms += server.lags_while_answering_ms(
                    path, text[:place], _PING_EVERY_S, _N_PINGS
                )
        finally:
            server.close()
    return percentile(lags_ms, 0.99), percentile(idle_ms, 0.99)
