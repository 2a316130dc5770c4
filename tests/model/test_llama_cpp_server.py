"""A real server with OpenAI's completions and chat, llama-cpp-python's, runs the starter for us."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tabby_lsp.config import EngineSettings
from tabby_lsp.domain import ChatMessage, ChatRequest, EngineError, Piece, Sampling
from tabby_lsp.engines.remote.engine import (
    RemoteChatEngine,
    RemoteEngine,
    remote_chat_engine,
    remote_engine,
)
from tests.engines.asking import PATIENT
from tests.model import careful_server
from tests.model.starter import PATH, SOURCE, answer, request, run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

KEY = "sk-canary-5f3a"
CLASS = "class Point:\n    def __init__(self, width, height):\n        self.width = width\n"
START_S = 90.0
_N_SAME_CHARS = 3


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    command = [sys.executable, "-m", careful_server.__name__, "--model", str(PATH),
               "--port", str(port), "--n_ctx", "1024", "--api_key", KEY,
               "--model_alias", "starter", "--chat_format", "alpaca"]  # fmt: skip
    silent = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=silent, stdout=silent, stderr=silent) as server:
        try:
            wait_for(f"http://127.0.0.1:{port}/v1/models")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


def wait_for(url: str) -> None:
    deadline_s = time.monotonic() + START_S
    asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {KEY}"})
    while time.monotonic() < deadline_s:
        with suppress(OSError), urllib.request.urlopen(asked, timeout=10):
            return
        time.sleep(0.2)
    raise TimeoutError(url)


def remotely(
    url: str,
    work: Callable[[RemoteEngine], Awaitable[Any]],
    key: str = KEY,
    n_ctx: int = 1_024,
) -> Any:
    """Give the work an engine that asks the server as the starter wants to be asked."""

    async def with_engine() -> Any:
        settings = EngineSettings(kind="openai", url=url, family="starter", n_ctx=n_ctx, **PATIENT)
        engine = remote_engine("here", settings, key)
        try:
            return await work(engine)
        finally:
            await engine.close()

    return asyncio.run(with_engine())


async def text(engine: Any, place: int, sampling: Sampling) -> str:
    asked = request(SOURCE[:place], SOURCE[place:], max_tokens=12)
    return (await answer(engine, replace(asked, sampling=sampling)))[0]


def test_it_says_what_the_built_in_engine_says(url: str) -> None:
    """The prompt is the same, so the answers begin in the same way.

    Further on they part: the server's kernels round otherwise, and a small model is seldom sure.
    Where the built-in engine says nothing, the server may, since there all that ends an answer is
    weighed together. Asked for logarithms, it takes no tokens back, as the server does not either.
    """
    places = range(400, 1_600, 60)

    async def asked(engine: Any, sampling: Sampling) -> list[str]:
        return [await text(engine, place, sampling) for place in places]

    here = run(lambda engine: asked(engine, Sampling(n_logprobs=1)))
    there = remotely(url, lambda engine: asked(engine, Sampling()))
    same = [b.startswith(a[:_N_SAME_CHARS]) for a, b in zip(here, there, strict=True)]
    assert sum(same) >= 0.8 * len(same)
    assert sum(map(bool, here)) >= 0.5 * len(here)


def test_it_completes_what_every_python_model_knows(url: str) -> None:
    async def work(engine: RemoteEngine) -> tuple[str, str]:
        asked = request(CLASS + "        self.height")
        return (await answer(engine, asked))[0], engine.status.model  # type: ignore[arg-type]

    assert remotely(url, work) == (" = height", "starter")


def test_a_wrong_key_is_said_and_not_shown(url: str) -> None:
    async def work(engine: RemoteEngine) -> str:
        with pytest.raises(EngineError):
            await engine.load()
        return engine.status.message

    message = remotely(url, work, key="sk-wrong-77e1")
    assert "(401: Invalid API key): the key is not the right one" in message
    assert "sk-wrong-77e1" not in message


def test_a_prompt_that_is_too_long_is_said_with_the_remedy(url: str) -> None:
    async def work(engine: RemoteEngine) -> str:
        with pytest.raises(EngineError):
            await answer(engine, request(SOURCE))  # type: ignore[arg-type]
        return engine.status.message

    message = remotely(url, work, n_ctx=0)
    assert "`context.prefix_chars` makes prompts shorter" in message


def test_closing_the_connection_makes_it_stop(url: str) -> None:
    """The next request need not wait for an answer that nobody wants."""

    async def work(engine: RemoteEngine) -> tuple[float, float]:
        await engine.load()
        long = request(SOURCE[:1_000], max_tokens=500, stop=())
        started_s = time.perf_counter()
        await answer(engine, long)  # type: ignore[arg-type]
        whole_s = time.perf_counter() - started_s
        async with aclosing(engine.complete(long)) as stream:
            async for piece in stream:
                if piece.text:
                    break
        started_s = time.perf_counter()
        await answer(engine, request(CLASS + "        self.height"))  # type: ignore[arg-type]
        return time.perf_counter() - started_s, whole_s

    next_s, whole_s = remotely(url, work)
    assert next_s < whole_s


# In a chat. What the starter says there means nothing, and after ChatML's tokens, which it does not
# know, it says nothing at all; everything else about it is real.

TALK = (ChatMessage("system", "You write Python."), ChatMessage("user", "def area(self):"))


def in_a_chat(
    url: str,
    work: Callable[[RemoteChatEngine], Awaitable[Any]],
    key: str = KEY,
    n_ctx: int = 1_024,
) -> Any:
    async def with_engine() -> Any:
        settings = EngineSettings(kind="openai", url=url, n_ctx=n_ctx, **PATIENT)
        engine = remote_chat_engine("here", settings, key)
        try:
            return await work(engine)
        finally:
            await engine.close()

    return asyncio.run(with_engine())


async def said(engine: RemoteChatEngine, *talk: ChatMessage, max_tokens: int = 40) -> list[Piece]:
    asked = ChatRequest(messages=talk or TALK, max_tokens=max_tokens)
    async with aclosing(engine.chat(asked)) as pieces:
        return [piece async for piece in pieces]


def test_a_chat_streams_what_the_server_says_in_one_piece_to_others(url: str) -> None:
    messages = [{"role": each.role, "content": each.content} for each in TALK]
    body = {"model": "starter", "messages": messages, "max_tokens": 40, "temperature": 0}
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    asked = urllib.request.Request(
        f"{url}/v1/chat/completions", json.dumps(body).encode(), headers=headers
    )
    with urllib.request.urlopen(asked, timeout=60) as response:
        choice = json.load(response)["choices"][0]

    pieces = in_a_chat(url, said)
    assert "".join(piece.text for piece in pieces) == choice["message"]["content"]
    assert pieces[-1].finish == choice["finish_reason"]
    assert len(pieces) > 5


def test_a_long_conversation_is_cropped_to_what_the_server_holds(url: str) -> None:
    """The count of tokens is on the safe side, also for a vocabulary as small as the starter's."""
    code = ChatMessage("user", SOURCE * 3)
    for talk in ((code,), (code, ChatMessage("assistant", SOURCE), code)):

        async def work(engine: RemoteChatEngine, talk: tuple[ChatMessage, ...] = talk) -> str:
            return (await said(engine, *talk))[-1].finish

        assert in_a_chat(url, work) in ("stop", "length")


