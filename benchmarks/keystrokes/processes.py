"""What a program's processes take: CPU time, memory, threads and descriptors."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable

_PAUSE_S = 0.05
_BUSY_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Usage:
    """Of all processes of a program together."""

    cpu_s: float
    rss_bytes: int
    n_threads: int
    n_descriptors: int


class Family:
    """A process and all that came of it, those that left it to live on included.

    Those are known by a variable that only this family has in its environment.
    """

    def __init__(self, pid: int, mark: tuple[str, str] | None = None) -> None:
        self._mark = mark
        self._known: dict[int, psutil.Process] = {}
        with suppress(psutil.NoSuchProcess):
            self._known[pid] = psutil.Process(pid)
        self._ended_cpu_s = 0.0
        self._last_cpu_s: dict[int, float] = {}

    def usage(self) -> Usage:
        """Also counts what those who have ended had taken when they were last seen."""
        self._look_for_more()
        return self._sum()

    def _sum(self) -> Usage:
        each = [usage for process in [*self._known.values()] if (usage := self._one(process))]
        return Usage(
            self._ended_cpu_s + sum(usage.cpu_s for usage in each),
            sum(usage.rss_bytes for usage in each),
            sum(usage.n_threads for usage in each),
            sum(usage.n_descriptors for usage in each),
        )

    def wait_idle(self, timeout_s: float) -> None:
        """Wait until it computes nothing; what it prepares in a pause is its own affair."""
        deadline_s = time.monotonic() + timeout_s
        before_s = self.usage().cpu_s
        while time.monotonic() < deadline_s:
            time.sleep(_PAUSE_S)
            now_s = self._sum().cpu_s
            if now_s - before_s < _PAUSE_S * _BUSY_SHARE:
                return
            before_s = now_s

    def kill(self) -> None:
        """All that are left."""
        self._look_for_more()
        for process in self._known.values():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs([*self._known.values()], timeout=5)

    def _look_for_more(self) -> None:
        for process in [*self._known.values()]:
            with suppress(psutil.NoSuchProcess):
                self._add(process.children(recursive=True))
        if self._mark:
            processes = psutil.process_iter()
            self._add(process for process in processes if self._is_marked(process, *self._mark))

    def _add(self, processes: Iterable[psutil.Process]) -> None:
        for process in processes:
            self._known.setdefault(process.pid, process)

    def _is_marked(self, process: psutil.Process, name: str, value: str) -> bool:
        if process.pid in self._known or process.pid == os.getpid():
            return False
        with suppress(psutil.Error, OSError):
            return bool(process.environ().get(name) == value)
        return False

    def _one(self, process: psutil.Process) -> Usage | None:
        try:
            with process.oneshot():
                times = process.cpu_times()
                cpu_s = times.user + times.system
                self._last_cpu_s[process.pid] = cpu_s
                return Usage(
                    cpu_s,
                    process.memory_info().rss,
                    process.num_threads(),
                    process.num_fds() if os.name == "posix" else process.num_handles(),
                )
        except psutil.NoSuchProcess:
            self._ended_cpu_s += self._last_cpu_s.pop(process.pid, 0.0)
            self._known.pop(process.pid, None)
            return None
