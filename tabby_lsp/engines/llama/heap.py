"""Has the C library give memory back that is no longer needed.

glibc learns from each large block that is freed to keep the next of its size, so holes are left
between what stays, and one long prompt makes a process larger for hours.
"""

from __future__ import annotations

import ctypes
import sys

# By mallopt(3): whose numbers are glibc's, and whose limits stay as they are once they are set.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LIMITS = {
    # What a large vocabulary has for each token stays below: that comes and goes all the time.
    _M_MMAP_THRESHOLD: 2 << 20,
    _M_TRIM_THRESHOLD: 4 << 20,
    # One thread runs the model and one talks; those for files would each leave holes of their own.
    _M_ARENA_MAX: 1,
}


def give_back() -> None:
    """From now on; does nothing where there is no glibc."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    for option, value in _LIMITS.items():
        mallopt(option, value)
