"""Large blocks that were freed are the system's again, whatever was allocated between them."""

from __future__ import annotations

import subprocess
import sys

import pytest

N_BLOCKS, BLOCK_MB = 8, 4
FREED_MB = N_BLOCKS * BLOCK_MB

SCRIPT = f"""
import ctypes, sys
from tabby_lsp.engines.llama import heap
if sys.argv[1] == "gives back":
    heap.give_back()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]

def block(n_bytes):
    address = libc.malloc(ctypes.c_size_t(n_bytes))
    ctypes.memset(address, 1, n_bytes)
    return address

def resident_mb():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6

libc.free(block({BLOCK_MB} << 20))  # what glibc learns from
before_mb, large = resident_mb(), []
for _ in range({N_BLOCKS}):
    large.append(block({BLOCK_MB} << 20))
    block(100 << 10)  # stays
for address in large:
    libc.free(address)
print(resident_mb() - before_mb)
"""


def kept_mb(how: str) -> float:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True
    )
    return float(run.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is Linux's")
def test_what_is_freed_is_given_back() -> None:
    assert kept_mb("gives back") < FREED_MB / 4
    assert kept_mb("keeps") > FREED_MB / 2  # or there is nothing to mend
