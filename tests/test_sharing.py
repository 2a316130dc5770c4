"""One answer of the model for all who ask for a place: the app with an engine fed by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tabby_lsp.domain import EngineError
from tests.completion.drawn import parse
from tests.staged import AT_ONCE_S, SOON_S, Stage, play, settle

if TYPE_CHECKING:
    from tabby_lsp.domain import Shape

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


def test_of_old_decisions_no_texts_are_kept() -> None:
    async def scene() -> None:
        stage = Stage()
        for number in range(105):
            asked = await stage.ask(f"x{number} = ║\n")
            await stage.engine.feed("1", None)
            await asked
        prefixes = [d.segments.prefix for d in stage.decisions if d.segments is not None]
        assert prefixes[:5] == [""] * 5
        assert prefixes[5:] == [f"x{number} = " for number in range(5, 105)]

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
        tasks = [await stage.ask("x = ║\n") for _ in range(2)]
        await stage.engine.feed(None)
        assert [await task for task in tasks] == [None, None]
        assert stage.engine.n_begun == 1
        assert stage.reasons == ["nothing-to-add", "nothing-to-add"]

    play(scene())


def test_who_asks_explicitly_does_not_make_do_with_what_is_made_unasked() -> None:
    async def scene() -> None:
        stage = Stage()
        unasked = await stage.ask("x = ║\n")
        asked = await stage.ask("x = ║\n", automatic=False)
        assert [request.n_candidates for request in stage.engine.asked] == [1, 3]
        unasked.cancel()
        asked.cancel()

    play(scene())


def test_who_asks_for_nothing_special_takes_what_somebody_has_asked_for() -> None:
    async def scene() -> None:
        stage = Stage()
        asked = await stage.ask("x = ║\n", automatic=False)
        unasked = await stage.ask("x = ║\n")
        await stage.engine.feed("1", None)
        assert (await asked, await unasked) == ("1", "1")
        assert stage.engine.n_begun == 1

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


def test_deleting_back_goes_on_with_what_is_still_being_said() -> None:
    async def scene() -> None:
        stage = Stage()
        earlier = await stage.ask("x = ║\n")
        await stage.engine.feed("su")
        for later in ("x = s║\n", "x = su║\n", "x = sum║\n", "x = su║\n", "x = s║\n"):
            newer = await stage.ask(later)
            earlier.cancel()
            earlier = newer
        await stage.engine.feed("m(y)", None)
        assert await earlier == "um(y)"
        assert (stage.engine.n_begun, stage.engine.n_stopped) == (1, 0)

    play(scene())


@pytest.mark.parametrize(
    ("before", "later", "said"),
    [
        ("x = sum(║)\n", "x = sum(y)║\n", "y) + 1"),
        ('x = {"║"}\n', 'x = {"a"║}\n', 'a": 1'),
        (
            "def f(x):║\n",
            "def f(x):\n    return g(\n        ║\n    )\n",
            "\n    return g(\n        x\n    )",
        ),
        ("if x:\n    ║\n", "if x:\n    f(y)║\n", "f(y) + 1"),
    ],
    ids=["over a bracket", "over a quote", "enter in a pair", "faster than the model"],
)
def test_closers_of_the_editor_do_not_disturb_it(before: str, later: str, said: str) -> None:
    async def scene() -> None:
        stage = Stage()
        first = await stage.ask(before)
        second = await stage.ask(later)
        first.cancel()
        await settle()
        await stage.engine.feed(said)
        assert (stage.engine.n_begun, stage.engine.n_stopped) == (1, 0)
        second.cancel()

    play(scene())


def test_a_window_that_has_slid_does_not_disturb_it() -> None:
    async def scene() -> None:
        stage = Stage()
        body = "".join(f"line_{number}()\n" for number in range(60))
        first = await stage.ask(f"{body}x = ║\n")
        await stage.engine.feed("su")
        second = await stage.ask(f"{body[200:]}x = s║\n")
        first.cancel()
        await stage.engine.feed("m(y)", None)
        assert await second == "um(y)"
        assert stage.engine.n_begun == 1

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
