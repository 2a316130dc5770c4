"""Which model answers what, one for each role, and how it is exchanged while requests run.

A model is exchanged by loading the next one beside it, so that somebody always answers. Where the
memory does not hold both, the old one ends what it has begun and goes first; who asks in between
is told to ask again.

Invariant: a model is given back when the last request that uses it has ended, and not before; one
model is loaded at a time, since each is weighed against the memory that is free.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from tabby_lsp.config import names_a_file
from tabby_lsp.domain import EngineError
from tabby_lsp.models.memory import DoesNotFit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tabby_lsp.domain import EngineStatus

Role = Literal["completion", "chat", "embedding"]
ROLES: tuple[Role, ...] = get_args(Role)


class NotLoaded(EngineError):
    """No model is there for what was asked; the text says how to get one."""


class Busy(EngineError):
    """Too many wait already."""


class Exchanged(EngineError):
    """One model has gone and the next is not there yet."""


class Loadable(Protocol):
    """What all engines have in common."""

    @property
    def status(self) -> EngineStatus: ...
    async def load(self) -> None: ...
    async def close(self) -> None: ...


# Others wait longer than anybody's patience.
MAX_WAITING = 32
# Kept for those who type, however many others wait.
MAX_TYPING = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How a model is loaded where somebody says so; else as the settings have it."""

    n_ctx: int = 0  # tokens that it holds in mind; 0 for as the settings have it
    n_ubatch: int = 0  # tokens of a prompt that it reads in one go; likewise
    is_on_processor: bool = False  # whatever else there is


AS_SET = Fit()


@dataclass(eq=False, slots=True)
class _Place:
    """One engine, and how many use it."""

    asked: str  # what it was asked for by: a name, or a path
    fit: Fit
    name: str  # what it is called by clients, who are told no path
    engine: Any
    copy_of: Role | None = None  # whose model it is once more, and with which it goes
    n_users: int = 0
    is_free: asyncio.Event = field(default_factory=asyncio.Event)


