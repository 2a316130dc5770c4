"""One answer of the model for all who ask for a place: the app with an engine fed by hand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tabby_lsp.app import App
from tabby_lsp.config import Settings
from tabby_lsp.domain import EngineError, EngineStatus, Piece, Timings
from tabby_lsp.engines.llama.precedence import Precedence
from tabby_lsp.engines.scripted import ScriptedEngine
from tabby_lsp.request import Ask
from tests.completion.drawn import parse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine

    from tabby_lsp.domain import Decision, GenerationRequest, Shape

# A menu's limit: never reached, reached at once, and reached after what a test does before.
PATIENT_S, AT_ONCE_S, SOON_S = 60.0, 0.01, 1.0


class HandFedEngine:
    """Says what a test feeds it, when the test does; keeps domain.Engine's promise."""

    def __init__(self) -> None:
        self.n_begun = 0
        self.n_stopped = 0
        self.may_stop = asyncio.Event()  # until then, what is stopped has not ended
        self.may_stop.set()
        self._fed: asyncio.Queue[str | Exception | None] = asyncio.Queue()

    @property
    def status(self) -> EngineStatus:
        return EngineStatus(state="ready", model="hand-fed")

    async def load(self) -> None:
        pass

    async def complete(self, request: GenerationRequest) -> AsyncGenerator[Piece, None]:
        self.n_begun += 1
        n_said, is_done = 0, False
        try:
            while (fed := await self._fed.get()) is not None:
                if isinstance(fed, Exception):
                    raise fed
                n_said += 1
                yield Piece(fed, 0.0, Timings(n_generated_tokens=n_said))
            is_done = True
        finally:
            self.n_stopped += not is_done
            await self.may_stop.wait()

    async def close(self) -> None:
        pass

    async def feed(self, *texts: str | Exception | None) -> None:
        """Say the next pieces; None is the end."""
        for text in texts:
            self._fed.put_nowait(text)
        await settle()


async def settle() -> None:
    """Let everything happen that can."""
    for _ in range(20):
        await asyncio.sleep(0)


class Stage:
    """An app with a hand-fed engine, and requests to it."""

    def __init__(self) -> None:
        self.engine = HandFedEngine()
        self.app = App(Settings(), self.engine, ScriptedEngine(()), Precedence())

    async def ask(
        self,
        drawing: str,
        shape: Shape = "ghost-text",
        *,
        automatic: bool = True,
        within_s: float = PATIENT_S,
    ) -> asyncio.Task[str | None]:
        """Ask at `║`, a menu with its limit; the task's result is the completion's text."""
        drawn = parse(drawing)
        ask = Ask(
            uri="untitled:a",
            version=1,
            language="python",
            path=None,
            root=None,
            line=0,
            character=len(drawn.prefix),
            prefix=drawn.prefix,
            suffix=drawn.suffix,
            n_document_chars=len(drawn.prefix + drawn.suffix),
            automatic=automatic,
            shape=shape,
        )

        async def text() -> str | None:
            within = self.app.complete_within(ask, within_s)
            whole = self.app.complete(ask)
            (within if shape == "ghost-text" else whole).close()
            reply = await (whole if shape == "ghost-text" else within)
            return reply.completion.text if reply.completion else None

        task = asyncio.ensure_future(text())
        await settle()
        return task

    @property
    def reasons(self) -> list[str]:
        return [decision.reason for decision in self.app.decisions]

    @property
    def decisions(self) -> list[Decision]:
        return list(self.app.decisions)


def play(scene: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(scene, PATIENT_S))


# One place.


def test_ghost_text_and_menu_ask_the_model_once() -> None:
    async def scene() -> None:
        stage = Stage()
        ghost = await stage.ask("x = ║\n")
        menu = await stage.ask("x = ║\n", "menu")
        await stage.engine.feed("1", None)
        assert (await ghost, await menu) == ("1", "1")
        assert stage.engine.n_begun == 1
        assert stage.reasons == ["line", "cached"]
        assert [d.shape for d in stage.decisions] == ["ghost-text", "menu"]
        assert [d.timings.n_generated_tokens for d in stage.decisions] == [1, 0]

    play(scene())


