"""The models that a host has in memory: each loaded once, shared, and given back when unused.

Invariant: a model that some window is being answered by is never given back.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from tabby_lsp.host.model import ModelReport
from tabby_lsp.host.turns import Turns
from tabby_lsp.models.memory import DoesNotFit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tabby_lsp.domain import EngineStatus
    from tabby_lsp.host.model import HostedModel


class Loadable(Protocol):
    """What all engines have in common."""

    @property
    def status(self) -> EngineStatus: ...
    async def load(self) -> None: ...
    async def close(self) -> None: ...


@dataclass(eq=False, slots=True)
class Shelved:
    """One model and those who use it."""

    model: HostedModel
    engine: Any
    windows: set[int] = field(default_factory=set)
    n_users: int = 0  # requests that run or wait
    used_s: float = field(default_factory=time.monotonic)
    turns: Turns = field(default_factory=Turns)


class Shelf:
    """Lives as long as the host; `make` builds an engine, and does not load it."""

    def __init__(
        self, make: Callable[[HostedModel], Loadable], prepare: Callable[[], None]
    ) -> None:
        """`prepare` is called once, on a thread, before the first model is loaded."""
        self._make = make
        self._prepare = prepare
        self._preparing: asyncio.Future[None] | None = None
        self._models: dict[HostedModel, Shelved] = {}
        self._loading = asyncio.Lock()  # each is weighed against the memory that is free

    def report(self) -> tuple[ModelReport, ...]:
        return tuple(
            ModelReport(
                name=each.model.name,
                role=each.model.role,
                path=each.model.path,
                state=each.engine.status.state,
                n_windows=len(each.windows),
                n_waiting=each.turns.n_waiting,
            )
            for each in self._models.values()
        )

    def status(self, model: HostedModel) -> EngineStatus | None:
        """What its engine says of itself; None where it is not here."""
        shelved = self._models.get(model)
        status: EngineStatus | None = shelved.engine.status if shelved else None
        return status

    @asynccontextmanager
    async def using(self, model: HostedModel, window: int) -> AsyncIterator[Shelved]:
        """The model, loaded, which stays until this is left; raises EngineError."""
        shelved = self._models.get(model) or await self._made(model)
        shelved.windows.add(window)
        shelved.n_users += 1
        try:
            if shelved.engine.status.state != "ready":
                await self._load(shelved)
            yield shelved
        finally:
            shelved.n_users -= 1
            shelved.used_s = time.monotonic()

    def leave(self, window: int, model: HostedModel | None = None) -> None:
        """A window has gone, or has no more use for this model, which stays for a while."""
        for each in self._models.values():
            if model in (None, each.model) and window in each.windows:
                each.windows.discard(window)
                each.turns.forget(window)
                each.used_s = time.monotonic()

    async def give_back(self, deserted_s: float, unused_s: float) -> None:
        """Free what no window uses for so long, and what nobody has asked for so long.

        An `unused_s` of 0 is never.
        """
        now_s = time.monotonic()
        for each in list(self._models.values()):
            idle_s = now_s - each.used_s
            is_deserted = not each.windows and idle_s >= deserted_s
            if each.n_users == 0 and (is_deserted or 0 < unused_s <= idle_s):
                await self._drop(each)

    async def close(self) -> None:
        for each in list(self._models.values()):
            await self._drop(each)

    async def _made(self, model: HostedModel) -> Shelved:
        async with self._loading:
            if model not in self._models:
                # The header of a large vocabulary takes a moment to read.
                engine = await asyncio.to_thread(self._make, model)
                self._models[model] = Shelved(model, engine)
            return self._models[model]

    async def _load(self, shelved: Shelved) -> None:
        """Who is cancelled meanwhile leaves the load to the next who asks, or to `give_back`."""
        async with self._loading:
            if shelved.engine.status.state == "ready":
                return
            await self._prepared()
            try:
                await self._load_where_it_fits(shelved)
            except Exception:
                # The next who asks tries again: the file may have been replaced.
                if shelved.n_users <= 1:
                    await self._drop(shelved)
                raise

    async def _load_where_it_fits(self, shelved: Shelved) -> None:
        try:
            await shelved.engine.load()
        except DoesNotFit:
            # What no window is connected for goes first; then it is tried once more.
            if not await self._make_room():
                raise
            await shelved.engine.close()
            shelved.engine = await asyncio.to_thread(self._make, shelved.model)
            await shelved.engine.load()

    async def _prepared(self) -> None:
        if self._preparing is None:
            self._preparing = asyncio.ensure_future(asyncio.to_thread(self._prepare))
        # Whoever asked first may leave; nothing is loaded before it is known what crashes here.
        await asyncio.shield(self._preparing)

    async def _make_room(self) -> bool:
        unused = [e for e in self._models.values() if not e.windows and e.n_users == 0]
        for each in unused:
            await self._drop(each)
        return bool(unused)

    async def _drop(self, shelved: Shelved) -> None:
        self._models.pop(shelved.model, None)
        await shelved.engine.close()
