"""Models that are exchanged while requests run."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.domain import EngineError, EngineStatus
from tabby_lsp.models.memory import DoesNotFit
from tabby_lsp.rack import MAX_WAITING, Busy, Exchanged, Fit, NotLoaded, Rack, Role


class Model:
    """An engine that only knows whether it was loaded and closed."""

    def __init__(self, role: Role, name: str, fit: Fit) -> None:
        self.fit = fit
        self.status = EngineStatus(state="unloaded", model=name)
        self.role = role
        self.is_closed = False

    async def load(self) -> None:
        if self.status.model == "broken":
            raise EngineError("it is broken")
        await asyncio.sleep(0)

    async def close(self) -> None:
        self.is_closed = True


async def settle() -> None:
    """Let everything happen that can."""
    for _ in range(20):
        await asyncio.sleep(0)


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
            await settle()
            assert not old.is_closed
            async with rack.using("chat") as new:
                assert new.status.model == "new"
        await asyncio.gather(*rack._leaving)
        assert old.is_closed

    asyncio.run(work())


def test_a_model_is_loaded_anew_where_it_is_to_be_loaded_otherwise() -> None:
    async def work() -> None:
        rack = Rack(Model)
        await rack.put("chat", "a")
        models = []
        for n_ctx in (0, 512, 512, 1_024):
            await rack.put("chat", "a", Fit(n_ctx=n_ctx))
            async with rack.using("chat") as model:
                models.append(model)
        assert [model.fit.n_ctx for model in models] == [0, 512, 512, 1_024]
        assert models[1] is models[2]
        await asyncio.gather(*rack._leaving)
        assert [model.is_closed for model in models] == [True, True, True, False]

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
        await asyncio.gather(*rack._leaving)
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
        async with rack.using("chat", is_typing=True):
            pass
        for context in contexts:
            await context.__aexit__(None, None, None)
        assert rack.n_users("chat") == 0

    asyncio.run(work())


# Memory for so many models.


class Room:
    """Holds so many models; knows which are there."""

    def __init__(self, n_places: int) -> None:
        self.n_places = n_places
        self.there: set[Tenant] = set()
        self.was_full = asyncio.Event()

    def make(self, role: Role, name: str, fit: Fit) -> Tenant:
        return Tenant(role, name, fit, self)


class Tenant(Model):
    """A model that takes up a place, and is asked only while it has it."""

    def __init__(self, role: Role, name: str, fit: Fit, room: Room) -> None:
        super().__init__(role, name, fit)
        self._room = room
        self.n_users = 0

    async def load(self) -> None:
        await super().load()
        if len(self._room.there) >= self._room.n_places or self.status.model == "huge":
            self._room.was_full.set()
            raise DoesNotFit(f"{self.status.model} does not fit")
        self._room.there.add(self)

    async def answer(self, n_steps: int) -> None:
        self.n_users += 1
        try:
            for _ in range(n_steps):
                assert self in self._room.there, "asked without being there"
                await asyncio.sleep(0)
        finally:
            self.n_users -= 1

    async def close(self) -> None:
        assert not self.n_users, "given back while it was asked"
        self._room.there.discard(self)
        await super().close()


def test_without_memory_for_both_the_old_model_ends_its_work_and_goes_first() -> None:
    async def work() -> None:
        room = Room(1)
        rack = Rack(room.make)
        await rack.put("chat", "old")
        async with rack.using("chat") as old:
            exchange = asyncio.ensure_future(rack.put("chat", "new"))
            await room.was_full.wait()
            for _ in range(10):  # Turns enough for another try, which would fail.
                await asyncio.to_thread(lambda: None)
            assert old in room.there
            with pytest.raises(Exchanged):
                async with rack.using("chat"):
                    pass
        await exchange
        assert rack.name("chat") == "new"
        assert len(room.there) == 1

    asyncio.run(work())


def test_a_model_that_never_fits_gives_the_old_one_back() -> None:
    async def work() -> None:
        room = Room(1)
        rack = Rack(room.make)
        await rack.put("chat", "old")
        with pytest.raises(DoesNotFit, match="huge"):
            await rack.put("chat", "huge")
        async with rack.using("chat") as model:
            await model.answer(1)
            assert model.status.model == "old"

    asyncio.run(work())


def test_who_is_cancelled_while_others_leave_leaves_them_alone() -> None:
    async def work() -> None:
        room = Room(1)
        rack = Rack(room.make)
        await rack.put("chat", "old")
        async with rack.using("chat") as old:
            waiting = asyncio.ensure_future(rack.put("embedding", "new"))
            exchange = asyncio.ensure_future(rack.put("chat", "other"))
            await settle()
            for each in (waiting, exchange):
                each.cancel()
                await settle()
            await old.answer(3)

    asyncio.run(work())


def test_a_copy_goes_with_what_it_is_a_copy_of() -> None:
    async def work() -> None:
        room = Room(10)
        rack = Rack(room.make)
        await rack.put("chat", "a")
        await rack.copy("embedding", "chat")
        assert (rack.name("embedding"), rack.is_copy("embedding")) == ("a", True)
        await rack.put("chat", "a", Fit(n_ctx=7))
        assert rack.name("embedding") == "a"
        await rack.put("chat", "b")
        assert rack.name("embedding") == ""
        await rack.copy("embedding", "chat")
        await rack.take("chat")
        await settle()
        assert (rack.name("embedding"), len(room.there)) == ("", 0)

    asyncio.run(work())


def test_a_model_of_ones_own_for_vectors_stays() -> None:
    async def work() -> None:
        rack = Rack(Model)
        await rack.put("chat", "a")
        await rack.put("embedding", "a")
        await rack.put("chat", "b")
        assert (rack.name("embedding"), rack.is_copy("embedding")) == ("a", False)

    asyncio.run(work())


def test_what_was_loaded_last_is_the_latest() -> None:
    async def work() -> None:
        rack = Rack(Model)
        assert rack.latest() is None
        await rack.put("completion", "a")
        await rack.put("chat", "b")
        await rack.put("embedding", "c")
        assert rack.latest() == "chat"
        await rack.put("completion", "a")
        assert rack.latest() == "completion"
        await rack.take("completion")
        assert rack.latest() == "chat"

    asyncio.run(work())


_ROLES: list[Role] = ["completion", "chat"]
_NAMES = ["a", "b", "c", "broken", "huge"]
_CHANGES = st.tuples(st.sampled_from(_ROLES), st.sampled_from([*_NAMES, None]), st.integers(0, 3))
_ASKED = st.tuples(st.sampled_from(_ROLES), st.integers(0, 4), st.integers(0, 4))


@given(st.integers(1, 3), st.lists(_CHANGES, max_size=8), st.lists(_ASKED, max_size=12))
def test_whatever_is_exchanged_meanwhile_everybody_is_answered_or_refused(
    n_places: int,
    changes: list[tuple[Role, str | None, int]],
    asked: list[tuple[Role, int, int]],
) -> None:
    async def change(rack: Rack, role: Role, name: str | None, n_waits: int) -> None:
        for _ in range(n_waits):
            await asyncio.sleep(0)
        try:
            await (rack.put(role, name) if name else rack.take(role))
        except EngineError:
            pass

    async def ask(rack: Rack, role: Role, n_waits: int, n_steps: int) -> None:
        for _ in range(n_waits):
            await asyncio.sleep(0)
        try:
            async with rack.using(role) as model:
                await model.answer(n_steps)
        except (NotLoaded, Busy, Exchanged):
            pass

    async def work() -> None:
        room = Room(n_places)
        rack = Rack(room.make)
        changing = (change(rack, *each) for each in changes)
        asking = (ask(rack, *each) for each in asked)
        await asyncio.wait_for(asyncio.gather(*changing, *asking), 60)
        for role in _ROLES:
            if rack.name(role):
                await rack.take(role)
        await asyncio.gather(*rack._leaving)
        assert not room.there

    asyncio.run(work())
