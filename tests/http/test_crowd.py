"""Two hundred clients at once, of whom half leave, while an editor asks for completions."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx2
import pytest

from tests.e2e.wire import wait_until
from tests.http.served import PATIENCE_S, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.http.served import Served

ROLES = ("chat", "completion")
N_CLIENTS = 200
# With these the nonsense model writes until its context is full.
N_ENDLESS = 4000
CODE = "class A:\n    def __init__(self, width):\n        self.width"


@pytest.fixture
def alone(home: Path, chat_model: Path) -> Iterator[Served]:
    """A server that nobody else asks."""
    with serving(home, "--chat-model", str(chat_model)) as server:
        yield server


@dataclass(slots=True)
class Crowd:
    """What two hundred clients have seen."""

    http: httpx2.AsyncClient
    statuses: Counter[int] = field(default_factory=Counter)
    n_answered: int = 0
    n_left: int = 0
    is_over: bool = False

    async def gather(self) -> None:
        """All of them at once, each on a connection of its own."""
        kinds = (self.stay, self.leave_the_stream, self.stay, self.leave_the_queue)
        await asyncio.gather(*(kinds[index % 4](index) for index in range(N_CLIENTS)))
        self.is_over = True

    async def stay(self, index: int) -> None:
        """Take the whole answer; who is refused comes back when the server has said."""
        path, body = _question(index, max_tokens=16)
        while await self._is_refused(answer := await self.http.post(path, json=body)):
            pass
        assert answer.json()["choices"][0]
        self.n_answered += 1

    async def leave_the_stream(self, index: int) -> None:
        """Hang up in the middle of a long answer."""
        path, body = _question(index, max_tokens=N_ENDLESS)
        while True:
            async with self.http.stream("POST", path, json={**body, "stream": True}) as answer:
                if await self._is_refused(answer):
                    continue
                async for line in answer.aiter_lines():
                    if line.startswith("data:"):
                        self.n_left += 1
                        return

    async def leave_the_queue(self, index: int) -> None:
        """Hang up as soon as the question is asked."""
        path, body = _question(index, max_tokens=N_ENDLESS)
        content = json.dumps(body).encode()
        _, writer = await asyncio.open_connection("127.0.0.1", self.http.base_url.port)
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        self.n_left += 1

    async def type(self) -> int:
        """Ask as an editor does, one completion after the other; how many were answered."""
        n_completions = 0
        while not self.is_over:
            segments = {"prefix": f"# {n_completions}\n{CODE}", "suffix": "\n"}
            body = {"language": "python", "segments": segments}
            answer = await self.http.post("/v1/completions", json=body)
            assert answer.status_code == 200, answer.text
            assert answer.json()["choices"][0]["text"] == " = width"
            n_completions += 1
        return n_completions

    async def _is_refused(self, answer: httpx2.Response) -> bool:
        self.statuses[answer.status_code] += 1
        if answer.status_code == 200:
            return False
        assert answer.status_code in (429, 503), await answer.aread()
        await asyncio.sleep(int(answer.headers["Retry-After"]))
        return True


def _question(index: int, max_tokens: int) -> tuple[str, dict[str, Any]]:
    """By turns a chat and a text."""
    asked: dict[str, Any] = {"model": "", "max_tokens": max_tokens, "temperature": 0}
    if index % 8 < 4:
        message = {"role": "user", "content": f"def {index}"}
        return "/v1/chat/completions", {**asked, "messages": [message], "stream": False}
    return "/v1/completions", {**asked, "prompt": f"def a{index}(items):\n"}


def metric(served: Served, name: str) -> int:
    found = re.search(rf"^{name} (\S+)$", served.http.get("/metrics").text, re.MULTILINE)
    assert found is not None
    return int(float(found[1]))


def n_tokens(served: Served) -> int:
    return sum(metric(served, f"tabby_{role}_tokens_generated_total") for role in ROLES)


class Held(NamedTuple):
    """What a process has of the machine; nothing where there is no /proc to ask."""

    n_files: int
    memory_kb: int


def held(served: Served) -> Held:
    folder = Path("/proc") / str(served.process.pid)
    if not folder.exists():
        return Held(0, 0)
    (memory_kb,) = re.findall(r"VmRSS:\s+(\d+) kB", (folder / "status").read_text())
    return Held(len(list((folder / "fd").iterdir())), int(memory_kb))


async def visited(url: str) -> tuple[Crowd, int]:
    """A crowd that has been there, and how many completions somebody got meanwhile."""
    # A connection that has answered is closed, so that the next crowd finds what this one found.
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx2.AsyncClient(
        base_url=url, limits=limits, timeout=PATIENCE_S, trust_env=False
    ) as client:
        crowd = Crowd(client)
        _, n_completions = await asyncio.gather(crowd.gather(), crowd.type())
    return crowd, n_completions


def test_a_crowd_is_answered_and_forgotten_and_an_editor_goes_before_it(alone: Served) -> None:
    n_tokens_before = n_tokens(alone)
    before = held(alone)
    crowd, n_completions = asyncio.run(visited(alone.url))
    assert (crowd.n_answered, crowd.n_left) == (N_CLIENTS / 2, N_CLIENTS / 2)
    assert set(crowd.statuses) == {200, 429}
    assert n_completions > 0
    states = ("running", "waiting")
    while any(metric(alone, f"tabby_{role}_requests_{each}") for role in ROLES for each in states):
        pass
    # Those who left had asked for 400,000.
    n_tokens_after = n_tokens(alone)
    assert n_tokens_after - n_tokens_before < 40_000
    for path, body in (_question(index, max_tokens=1) for index in (0, 4)):
        assert alone.post(path, body).status_code == 200
    # The models answer one after the other, so whatever still ran would have been counted. Each may
    # have said another word before it noticed.
    assert n_tokens(alone) <= n_tokens_after + 4
    assert wait_until(lambda: held(alone).n_files == before.n_files, PATIENCE_S)
    after = held(alone)
    assert after.memory_kb - before.memory_kb < 40_000
