"""What goes over the socket: JSON objects, each behind its length.

docs/architecture.md says what they mean. Plain frames over one lasting connection, not HTTP: a
keystroke costs no connection and no headers, and nothing has to be imported for them.

Invariant: no frame is larger than agreed, and nobody is written to who does not read.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

# Raised with every change that the rule of packing.py does not cover.
WIRE = 1

Json = dict[str, Any]

_LENGTH_BYTES = 4
# The largest context of the settings, in the longest spelling.
MAX_FRAME_BYTES = 16 << 20
# What a window that still reads never leaves unread of answers, which are small.
_MAX_UNREAD_BYTES = 4 << 20


class Broken(Exception):
    """The connection has ended, or what came over it is no frame."""


async def read_frame(reader: asyncio.StreamReader) -> Json:
    """The next frame; raises Broken."""
    try:
        length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES), "big")
        if length > MAX_FRAME_BYTES:
            raise Broken(f"a frame of {length} bytes")
        value = json.loads(await reader.readexactly(length))
    except (OSError, EOFError, ValueError, RecursionError) as error:
        raise Broken(str(error)) from error
    if not isinstance(value, dict):
        raise Broken("a frame that is no object")
    return value


def framed(value: Json) -> bytes:
    """A frame; raises Broken where it is larger than agreed."""
    # ASCII, so that half a surrogate pair goes through as well.
    body = json.dumps(value, separators=(",", ":")).encode()
    if len(body) > MAX_FRAME_BYTES:
        raise Broken(f"a frame of {len(body)} bytes")
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


def write_frame(writer: asyncio.StreamWriter, frame: bytes) -> None:
    """Send an answer without waiting; raises Broken where the window does not read."""
    if writer.is_closing():
        raise Broken("the connection is closed")
    if writer.transport.get_write_buffer_size() > _MAX_UNREAD_BYTES:
        writer.transport.abort()
        raise Broken("the window does not read")
    writer.write(frame)
