"""What of llama.cpp is not used on this machine, because it crashed when it was tried out here.

Invariant: a record holds for one build of llama.cpp on one processor with one driver, and for no
other; without one everything is used.
"""

from __future__ import annotations

import hashlib
import json
import platform
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

from tabby_lsp.config import state_dir

# Weights laid out anew for this processor's widest instructions; and the graphics card.
Feature = Literal["repacking", "graphics"]
FEATURES: tuple[Feature, ...] = get_args(Feature)

_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
_PROCESSORS = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Record:
    """What came of trying it out."""

    machine: str  # `this_machine` at that time
    day: str  # YYYY-MM-DD
    avoided: tuple[Feature, ...]  # without them it works
    crash: str = ""  # how it ended with them; "" where nothing is avoided


def record_path() -> Path:
    """Where it is written; delete it to have llama.cpp tried out again."""
    return state_dir() / "self-test.json"


def remembered() -> Record | None:
    """What is known of this machine and this build; None where nothing is."""
    try:
        held = json.loads(record_path().read_text("utf-8"))
        avoided = tuple(feature for feature in FEATURES if feature in held["avoided"])
        record = Record(str(held["machine"]), str(held["day"]), avoided, str(held["crash"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if record.machine == this_machine() else None


def remember(record: Record) -> None:
    """Write it down; where that cannot be done it is tried out again next time."""
    path = record_path()
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(asdict(record), indent=2), "utf-8")
        draft.replace(path)


def this_machine() -> str:
    """Tells builds of llama.cpp, processors and drivers apart."""
    parts = [platform.machine(), platform.processor(), _line(_PROCESSORS, "model name")]
    parts += [_line(_PROCESSORS, "flags"), _line(_NVIDIA_DRIVER, "")]
    spec = find_spec("llama_cpp")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for library in sorted((Path(folder) / "lib").glob("*")):
            found = library.stat()
            parts.append(f"{library.name} {found.st_size} {found.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _line(path: Path, start: str) -> str:
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith(start)), "")
