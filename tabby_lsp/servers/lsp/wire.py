"""Frames in from stdin, frames out to a file descriptor of their own, each on its own thread.

Invariant: neither a stuck event loop nor a client that stops reading keeps the process alive after
the end of its input, and nothing but frames is ever written.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
import time
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

MAX_FRAME_BYTES = 64 * 1024 * 1024
_MAX_HEADER_LINE_BYTES = 8 * 1024
# Larger than any answer of ours; a client that leaves so much unread has stopped reading.
_MAX_UNREAD_BYTES = 16 * 1024 * 1024
# The promise is a second from the end of input to the end of the process.
_EXIT_GRACE_S = 0.7


class FrameTooLarge(Exception):
    """A header announces more bytes than any client would send."""


def claim_stdout() -> BinaryIO:
    """The protocol's private way out; from now on fd 1 goes where stderr goes.

    To be called before anything else that might write: a library that prints, in Python or in C,
    would otherwise corrupt the stream.
    """
    sys.stdout.flush()
    private = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(private, "wb", buffering=0)


def read_frame(stream: BinaryIO) -> bytes | None:
    """The body of the next frame; None at the end of input.

    Lines that are no header are skipped, so that what a shell's start-up file printed before the
    first frame does no harm. Raises FrameTooLarge.
    """
    n_bytes: int | None = None
    while line := stream.readline(_MAX_HEADER_LINE_BYTES):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            n_bytes = int(value)
            if n_bytes > MAX_FRAME_BYTES:
                raise FrameTooLarge(f"Content-Length is over the limit of {MAX_FRAME_BYTES} bytes")
        elif not line.strip() and n_bytes is not None:
            body = stream.read(n_bytes)
            return body if len(body) == n_bytes else None
    return None


def start_reader(
    stream: BinaryIO, on_frame: Callable[[bytes], None], on_end: Callable[[], None]
) -> None:
    """Read frames on a thread until the input ends; the process ends soon after, come what may."""

    def read() -> None:
        try:
            while (body := read_frame(stream)) is not None:
                on_frame(body)
        except (FrameTooLarge, OSError, ValueError) as error:
            logger.error("the client's stream cannot be read any further: %s", error)
        on_end()
        time.sleep(_EXIT_GRACE_S)
        os._exit(1)

    threading.Thread(target=read, name="stdin", daemon=True).start()


class FrameWriter:
    """Writes frames in the order they were given, without making the event loop wait.

    Has the `write` and `close` that pygls wants of a writer; lives as long as the process.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._frames: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._n_unread_bytes = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="stdout", daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> None:
        if self._count(len(data)) > _MAX_UNREAD_BYTES:
            logger.error("the client leaves more than %d bytes unread: ending", _MAX_UNREAD_BYTES)
            os._exit(1)
        self._frames.put(data)

    def close(self) -> None:
        """Wait for what is still to be written, but no longer than the process may take to end."""
        self._frames.put(None)
        self._thread.join(_EXIT_GRACE_S / 2)

    def _run(self) -> None:
        try:
            while (frame := self._frames.get()) is not None:
                rest = memoryview(frame)
                while rest:
                    rest = rest[self._stream.write(rest) :]
                self._count(-len(frame))
        except OSError:
            # Nobody reads any more; a word about it would go to a pipe that may be broken as well.
            os._exit(1)

    def _count(self, n_bytes: int) -> int:
        with self._lock:
            self._n_unread_bytes += n_bytes
            return self._n_unread_bytes