def test_who_leaves_first_does_not_stop_it_and_who_leaves_last_does() -> None:
    async def scene() -> None:
        stage = Stage()
        first, second = await stage.ask("x = ║\n"), await stage.ask("x = ║\n")
        first.cancel()
        await settle()
        assert stage.engine.n_stopped == 0
        second.cancel()
        await settle()
        assert (stage.engine.n_begun, stage.engine.n_stopped) == (1, 1)
        assert stage.reasons == ["cancelled", "cancelled"]

    play(scene())


def test_who_takes_a_place_in_the_moment_it_is_left_goes_on_with_it() -> None:
    async def scene() -> None:
        stage = Stage()
        first = await stage.ask("x = ║\n")
        first.cancel()
        second = await stage.ask("x = ║\n")
        await stage.engine.feed("1", None)
        assert await second == "1"
        assert (stage.engine.n_begun, stage.engine.n_stopped) == (1, 0)

    play(scene())


@pytest.mark.parametrize("later", ["x = ║\n", "x = s║\n"])
def test_who_comes_while_what_was_left_is_being_stopped_begins_anew(later: str) -> None:
    async def scene() -> None:
        stage = Stage()
        stage.engine.may_stop.clear()
        first = await stage.ask("x = ║\n")
        first.cancel()
        await settle()
        second = await stage.ask(later)
        await stage.engine.feed("um", None)
        stage.engine.may_stop.set()
        assert await second == "um"
        assert (stage.engine.n_begun, stage.engine.n_stopped) == (2, 1)

    play(scene())


def test_nothing_to_say_is_said_to_everybody() -> None:
    async def scene() -> None:
        stage = Stage()
        tasks = [await stage.ask("x = ║\n", automatic=automatic) for automatic in (True, False)]
        await stage.engine.feed(None)
        assert [await task for task in tasks] == [None, None]
        assert stage.engine.n_begun == 1
        assert stage.reasons == ["nothing-to-add", "nothing-to-add"]

    play(scene())


def test_a_failure_is_everybodys_and_the_next_request_begins_anew() -> None:
    async def scene() -> None:
        stage = Stage()
        tasks = [await stage.ask("x = ║\n") for _ in range(2)]
        await stage.engine.feed(EngineError("No."))
        assert [await task for task in tasks] == [None, None]
        assert stage.reasons == ["engine-failed", "engine-failed"]
        again = await stage.ask("x = ║\n")
        await stage.engine.feed("1", None)
        assert await again == "1"

    play(scene())


def test_what_would_be_refused_is_refused_while_others_are_answered() -> None:
    async def scene() -> None:
        stage = Stage()
        asked = await stage.ask("x = ║ + y\n", automatic=False)
        unasked = await stage.ask("x = ║ + y\n")
        assert await unasked is None
        await stage.engine.feed("1", None)
        assert await asked == "1"
        assert stage.reasons == ["code-after-cursor", "line"]

    play(scene())


def test_an_engine_that_is_replaced_leaves_nobody_waiting() -> None:
    async def scene() -> None:
        stage = Stage()
        task = await stage.ask("x = ║\n")
        await stage.app.close()
        assert await task is None
        assert stage.reasons == ["engine-failed"]

    play(scene())


# Typing along.


@pytest.mark.parametrize(
    "later", ["x = su║\n", "x = s║\n", "x = sum(║)\n", "x = sum([║])\n", "x = sum([1║])\n"]
)
def test_typing_what_the_model_is_saying_does_not_disturb_it(later: str) -> None:
    async def scene() -> None:
        stage = Stage()
        first = await stage.ask("x = ║\n")
        await stage.engine.feed("su")
        second = await stage.ask(later)
        first.cancel()
        await stage.engine.feed("m([1]", ")", None)
        typed = parse(later).prefix.removeprefix("x = ")
        assert await second == "sum([1])".removeprefix(typed)
        assert stage.engine.n_begun == 1

    play(scene())


