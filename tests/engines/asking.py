"""How the tests ask an engine whose server is scripted: the only place that makes one."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

from tabby_lsp.config import EngineSettings
from tabby_lsp.domain import (
    ChatMessage,
    ChatRequest,
    GenerationRequest,
    Piece,
    Segments,
    Snippet,
)
from tabby_lsp.engines.remote.engine import (
    RemoteChatEngine,
    RemoteEngine,
    remote_chat_engine,
    remote_engine,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Result = TypeVar("Result")

# A machine that does other things too is no fault of a server's; who tests the limits gives others.
PATIENT: dict[str, Any] = {"timeout_ms": 60_000, "connect_timeout_ms": 60_000}

SEGMENTS = Segments(
    prefix="def add(a, b):\n    return ",
    suffix="\n\nprint(add(1, 2))\n",
    path="sums/add.py",
    repository="sums",
    language="python",
    snippets=(Snippet("sums/sub.py", "def sub(a, b):\n    return a - b\n"),),
)


def request(
    segments: Segments = SEGMENTS, max_tokens: int = 24, stop: tuple[str, ...] = ()
) -> GenerationRequest:
    return GenerationRequest(segments, max_tokens, stop)


def run(
    work: Callable[[RemoteEngine], Awaitable[Result]], *, key: str = "", **settings: Any
) -> Result:
    """Give the work an engine of these settings, and close it afterwards."""

    async def with_engine() -> Result:
        engine = remote_engine("gpu", EngineSettings(**PATIENT | settings), key)
        try:
            return await work(engine)
        finally:
            await engine.close()

    return asyncio.run(with_engine())


async def pieces(engine: RemoteEngine, asked: GenerationRequest) -> list[Piece]:
    async with aclosing(engine.complete(asked)) as stream:
        return [piece async for piece in stream]


def answer(asked: GenerationRequest | None = None, *, key: str = "", **settings: Any) -> str:
    """The whole text that comes of one request."""

    async def work(engine: RemoteEngine) -> str:
        return "".join(piece.text for piece in await pieces(engine, asked or request()))

    return run(work, key=key, **settings)


# The same in a chat.

QUESTION = (ChatMessage("system", "Be short."), ChatMessage("user", "What does add do?"))


def chat_request(
    messages: tuple[ChatMessage, ...] = QUESTION, max_tokens: int = 64, **more: Any
) -> ChatRequest:
    return ChatRequest(messages=messages, max_tokens=max_tokens, **more)


def chat_run(
    work: Callable[[RemoteChatEngine], Awaitable[Result]], *, key: str = "", **settings: Any
) -> Result:
    """Give the work a chat engine of these settings, and close it afterwards."""

    async def with_engine() -> Result:
        engine = remote_chat_engine("gpu", EngineSettings(**PATIENT | settings), key)
        try:
            return await work(engine)
        finally:
            await engine.close()

    return asyncio.run(with_engine())


async def chat_pieces(engine: RemoteChatEngine, asked: ChatRequest) -> list[Piece]:
    async with aclosing(engine.chat(asked)) as stream:
        return [piece async for piece in stream]


def chat_answer(asked: ChatRequest | None = None, *, key: str = "", **settings: Any) -> list[Piece]:
    """All the pieces that come of one request."""

    async def work(engine: RemoteChatEngine) -> list[Piece]:
        return await chat_pieces(engine, asked or chat_request())

    return chat_run(work, key=key, **settings)


def text_of(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces)
