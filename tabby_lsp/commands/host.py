"""`tabby-lsp host`: the engine host that all editor windows share, as a person sees it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from tabby_lsp.choice import engine_of_host
from tabby_lsp.commands import self_test
from tabby_lsp.domain import EngineError
from tabby_lsp.engines.llama import heap, library
from tabby_lsp.engines.llama.precedence import Precedence
from tabby_lsp.host import life, processes
from tabby_lsp.host.asking import report_of, stopped
from tabby_lsp.host.packing import packed
from tabby_lsp.host.place import log_path, place
from tabby_lsp.models import lock

if TYPE_CHECKING:
    from tabby_lsp.config import Settings
    from tabby_lsp.host.model import HostedModel
    from tabby_lsp.host.place import Place
    from tabby_lsp.host.shelf import Loadable

_END_S = 5.0
_LOOK_AGAIN_S = 0.02


def run(settings: Settings) -> int:
    """Be the host until it is time to leave; what the language server starts."""
    heap.give_back()
    precedence = Precedence()

    def make(model: HostedModel) -> Loadable:
        return engine_of_host(model, precedence)

    # It is what takes longest, and the first window is about to ask for it.
    threading.Thread(target=_import_library, daemon=True).start()
    prepare = self_test.settle if settings.host.self_test else _nothing
    was_needed = life.live(place(), settings.host, make, prepare)
    if not was_needed:
        sys.stderr.write("there is a host already\n")
    # The thread that runs a model is not worth waiting for.
    os._exit(0)


def status(*, as_json: bool) -> int:
    """Say which host runs, for whom and with what."""
    report = asyncio.run(report_of(place()))
    if as_json:
        sys.stdout.write(json.dumps(packed(report), indent=2) + "\n")
        return 0
    if report is None:
        sys.stdout.write("no engine host runs; the first editor window that needs it starts it\n")
        return 0
    sys.stdout.write(
        f"process {report.pid}, tabby-lsp {report.version}, {report.rss_bytes / 1e6:,.0f} MB, "
        f"{report.clients} window{'s' * (report.clients != 1)}\n"
        f"  socket {report.socket}\n  log    {log_path()}\n"
    )
    for model in report.models:
        windows = f"{model.n_windows} window{'s' * (model.n_windows != 1)}"
        sys.stdout.write(f"  {model.role} {model.name}: {model.state}, {windows}, {model.path}\n")
    return 0


def stop() -> int:
    """End the host; windows that need one start the next."""
    where = place()
    pid = asyncio.run(stopped(where))
    if pid is None:
        sys.stdout.write("no engine host runs\n")
        return 0
    deadline_s = time.monotonic() + _END_S
    while not _has_ended(where):
        if time.monotonic() > deadline_s:
            processes.end(pid)
            break
        time.sleep(_LOOK_AGAIN_S)
    sys.stdout.write(f"the engine host {pid} has ended\n")
    return 0


def _has_ended(where: Place) -> bool:
    """A host holds its lock as long as it lives, on every system."""
    with lock.tried(where.lock) as mine:
        return mine is not None


def _nothing() -> None:
    """What there is to do before the first model is loaded, where the self-test is off."""


def _import_library() -> None:
    with suppress(EngineError):  # Said when a model is to be loaded.
        library.opened()
