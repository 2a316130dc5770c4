"""Models that are exchanged while requests run."""

from __future__ import annotations

import asyncio

import pytest

from tabby_lsp.domain import EngineError, EngineStatus
from tabby_lsp.rack import MAX_WAITING, Busy, NotLoaded, Rack, Role


class Model:
    """An engine that only knows whether it was loaded and closed."""

    def __init__(self, role: Role, name: str) -> None:
        self.status = EngineStatus(state="unloaded", model=name)
        self.role = role
        self.is_closed = False

    async def load(self) -> None:
        if self.status.model == "broken":
            raise EngineError("it is broken")
        await asyncio.sleep(0)

    async def close(self) -> None:
        self.is_closed = True


def test_a_model_answers_for_its_role() -> None:
    async def work() -> None:
        rack = Rack(Model)
        await rack.put("chat", "a")
        async with rack.using("chat") as model:
            assert (model.status.model, model.role) == ("a", "chat")
        assert rack.role_of("A") == "chat"

    asyncio.run(work())


def test_without_a_model_it_is_said_so() -> None:
    async def work() -> None:
        with pytest.raises(NotLoaded):
            async with Rack(Model).using("completion"):
                pass

    asyncio.run(work())


def test_a_request_keeps_the_model_it_began_with() -> None:
    async def work() -> None:
        rack = Rack(Model)
        await rack.put("chat", "old")
        async with rack.using("chat") as old:
            await rack.put("chat", "new")
            await asyncio.sleep(0.01)
            assert not old.is_closed
            async with rack.using("chat") as new:
                assert new.status.model == "new"
        await asyncio.sleep(0.01)
        assert old.is_closed

    asyncio.run(work())


def test_a_model_that_cannot_be_loaded_changes_nothing() -> None:
    async def work() -> None:
        rack = Rack(Model)
        await rack.put("chat", "good")
        with pytest.raises(EngineError, match="broken"):
            await rack.put("chat", "broken")
        assert rack.name("chat") == "good"

    asyncio.run(work())


def test_a_model_that_is_taken_away_answers_nobody_new() -> None:
    async def work() -> None:
        rack = Rack(Model)
        await rack.put("chat", "a")
        async with rack.using("chat") as model:
            await rack.take("chat")
            with pytest.raises(NotLoaded):
                async with rack.using("chat"):
                    pass
            assert not model.is_closed
        await asyncio.sleep(0.01)
        assert model.is_closed
        with pytest.raises(NotLoaded):
            await rack.take("chat")

    asyncio.run(work())


def test_the_queue_is_bounded() -> None:
    async def work() -> None:
        rack = Rack(Model)
        await rack.put("chat", "a")
        contexts = [rack.using("chat") for _ in range(MAX_WAITING)]
        for context in contexts:
            await context.__aenter__()
        with pytest.raises(Busy):
            async with rack.using("chat"):
                pass
        for context in contexts:
            await context.__aexit__(None, None, None)
        assert rack.n_users("chat") == 0

    asyncio.run(work())