def test_a_conversation_that_is_too_long_is_said_with_the_remedy(url: str) -> None:
    async def work(engine: RemoteChatEngine) -> str:
        with pytest.raises(EngineError):
            await said(engine, ChatMessage("user", SOURCE * 3))
        return engine.status.message

    assert "a smaller `n_ctx`" in in_a_chat(url, work, n_ctx=8_192)


def test_a_wrong_key_is_said_in_a_chat_too(url: str) -> None:
    async def work(engine: RemoteChatEngine) -> str:
        with pytest.raises(EngineError):
            await said(engine)
        return engine.status.message

    message = in_a_chat(url, work, key="sk-wrong-77e1")
    assert "(401: Invalid API key): the key is not the right one" in message


def test_leaving_a_chat_makes_the_server_stop(url: str) -> None:
    """The next question need not wait for an answer that nobody wants."""

    async def work(engine: RemoteChatEngine) -> tuple[float, float]:
        started_s = time.perf_counter()
        await said(engine, max_tokens=900)
        whole_s = time.perf_counter() - started_s
        asked = ChatRequest(messages=TALK, max_tokens=900)
        async with aclosing(engine.chat(asked)) as pieces:
            async for piece in pieces:
                if piece.text:
                    break
        started_s = time.perf_counter()
        await said(engine, max_tokens=2)
        return time.perf_counter() - started_s, whole_s

    next_s, whole_s = in_a_chat(url, work)
    assert next_s < whole_s