class Rack:
    """Lives as long as the server; `make` builds the engine of a role by its model's name."""

    def __init__(self, make: Callable[[Role, str, Fit], Loadable]) -> None:
        self._make = make
        self._places: dict[Role, _Place] = {}  # what was loaded last stands last
        self._changing = asyncio.Lock()
        self._between: set[Role] = set()  # whose old model has gone and whose new one loads
        self._leaving: set[asyncio.Task[None]] = set()

    def name(self, role: Role) -> str:
        """The model that answers; "" where there is none."""
        place = self._places.get(role)
        return place.name if place else ""

    def asked(self, role: Role) -> str:
        """What that model was asked for by, with which it can be asked for again."""
        place = self._places.get(role)
        return place.asked if place else ""

    def is_copy(self, role: Role) -> bool:
        """Whether that model is there for another role, and for this one besides."""
        place = self._places.get(role)
        return place is not None and place.copy_of is not None

    def status(self, role: Role) -> EngineStatus | None:
        """What its engine says of itself."""
        place = self._places.get(role)
        return place.engine.status if place else None

    def n_users(self, role: Role) -> int:
        """How many requests run or wait."""
        place = self._places.get(role)
        return place.n_users if place else 0

    def latest(self) -> Role | None:
        """Whose model was loaded last, of those that generate."""
        generating = (role for role in reversed(self._places) if role != "embedding")
        return next(generating, None)

    def role_of(self, name: str) -> Role | None:
        """What a loaded model is for, by its name in whatever case."""
        found = (role for role in ROLES if self.name(role).lower() == name.lower())
        return next(found, None) if name else None

    @asynccontextmanager
    async def using(self, role: Role, *, is_typing: bool = False) -> AsyncIterator[Any]:
        """The engine of a role, which stays until this is left; raises NotLoaded and Busy.

        `is_typing` where somebody at a keyboard waits for it.
        """
        place = self._places.get(role)
        if place is None and role in self._between:
            raise Exchanged(f"The {role} model is being exchanged: try again.")
        if place is None:
            raise NotLoaded(f"No {role} model is loaded: start the server with one.")
        if place.n_users >= MAX_WAITING + (MAX_TYPING if is_typing else 0):
            raise Busy("Too many requests wait for this model: try again.")
        place.n_users += 1
        try:
            yield place.engine
        finally:
            place.n_users -= 1
            if not place.n_users:
                place.is_free.set()

    async def put(self, role: Role, name: str, fit: Fit = AS_SET) -> None:
        """Have another model answer; requests that run end with the one they have.

        Raises EngineError where it cannot be loaded, and everything stays as it was.
        """
        await self._put(role, name, fit, None)

    async def copy(self, role: Role, source: Role) -> None:
        """Have the model of `source` answer for `role` too, for as long as it is there."""
        await self._put(role, self.asked(source), AS_SET, source)

    async def _put(self, role: Role, name: str, fit: Fit, copy_of: Role | None) -> None:
        async with self._changing:
            old = self._places.get(role)
            if old is not None and (old.asked, old.fit) == (name, fit):
                self._stand(role, old)
                return
            try:
                new = await self._loaded(role, name, fit, copy_of)
            except DoesNotFit:
                if old is None and not self._leaving:
                    raise
                await self._put_after(role, name, fit, old, copy_of)
            else:
                self._stand(role, new)
                self._dismiss(old)

    async def take(self, role: Role) -> None:
        """Have nobody answer any more; raises NotLoaded where nobody did."""
        async with self._changing:
            old = self._places.pop(role, None)
            if old is None:
                raise NotLoaded(f"No {role} model is loaded.")
            self._dismiss(old)
            self._dismiss_copies(role, "")

    async def _loaded(self, role: Role, name: str, fit: Fit, copy_of: Role | None) -> _Place:
        engine = await asyncio.to_thread(self._make, role, name, fit)
        try:
            await engine.load()
        except BaseException:
            await engine.close()
            raise
        return _Place(name, fit, called(name), engine, copy_of)

    async def _put_after(
        self, role: Role, name: str, fit: Fit, old: _Place | None, copy_of: Role | None
    ) -> None:
        """Load when all that leaves has gone; where that fails, the old model comes back."""
        self._between.add(role)
        try:
            self._dismiss(self._places.pop(role, None))
            # Not `gather`: who is cancelled here would take the others' answers along.
            if self._leaving:
                await asyncio.wait(set(self._leaving))
            try:
                new = await self._loaded(role, name, fit, copy_of)
            except EngineError:
                if old is not None:
                    with suppress(EngineError):
                        again = await self._loaded(role, old.asked, old.fit, old.copy_of)
                        self._stand(role, again)
                raise
            self._stand(role, new)
        finally:
            self._between.discard(role)

    def _stand(self, role: Role, place: _Place) -> None:
        self._places.pop(role, None)
        self._places[role] = place
        self._dismiss_copies(role, place.asked)

    def _dismiss_copies(self, source: Role, asked: str) -> None:
        """Of a model that has gone, where now another one stands, or none."""
        for role, place in list(self._places.items()):
            if place.copy_of == source and place.asked != asked:
                self._dismiss(self._places.pop(role))

    async def close(self) -> None:
        """Give everything back, whatever runs."""
        for task in self._leaving:
            task.cancel()
        places, self._places = list(self._places.values()), {}
        await asyncio.gather(*(place.engine.close() for place in places))

    def _dismiss(self, place: _Place | None) -> None:
        if place is not None:
            task = asyncio.ensure_future(_leave(place))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)


def called(name: str) -> str:
    """What clients call a model that was asked for by its name, or by a path."""
    return Path(name).stem if names_a_file(name) else name


async def _leave(place: _Place) -> None:
    try:
        if place.n_users:
            place.is_free.clear()
            await place.is_free.wait()
    finally:
        await place.engine.close()
