"""A stream begins soon, says that it lives, and ends with its client whatever it is doing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from starlette.requests import Request

from tabby_lsp.domain import EngineError
from tabby_lsp.servers.http import answering
from tabby_lsp.servers.http.answering import events
from tabby_lsp.servers.http.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import Message

SOON_S = 0.05


class Client:
    """Hears a stream, and hangs up when a test does."""

    def __init__(self) -> None:
        self.has_gone = asyncio.Event()
        self.heard: list[Message] = []
        scope: dict[str, Any] = {"type": "http", "headers": [], "asgi": {"spec_version": "2.3"}}
        self.scope = scope
        self.request = Request(scope, self.receive)

    async def receive(self) -> Message:
        await self.has_gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.heard.append(message)

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.heard).decode()


class Work:
    """Says what it is told to, and needs a moment to end."""

    def __init__(self, *steps: float | str | EngineError) -> None:
        self._steps = steps
        self.has_ended = False

    async def chunks(self) -> AsyncGenerator[object, None]:
        try:
            for step in self._steps:
                if isinstance(step, float):
                    await asyncio.sleep(step)
                elif isinstance(step, EngineError):
                    raise step
                else:
                    yield step
        finally:
            for _ in range(3):
                await asyncio.sleep(0.001)
            self.has_ended = True


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "_FIRST_WITHIN_S", SOON_S)
    monkeypatch.setattr(answering, "_COMMENT_EVERY_S", SOON_S)


def test_it_begins_before_the_prompt_is_read_and_says_that_it_lives() -> None:
    async def listen() -> Client:
        client = Client()
        stream = await events(client.request, Work(6 * SOON_S, "a").chunks())
        await stream(client.scope, client.receive, client.send)
        return client

    client = asyncio.run(listen())
    assert client.heard[0]["status"] == 200
    first, *_, last = client.text.split("\n\n")[:-1]
    assert (first, last) == (": still here", "data: [DONE]")
    assert 'data: "a"' in client.text


def test_what_goes_wrong_soon_is_a_refusal_and_later_an_event() -> None:
    async def listen() -> str:
        client = Client()
        with pytest.raises(Refusal, match="broken"):
            await events(client.request, Work(EngineError("broken")).chunks())
        late = Work(3 * SOON_S, EngineError("broken"))
        stream = await events(client.request, late.chunks())
        await stream(client.scope, client.receive, client.send)
        assert late.has_ended
        return client.text

    assert "broken" in asyncio.run(listen())


@pytest.mark.parametrize("steps", [(60.0,), ("a", 60.0), ("a", "b", 60.0)])
def test_who_hangs_up_ends_it_and_that_is_no_error(steps: tuple[float | str, ...]) -> None:
    async def listen() -> bool:
        client, work = Client(), Work(*steps)
        stream = await events(client.request, work.chunks())
        asyncio.get_running_loop().call_later(2 * SOON_S, client.has_gone.set)
        await stream(client.scope, client.receive, client.send)
        return work.has_ended

    assert asyncio.run(listen())


def test_who_hangs_up_before_it_begins_ends_it_too() -> None:
    async def listen() -> bool:
        client, work = Client(), Work(60.0)
        client.has_gone.set()
        with pytest.raises(Refusal):
            await events(client.request, work.chunks())
        return work.has_ended

    assert asyncio.run(listen())
