"""Counts the bytes that go to a server: stands between it and whoever asks."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self

_CHUNK_BYTES = 65_536


class CountingWire:
    """Passes everything on, both ways; lives until its `async with` ends."""

    def __init__(self, port: int) -> None:
        self.n_sent_bytes = 0
        self._port = port

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        their_reader, their_writer = await asyncio.open_connection("127.0.0.1", self._port)

        async def there() -> None:
            while data := await reader.read(_CHUNK_BYTES):
                self.n_sent_bytes += len(data)
                their_writer.write(data)
                await their_writer.drain()
            their_writer.close()

        async def back() -> None:
            while data := await their_reader.read(_CHUNK_BYTES):
                writer.write(data)
                await writer.drain()
            writer.close()

        with suppress(OSError):  # one of both hung up
            await asyncio.gather(there(), back())
