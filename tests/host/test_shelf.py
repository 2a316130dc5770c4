"""A model is on the shelf once, whoever leaves while it is loaded; what failed is not there."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tabby_lsp.config import LocalSettings
from tabby_lsp.domain import EngineError, EngineState, EngineStatus
from tabby_lsp.host.model import HostedModel
from tabby_lsp.host.shelf import Shelf
from tabby_lsp.models.memory import DoesNotFit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PATIENCE_S = 60.0  # only against a test that hangs


def model(name: str) -> HostedModel:
    return HostedModel(role="completion", name=name, path=f"/{name}.gguf", local=LocalSettings())


class Engine:
    """Loads when it is told to, as `Resident` does: whoever leaves does not end it."""

    def __init__(self, room: Room, name: str) -> None:
        self._room = room
        self._name = name
        self._loading: asyncio.Future[None] | None = None
        self.state: EngineState = "unloaded"

    @property
    def status(self) -> EngineStatus:
        return EngineStatus(state=self.state, model=self._name)

    async def load(self) -> None:
        if self._loading is None:
            self._loading = asyncio.ensure_future(self._load())
        await asyncio.shield(self._loading)

    async def _load(self) -> None:
        self._room.held.append(self)
        self._room.has_begun.set()
        await self._room.may_end.wait()
        error = self._room.errors.pop(0) if self._room.errors else None
        if error is not None:
            raise error
        self.state = "ready"

    async def close(self) -> None:
        if self in self._room.held:
            self._room.held.remove(self)


class Room:
    """Where engines are made, and which of them hold memory."""

    def __init__(self) -> None:
        self.held: list[Engine] = []
        self.errors: list[EngineError | None] = []
        self.has_begun, self.may_end = asyncio.Event(), asyncio.Event()
        self.n_prepared = 0
        self.is_prepared = threading.Event()
        self.is_prepared.set()
        self.shelf = Shelf(lambda hosted: Engine(self, hosted.name), self._prepare)

    def _prepare(self) -> None:
        self.is_prepared.wait(PATIENCE_S)
        self.n_prepared += 1

    async def use(self, name: str, window: int = 1) -> None:
        async with self.shelf.using(model(name), window):
            pass

    def names(self) -> list[str]:
        return [each.name for each in self.shelf.report()]


def run(story: Callable[[Room], Awaitable[None]]) -> None:
    async def timed() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await story(Room())

    asyncio.run(timed())


async def leave_while_it_is_loaded(room: Room) -> None:
    """The first window asks for `a` and goes; the load goes on to its end."""
    first = asyncio.ensure_future(room.use("a", window=1))
    await room.has_begun.wait()
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    room.shelf.leave(1)
    room.may_end.set()


def test_who_leaves_while_it_is_loaded_leaves_it_to_the_next() -> None:
    async def story(room: Room) -> None:
        await leave_while_it_is_loaded(room)
        await room.use("a", window=2)
        assert (len(room.held), room.names()) == (1, ["a"])

    run(story)


def test_what_nobody_waits_for_any_more_is_given_back() -> None:
    async def story(room: Room) -> None:
        await leave_while_it_is_loaded(room)
        await room.shelf.give_back(0.0, 0.0)
        assert (room.held, room.names()) == ([], [])

    run(story)


def test_what_failed_is_closed_and_tried_again_by_the_next() -> None:
    async def story(room: Room) -> None:
        room.may_end.set()
        room.errors = [EngineError("damaged")]
        with pytest.raises(EngineError, match="damaged"):
            await room.use("a")
        assert (room.held, room.names()) == ([], [])
        await room.use("a")
        assert len(room.held) == 1

    run(story)


def test_what_does_not_fit_takes_the_place_of_what_no_window_uses() -> None:
    async def story(room: Room) -> None:
        room.may_end.set()
        await room.use("unused", window=1)
        await room.use("used", window=2)
        room.shelf.leave(1)
        room.errors = [DoesNotFit("too large"), None]
        await room.use("large", window=2)
        assert room.names() == ["used", "large"]
        assert len(room.held) == 2

    run(story)


@pytest.mark.parametrize("n_failures", [1, 2])
def test_what_does_not_fit_at_all_leaves_nothing_behind(n_failures: int) -> None:
    async def story(room: Room) -> None:
        room.may_end.set()
        if n_failures == 2:
            await room.use("unused")
            room.shelf.leave(1)
        room.errors = [DoesNotFit("too large")] * n_failures
        with pytest.raises(DoesNotFit):
            await room.use("large", window=2)
        assert (room.held, room.names()) == ([], [])

    run(story)


def test_nothing_is_loaded_before_it_is_known_what_crashes_here() -> None:
    """Also where the window that asked first has gone meanwhile."""

    async def story(room: Room) -> None:
        room.may_end.set()
        room.is_prepared.clear()
        first = asyncio.ensure_future(room.use("a"))
        await asyncio.sleep(0.01)
        first.cancel()
        with suppress(asyncio.CancelledError):
            await first
        second = asyncio.ensure_future(room.use("a", window=2))
        await asyncio.sleep(0.01)
        assert room.held == []
        room.is_prepared.set()
        await second
        assert (len(room.held), room.n_prepared) == (1, 1)

    run(story)
