"""The HTTP application in this process, before models that do what a test tells them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2

from tabby_lsp.config import Settings
from tabby_lsp.consult import Consult
from tabby_lsp.domain import EngineError, EngineStatus, Piece, Timings, Unusable
from tabby_lsp.index.neighbours import Neighbours
from tabby_lsp.models.memory import DoesNotFit
from tabby_lsp.rack import Rack
from tabby_lsp.servers.http.face import Parts, face, routes_and_meter
from tabby_lsp.servers.http.gate import LOOPBACK_NAMES, Rules
from tabby_lsp.servers.http.journal import Journal
from tabby_lsp.servers.http.keys import Keys
from tabby_lsp.servers.http.machine import Devices
from tabby_lsp.servers.http.tabbyapi import ADMIN_ROUTES
from tabby_lsp.stock import Stock
from tabby_lsp.suggest import Suggest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine, Sequence

    from fastapi import FastAPI

    from tabby_lsp.domain import ChatRequest, GenerationRequest
    from tabby_lsp.rack import Fit, Role

KEYS = Keys(api="a" * 32, admin="b" * 32, path=Path("keys.json"))
API = {"X-API-Key": KEYS.api}
ADMIN = {"X-Admin-Key": KEYS.admin}


@dataclass(eq=False)
class Memory:
    """As much as holds so many models at a time, and what came to pass in it."""

    n_places: int = 100
    loaded: set[Model] = field(default_factory=set)
    n_loads: int = 0
    may_load: asyncio.Event = field(default_factory=asyncio.Event)
    is_loading: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.may_load.set()

    def make(self, role: Role, name: str, fit: Fit) -> Model:
        return Model(self, name, fit)


class Model:
    """Answers with its own name, and knows the tokens of a text: its characters."""

    def __init__(self, memory: Memory, name: str, fit: Fit) -> None:
        self._memory = memory
        self.fit = fit
        self.name = name
        self.n_users = 0
        self.status = EngineStatus(state="unloaded", model=name)

    async def load(self) -> None:
        self._memory.is_loading.set()
        await self._memory.may_load.wait()
        await asyncio.sleep(0)
        if self.name == "broken":
            self._set("failed", "the file /models/broken.gguf is broken")
            raise EngineError(self.status.message)
        if len(self._memory.loaded) >= self._memory.n_places:
            raise DoesNotFit(f"{self.name} does not fit")
        self._memory.loaded.add(self)
        self._memory.n_loads += 1
        self._set("ready")

    async def complete(self, request: GenerationRequest) -> AsyncGenerator[Piece, None]:
        async for piece in self._said():
            yield piece

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Piece, None]:
        async for piece in self._said():
            yield piece

    async def _said(self) -> AsyncGenerator[Piece, None]:
        self.n_users += 1
        try:
            for _ in range(3):
                assert self in self._memory.loaded, "asked after it was given back"
                await asyncio.sleep(0)
                yield Piece(self.name, -0.5, Timings())
        finally:
            self.n_users -= 1

    async def encode(self, text: str, *, controls: bool, bos: bool) -> list[int]:
        return [1] * bos + [ord(each) for each in text if controls or each != "<"]

    async def decode(self, tokens: Sequence[int], *, controls: bool) -> str:
        if max(tokens, default=0) > 0x10FFFF:
            raise Unusable("There is no such token.")
        return "".join(chr(each) for each in tokens if controls or each != 1)

    async def close(self) -> None:
        assert self.n_users == 0, "given back while it was asked"
        self._memory.loaded.discard(self)
        self._set("unloaded")

    def _set(self, state: Any, message: str = "") -> None:
        self.status = EngineStatus(
            state=state, model=self.name, message=message, n_ctx=self.fit.n_ctx
        )


def parts_in(folder: Path, rack: Rack, started: dict[Role, str], *, has_keys: bool) -> Parts:
    """Models by name in `folder/models`; `started` are those that the rack has."""
    settings = Settings()
    return Parts(
        rack=rack,
        stock=Stock(folder, started, settings.local),
        suggest=Suggest(rack, Neighbours(), (), (settings.completion, settings.context)),
        consult=Consult(rack, (), (settings.chat, settings.context)),
        journal=Journal(folder / "events"),
        logs_prompts=False,
        devices=Devices(completion="cpu", chat="cpu"),
        max_chat_tokens=100,
        rules=Rules(
            hosts=LOOPBACK_NAMES, keys=KEYS if has_keys else None, admin_routes=ADMIN_ROUTES
        ),
    )


def routes_in(folder: Path) -> FastAPI:
    """The application behind the gate."""
    app, _ = routes_and_meter(parts_in(folder, Rack(Memory().make), {}, has_keys=True))
    return app


@dataclass(frozen=True, slots=True)
class Inside:
    """A client, and what it asks."""

    http: httpx2.AsyncClient
    rack: Rack
    memory: Memory

    async def post(self, path: str, body: object = None, **headers: str) -> httpx2.Response:
        if body is None:
            return await self.http.post(path, headers=headers)
        return await self.http.post(path, json=body, headers=headers)


def inside(
    folder: Path,
    started: dict[Role, str],
    work: Any,
    *,
    has_keys: bool = False,
    n_places: int = 100,
) -> None:
    """Run `work` with a client of a server that has these models."""

    async def run() -> None:
        memory = Memory(n_places)
        rack = Rack(memory.make)
        for role, name in started.items():
            await rack.put(role, name)
        app = face(parts_in(folder, rack, started, has_keys=has_keys))
        transport = httpx2.ASGITransport(app=app)
        base_url = "http://127.0.0.1:8080"
        async with httpx2.AsyncClient(transport=transport, base_url=base_url) as http:
            done: Coroutine[Any, Any, None] = work(Inside(http, rack, memory))
            await done
        await rack.close()

    asyncio.run(run())
