"""What this machine is, in the words of Tabby's health."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabby_lsp import __version__

if TYPE_CHECKING:
    from tabby_lsp.rack import Role

# The version of Tabby whose API this is; its clients compare it as a semantic version.
_TABBY_VERSION = "v0.32.0"
_BUILD_DATE = "2026-11-21"


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """What models run on, in Tabby's words: "cpu", "cuda", "metal" and so on."""

    completion: str  # and vectors
    chat: str

    def of(self, role: Role) -> str:
        return self.chat if role == "chat" else self.completion


@cache
def cpu_name() -> str:
    """The processor's name, as the system has it."""
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def version() -> dict[str, str]:
    """All four parts, without which tabby-agent ends."""
    return {
        "build_date": _BUILD_DATE,
        "build_timestamp": f"{_BUILD_DATE}T00:00:00Z",
        "git_sha": f"tabby-lsp-{__version__}",
        "git_describe": _TABBY_VERSION,
    }


def machine() -> dict[str, Any]:
    """The processor."""
    return {
        "arch": platform.machine(),
        "cpu_info": cpu_name(),
        "cpu_count": os.cpu_count() or 1,
        "cuda_devices": [],
    }