@pytest.mark.parametrize("later", ["x = a║\n", "x = suma║\n", "y = su║\n", "x = ║ #\n", "x =║\n"])
def test_typing_anything_else_begins_anew(later: str) -> None:
    async def scene() -> None:
        stage = Stage()
        first = await stage.ask("x = ║\n")
        await stage.engine.feed("sum(")
        second = await stage.ask(later)
        first.cancel()
        await settle()
        assert (stage.engine.n_begun, stage.engine.n_stopped) == (2, 1)
        second.cancel()

    play(scene())


def test_who_types_ahead_begins_anew_when_the_model_says_something_else() -> None:
    async def scene() -> None:
        stage = Stage()
        first = await stage.ask("x = ║\n")
        second = await stage.ask("x = ma║\n")
        first.cancel()
        await settle()
        assert stage.engine.n_begun == 1
        await stage.engine.feed("mi")
        assert (stage.engine.n_begun, stage.engine.n_stopped) == (2, 1)
        await stage.engine.feed("x(y)", None)
        assert await second == "x(y)"

    play(scene())


# The menu's limit.


def test_a_menu_is_answered_in_time_and_the_next_key_finds_the_rest() -> None:
    async def scene() -> None:
        stage = Stage()
        assert await (await stage.ask("x = ║\n", "menu", within_s=AT_ONCE_S)) is None
        await stage.engine.feed("sum", "(y)", None)
        assert await (await stage.ask("x = s║\n", "menu")) == "um(y)"
        assert stage.engine.n_begun == 1
        assert stage.reasons == ["not-yet", "cached"]

    play(scene())


def test_a_menu_shows_the_lines_that_are_there() -> None:
    async def scene() -> None:
        stage = Stage()
        menu = await stage.ask("def f(x):║\n", "menu", within_s=SOON_S)
        await stage.engine.feed("\n    if x:", "\n        return")
        assert await menu == "\n    if x:"
        again = await stage.ask("def f(x):\n    ║\n", "menu", within_s=AT_ONCE_S)
        assert await again == "if x:"
        await stage.engine.feed(" 1", None)
        assert await (await stage.ask("def f(x):\n    i║\n", "menu")) == "f x:\n        return 1"
        assert stage.reasons == ["first-lines", "first-lines", "cached"]
        assert stage.engine.n_begun == 1

    play(scene())


@pytest.mark.parametrize("shape", ["menu", "ghost-text"])
def test_what_goes_on_for_a_menu_ends_when_another_place_is_asked_for(shape: Shape) -> None:
    async def scene() -> None:
        stage = Stage()
        await (await stage.ask("x = ║\n", "menu", within_s=AT_ONCE_S))
        assert stage.engine.n_stopped == 0
        other = await stage.ask("y = ║\n", shape)
        assert (stage.engine.n_begun, stage.engine.n_stopped) == (2, 1)
        other.cancel()

    play(scene())


def test_what_goes_on_for_a_menu_ends_with_the_document() -> None:
    async def scene() -> None:
        stage = Stage()
        await (await stage.ask("x = ║\n", "menu", within_s=AT_ONCE_S))
        stage.app.closed("untitled:a")
        await settle()
        assert (stage.engine.n_begun, stage.engine.n_stopped) == (1, 1)

    play(scene())


def test_a_menu_that_is_cancelled_in_time_stops_the_model() -> None:
    async def scene() -> None:
        stage = Stage()
        menu = await stage.ask("x = ║\n", "menu")
        menu.cancel()
        await settle()
        assert (stage.engine.n_begun, stage.engine.n_stopped) == (1, 1)
        assert stage.reasons == ["cancelled"]

    play(scene())


def test_a_failure_after_the_limit_is_nobodys_error() -> None:
    async def scene() -> None:
        stage = Stage()
        await (await stage.ask("x = ║\n", "menu", within_s=AT_ONCE_S))
        await stage.engine.feed(EngineError("No."))
        assert stage.reasons == ["not-yet"]

    play(scene())
