"""Hands results from a worker's thread to an event loop, and keeps the interpreter meanwhile.

`call_soon_threadsafe` gives the interpreter away while it wakes the loop, and gets it back when the
loop has done its part: 0.2 ms a token, where a small model takes 0.7 for the token itself. A byte
written by a call that keeps it is there at once, and the loop does its part while llama.cpp
computes.

Invariant: whatever is handed over while the loop runs is called there once, in its order.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import weakref
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_READ = 4_096


class Bell:
    """Of one event loop; `bell_of` has it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Raises NotImplementedError for a loop that watches no pipes, as on Windows."""
        if sys.platform == "win32":
            raise NotImplementedError
        self._loop = weakref.ref(loop)
        self._calls: deque[tuple[Callable[[Any], None], Any]] = deque()
        self._is_rung = False
        # Unlike all other calls of C, these keep the interpreter.
        self._write = ctypes.PyDLL(None).write
        self._heard, self._rung = os.pipe()
        weakref.finalize(self, _close, self._heard, self._rung)
        for end in (self._heard, self._rung):
            os.set_blocking(end, False)
        loop.add_reader(self._heard, self._answer)

    def call_soon(self, callback: Callable[[Any], None], result: Any) -> None:
        """From any thread. Raises RuntimeError where the loop is closed."""
        loop = self._loop()
        if loop is None or loop.is_closed():
            raise RuntimeError("the event loop is closed")
        self._calls.append((callback, result))
        # Once is enough until it is heard.
        if not self._is_rung:
            self._is_rung = True
            self._write(self._rung, b"\0", 1)

    def _answer(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._heard, _MOST_READ)
        # Before the calls are looked at: whoever comes too late for that has to ring again.
        self._is_rung = False
        while self._calls:
            callback, result = self._calls.popleft()
            try:
                # Not by `call_soon`, which has the loop look at all its files once more.
                callback(result)
            except Exception as error:
                told = {"message": "What a thread handed over was not taken.", "exception": error}
                asyncio.get_running_loop().call_exception_handler(told)


class _Knock:
    """The same by asyncio's own means."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.call_soon = loop.call_soon_threadsafe


def _close(*descriptors: int) -> None:
    for each in descriptors:
        os.close(each)


_bells: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Bell] = weakref.WeakKeyDictionary()


def bell_of(loop: asyncio.AbstractEventLoop) -> Bell | _Knock:
    """Called on the loop's thread; the same one each time."""
    bell = _bells.get(loop)
    if bell is None:
        try:
            bell = _bells[loop] = Bell(loop)
        except NotImplementedError:
            return _Knock(loop)
    return bell
