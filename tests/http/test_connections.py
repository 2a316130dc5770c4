"""Connections that ask nothing, take nothing, or are too many, over real sockets."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from tabby_lsp.servers.http import listening
from tests.http.served import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Application:
    """Answers `/` at once, and `/endless` for ever; knows when somebody has left that."""

    def __init__(self) -> None:
        self.was_left = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] != "/endless":
            await send({"type": "http.response.body", "body": b"here"})
            return
        leaving = asyncio.ensure_future(self._left(receive))
        while not leaving.done():
            body = b"x" * 65_536
            await send({"type": "http.response.body", "body": body, "more_body": True})
            await asyncio.sleep(0)
        self.was_left.set()

    async def _left(self, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass


@pytest.mark.parametrize("host", ["x" * 300, "a..b", "999.1.1.1"])
def test_what_can_be_no_address_is_said(host: str) -> None:
    with pytest.raises(listening.Taken, match="is no address of this machine"):
        listening.listener_at(host, 0)


def at_a_server(work: Callable[[int, Application], Awaitable[None]]) -> None:
    """Give the work the port of a server."""

    async def run() -> None:
        app, is_ready = Application(), asyncio.Event()
        listener = listening.listener_at("127.0.0.1", 0)
        serving = asyncio.ensure_future(listening.serve(app, listener, is_ready.set))
        await is_ready.wait()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await work(listener.socket.getsockname()[1], app)
        finally:
            signal.raise_signal(signal.SIGTERM)
            await serving

    asyncio.run(run())


async def rest(reader: asyncio.StreamReader) -> bytes:
    """All until the connection is closed."""
    with suppress(ConnectionError):
        return await reader.read()
    return b""


@pytest.mark.parametrize("head", [b"", b"GET / HTTP/1.1\r\nHost: ", HEAD + b"GET / HT"])
def test_who_does_not_ask_is_let_go(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "HEAD_TIMEOUT_S", 0.3)

    async def work(port: int, app: Application) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        said = await rest(reader)
        assert said.endswith(b"here\r\n0\r\n\r\n") or said == b""
        assert bool(said) == head.startswith(HEAD)
        writer.close()

    at_a_server(work)


def test_who_drips_a_head_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "HEAD_TIMEOUT_S", 0.3)

    async def work(port: int, app: Application) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        reading = asyncio.ensure_future(rest(reader))
        writer.write(b"GET / HTTP/1.1\r\n")
        with suppress(ConnectionError):
            while not reading.done():
                writer.write(b"X: y\r\n")
                await writer.drain()
                await asyncio.sleep(0.02)
        assert await reading == b""
        writer.close()

    at_a_server(work)


def test_an_answer_may_take_longer_than_its_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "HEAD_TIMEOUT_S", 0.2)

    async def work(port: int, app: Application) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD.replace(b" / ", b" /endless "))
        for _ in range(5):
            await asyncio.sleep(0.1)
            assert await reader.readexactly(200_000)
        writer.close()
        await app.was_left.wait()

    at_a_server(work)


def test_who_takes_nothing_of_an_answer_is_let_go_and_its_work_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listening, "SEND_TIMEOUT_S", 0.3)

    async def work(port: int, app: Application) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_000)
        writer.write(HEAD.replace(b" / ", b" /endless "))
        await app.was_left.wait()
        writer.close()

    at_a_server(work)


def test_more_than_so_many_are_let_go_and_the_others_are_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listening, "MAX_CONNECTIONS", 5)

    async def work(port: int, app: Application) -> None:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
        for reader, writer in held[:1]:
            writer.write(HEAD)
            assert await reader.readuntil(b"here")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await rest(reader) == b""
        writer.close()
        for reader, writer in held:
            writer.write(HEAD)
            assert await reader.readuntil(b"here")
            writer.close()

    at_a_server(work)
