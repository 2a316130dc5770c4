"""A real server with OpenAI's completions, llama-cpp-python's own, runs the starter for us."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any

import pytest

from tabby_lsp.config import EngineSettings
from tabby_lsp.domain import EngineError
from tabby_lsp.engines.remote.engine import RemoteEngine, remote_engine
from tests.model.starter import PATH, SOURCE, answer, request, run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

KEY = "sk-canary-5f3a"
CLASS = "class Point:\n    def __init__(self, width, height):\n        self.width = width\n"
START_S = 60.0


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    command = [sys.executable, "-m", "llama_cpp.server", "--model", str(PATH), "--port", str(port),
               "--n_ctx", "1024", "--api_key", KEY, "--model_alias", "starter"]  # fmt: skip
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
        with suppress(OSError), urllib.request.urlopen(asked, timeout=2):
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
        settings = EngineSettings(kind="openai", url=url, family="starter", n_ctx=n_ctx)
        engine = remote_engine("here", settings, key)
        try:
            return await work(engine)
        finally:
            await engine.close()

    return asyncio.run(with_engine())


async def text(engine: Any, place: int) -> str:
    asked = request(SOURCE[:place], SOURCE[place:], max_tokens=12)
    return (await answer(engine, asked))[0]


def test_it_says_what_the_built_in_engine_says(url: str) -> None:
    """The prompt is the same, so the answers are, but for where they end.

    The built-in engine may stop earlier, since it weighs all that ends an answer together.
    """
    places = range(400, 1_600, 60)

    async def work(engine: Any) -> list[str]:
        return [await text(engine, place) for place in places]

    here, there = run(work), remotely(url, work)
    same = [b.startswith(a) for a, b in zip(here, there, strict=True)]
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

    async def work(engine: RemoteEngine) -> float:
        await engine.load()
        long = request(SOURCE[:1_000], max_tokens=500, stop=())
        async with aclosing(engine.complete(long)) as stream:
            async for piece in stream:
                if piece.text:
                    break
        started_s = time.perf_counter()
        await answer(engine, request(CLASS + "        self.height"))  # type: ignore[arg-type]
        return time.perf_counter() - started_s

    assert remotely(url, work) < 5
