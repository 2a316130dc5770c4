"""The next answer is prepared while one is shown: the app with an engine fed by hand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tabby_lsp import ahead
from tabby_lsp.config import CompletionSettings, Settings
from tabby_lsp.domain import EngineError
from tests.staged import Stage, play, settle

if TYPE_CHECKING:
    from typing import Literal

AUTO = CompletionSettings()
SHOWN = "x = ║\n"  # is answered with "1"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "PAUSE_S", 0)


async def shown(stage: Stage) -> None:
    """A line is shown, and the next one is asked for ahead."""
    task = await stage.ask(SHOWN)
    await stage.engine.feed("1", None)
    assert await task == "1"
    await settle()


def test_the_next_line_is_there_when_the_first_one_is_accepted() -> None:
    async def scene() -> None:
        stage = Stage(AUTO)
        await shown(stage)
        prepared = stage.engine.asked[-1]
        assert (prepared.segments.prefix, prepared.segments.suffix) == ("x = 1\n", "\n")
        assert [request.is_ahead for request in stage.engine.asked] == [False, True]
        await stage.engine.feed("", "y = 2", None)
        assert await (await stage.ask("x = 1║\n")) is None
        assert await (await stage.ask("x = 1\n║\n")) == "y = 2"
        assert stage.reasons == ["line", "cached-nothing", "cached"]
        # And that one is shown now, so the one after it is prepared.
        await settle()
        assert stage.engine.asked[-1].segments.prefix == "x = 1\ny = 2\n"
        assert stage.engine.n_begun == 3
        stage.app.closed("untitled:a")

    play(scene())


def test_typing_along_prepares_once_and_disturbs_nothing() -> None:
    async def scene() -> None:
        stage = Stage(AUTO)
        task = await stage.ask("x = ║\n")
        await stage.engine.feed("sum(y)", None)
        await task
        await settle()
        for typed, rest in (("s", ""), ("su", ""), ("sum(", ")"), ("sum(y", ")"), ("sum", "")):
            assert await (await stage.ask(f"x = {typed}║{rest}\n")) == "sum(y)".removeprefix(typed)
        await stage.engine.feed("z", None)
        for end in ("x = sum(y║)\n", "x = sum(y)║\n"):
            await (await stage.ask(end))
        assert await (await stage.ask("x = sum(y)\n║\n")) == "z"
        assert [request.is_ahead for request in stage.engine.asked[:2]] == [False, True]
        assert stage.engine.n_stopped == 0
        assert set(stage.reasons[1:]) == {"cached", "cached-nothing"}
        stage.app.closed("untitled:a")

    play(scene())


@pytest.mark.parametrize("elsewhere", ["x = 2║\n", "y = ║\n", "║\nx = 1\n", "x = 1║ + 2\n"])
def test_a_request_that_does_not_lead_to_it_ends_it(elsewhere: str) -> None:
    async def scene() -> None:
        stage = Stage(AUTO)
        await shown(stage)
        task = await stage.ask(elsewhere)
        await settle()
        assert stage.engine.n_stopped == 1
        task.cancel()

    play(scene())


def test_who_asks_before_it_has_begun_does_not_wait_for_it() -> None:
    async def scene() -> None:
        stage = Stage(AUTO)
        await shown(stage)
        asked = await stage.ask("x = 1\n║\n")
        assert [request.is_ahead for request in stage.engine.asked] == [False, True, False]
        await stage.engine.feed(..., "y", None)
        assert await asked == "y"
        stage.app.closed("untitled:a")

    play(scene())


def test_who_asks_when_it_has_begun_goes_on_with_it() -> None:
    async def scene() -> None:
        stage = Stage(AUTO)
        await shown(stage)
        await stage.engine.feed("y =")
        asked = await stage.ask("x = 1\n║\n")
        await stage.engine.feed("", " 2", None)
        assert await asked == "y = 2"
        assert stage.reasons == ["line", "cached"]
        stage.app.closed("untitled:a")

    play(scene())


def test_what_gives_way_is_forgotten_and_asked_for_anew() -> None:
    async def scene() -> None:
        stage = Stage(AUTO)
        await shown(stage)
        await stage.engine.feed("y =")
        asked = await stage.ask("x = 1\n║\n")
        await stage.engine.feed(...)
        assert stage.engine.n_begun == 3
        await stage.engine.feed("z", None)
        assert await asked == "z"
        assert stage.reasons == ["line", "line"]
        stage.app.closed("untitled:a")

    play(scene())


def test_a_line_that_opens_a_block_is_followed_by_its_body_at_once() -> None:
    async def scene() -> None:
        stage = Stage(AUTO)
        task = await stage.ask("if x║\n")
        await stage.engine.feed(" > 1:", None)
        assert await task == " > 1:"
        await settle()
        await stage.engine.feed("\n    f(x)", None)
        assert await (await stage.ask("if x > 1:║\n")) == "\n    f(x)"
        assert stage.reasons == ["line", "cached"]
        stage.app.closed("untitled:a")

    play(scene())


def test_what_is_not_found_is_said_to_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        stage = Stage(AUTO)
        await shown(stage)
        await stage.engine.feed(EngineError("No."))
        assert stage.reasons == ["line"]

    play(scene())
    assert not caplog.records


@pytest.mark.parametrize("end", ["closed", "other settings", "shutdown"])
def test_nothing_goes_on_when_the_document_or_the_app_is_gone(end: str) -> None:
    async def scene() -> None:
        stage = Stage(AUTO)
        await shown(stage)
        if end == "closed":
            stage.app.closed("untitled:a")
        elif end == "shutdown":
            await stage.app.close()
        else:
            await stage.app.apply(Settings(completion=CompletionSettings(max_tokens=5)))
        await settle()
        assert (stage.engine.n_begun, stage.engine.n_stopped) == (2, 1)

    play(scene())


def test_another_document_being_closed_ends_nothing() -> None:
    async def scene() -> None:
        stage = Stage(AUTO)
        await shown(stage)
        stage.app.closed("untitled:b")
        await settle()
        assert stage.engine.n_stopped == 0
        stage.app.closed("untitled:a")

    play(scene())


@pytest.mark.parametrize(
    ("wanted", "is_remote", "n_begun"),
    [("auto", False, 2), ("auto", True, 1), ("always", True, 2), ("never", False, 1)],
)
def test_where_it_is_done(
    wanted: Literal["auto", "always", "never"], is_remote: bool, n_begun: int
) -> None:
    async def scene() -> None:
        stage = Stage(CompletionSettings(ahead=wanted, debounce_ms=1), is_remote=is_remote)
        task = asyncio.ensure_future(shown(stage))
        await asyncio.sleep(0.05)
        await settle()
        await task
        assert stage.engine.n_begun == n_begun
        stage.app.closed("untitled:a")

    play(scene())


def test_nothing_is_begun_while_somebody_types_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "PAUSE_S", 3600)

    async def scene() -> None:
        stage = Stage(AUTO)
        await shown(stage)
        await (await stage.ask("x = 1║\n"))
        assert stage.engine.n_begun == 1
        stage.app.closed("untitled:a")

    play(scene())


def test_a_line_cut_off_by_the_limit_is_gone_on_with() -> None:
    async def scene() -> None:
        stage = Stage(AUTO)
        task = await stage.ask("x = ║\n")
        await stage.engine.feed("a + ", "b", 0)
        assert await task == "a + b"
        await settle()
        assert stage.engine.asked[-1].segments.prefix == "x = a + b"
        stage.app.closed("untitled:a")

    play(scene())
