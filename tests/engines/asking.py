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
    Sampling,
    Segments,
    Snippet,
    TokenLogprobs,
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


LIKELIEST = Sampling()
# Everything but what gives the answer its shape.
UNUSUAL = Sampling(
    temperature=0.7, top_k=20, top_p=0.8, min_p=0.1, seed=7, frequency_penalty=0.1,
    presence_penalty=0.2, repetition_penalty=1.1,
)  # fmt: skip
SCHEMA = {"type": "object"}
GRAMMAR = 'root ::= "a"'


def request(
    segments: Segments = SEGMENTS,
    max_tokens: int = 24,
    stop: tuple[str, ...] = (),
    sampling: Sampling = LIKELIEST,
) -> GenerationRequest:
    return GenerationRequest(segments, max_tokens, stop, sampling)


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


def told(sampling: Sampling, **settings: Any) -> list[tuple[str, tuple[TokenLogprobs, ...]]]:
    """The pieces of one answer that have a text, each with the tokens that are told with it."""

    async def work(engine: RemoteEngine) -> list[Piece]:
        return await pieces(engine, request(sampling=sampling))

    return shown(run(work, **settings))


def shown(heard: list[Piece]) -> list[tuple[str, tuple[TokenLogprobs, ...]]]:
    return [(piece.text, piece.logprobs) for piece in heard if piece.text or piece.logprobs]


def token(text: str, logprob: float, **others: float) -> TokenLogprobs:
    named = tuple((name, name.encode(), value) for name, value in others.items())
    return TokenLogprobs(text, text.encode(), logprob, named)


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
