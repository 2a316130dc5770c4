"""A program's processes are all counted, also those that live on without it, and none is left."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil

from benchmarks.keystrokes.processes import Family

if TYPE_CHECKING:
    from pathlib import Path

# Computes for a while, and goes on.
CHILD = """
import time
while time.process_time() < 0.3:
    pass
print("done", flush=True)
time.sleep(60)
"""
# Starts it in a session of its own, and ends when it is told.
PARENT = f"""
import subprocess, sys
child = subprocess.Popen(
    [sys.executable, "-c", {CHILD!r}], stdout=subprocess.PIPE, start_new_session=True
)
child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.readline()
"""


def test_what_outlives_its_parent_is_counted_and_killed(tmp_path: Path) -> None:
    mark = ("BENCHMARK_HOME", str(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | dict([mark]),
    ) as parent:
        assert parent.stdin and parent.stdout
        child_pid = int(parent.stdout.readline())
        family = Family(parent.pid, mark)
        both_s = family.usage().cpu_s
        parent.stdin.close()
    assert both_s > 0.25
    assert Family(parent.pid, mark).usage().cpu_s > 0.25, "found by its environment alone"
    assert family.usage().cpu_s >= both_s, "what somebody took who has ended is not forgotten"
    family.kill()
    assert not psutil.pid_exists(child_pid) or psutil.Process(child_pid).status() == "zombie"
