"""What machine the figures are from."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import psutil


def description() -> str:
    """One line, without the machine's name."""
    memory_gb = psutil.virtual_memory().total / 2**30
    return (
        f"{_processor()}, {os.cpu_count()} processors, {memory_gb:.0f} GB, {platform.system()},"
        f" Python {platform.python_version()}"
    )


def load() -> str:
    """How busy it is with other things, where that can be told."""
    if not hasattr(os, "getloadavg"):
        return ""
    return f"load average {os.getloadavg()[1]:.1f} before"


def n_threads() -> int:
    """Half of what there is: the other half is the editor's."""
    return max(1, (os.cpu_count() or 2) // 2)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text("utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
