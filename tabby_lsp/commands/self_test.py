"""Tries llama.cpp out with the model that comes along, in a process that may crash.

Once for each build on each machine; what crashes is left out from then on, in every process.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tabby_lsp.choice import engine_for
from tabby_lsp.commands.trial import tried
from tabby_lsp.config import Settings, host_environment
from tabby_lsp.domain import EngineError
from tabby_lsp.engines.llama import caution, library
from tabby_lsp.engines.llama.caution import Feature, Record
from tabby_lsp.engines.llama.precedence import Precedence

if TYPE_CHECKING:
    from collections.abc import Sequence

# Longer than the starter takes on the slowest machine.
_LIMIT_S = 60.0
_WAYS: tuple[tuple[Feature, ...], ...] = (
    (),
    ("repacking",),
    ("graphics",),
    ("repacking", "graphics"),
)


def settle() -> None:
    """Find out what has to be avoided here, where that is not known yet.

    Where nothing works nothing is written down: it may have been the machine's bad moment, and
    whoever loads a model will see.
    """
    if caution.remembered() is not None:
        return
    first_crash = ""
    for avoided in _WAYS:
        crash = _tried_in_child(avoided)
        if crash is None:
            return
        if not crash:
            caution.remember(_record(avoided, first_crash))
            return
        first_crash = first_crash or crash


def in_child(avoided: Sequence[str]) -> int:
    """Load the starter and have it say something; the exit status, if it comes to that."""
    library.avoid(feature for feature in caution.FEATURES if feature in avoided)
    try:
        asyncio.run(tried(engine_for(Settings(), Precedence())))
    except EngineError as error:
        # A sentence is no crash: whoever loads a model gets it too.
        sys.stderr.write(f"{error}\n")
    sys.stderr.flush()
    os._exit(0)


def _tried_in_child(avoided: tuple[Feature, ...]) -> str | None:
    """How it crashed; "" where it did not, None where nothing is known."""
    command = [sys.executable, "-m", "tabby_lsp", "host", "try", *avoided]
    try:
        run = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=os.sep,
            env=host_environment(),
            timeout=_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_LIMIT_S:.0f} s"
    except OSError:
        return None  # No second process may be started here.
    if run.returncode > 0 and sys.platform != "win32":
        return None  # It came to nothing before llama.cpp was tried.
    return _name(run.returncode)


def _name(status: int) -> str:
    if status < 0:
        try:
            return signal.Signals(-status).name
        except ValueError:
            return f"signal {-status}"
    return f"exit status {status:#x}" if status else ""


def _record(avoided: tuple[Feature, ...], crash: str) -> Record:
    day = time.strftime("%Y-%m-%d")
    return Record(caution.this_machine(), day, avoided, crash if avoided else "")
