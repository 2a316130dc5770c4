"""Every window has its share of the model."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tabby_lsp.host.turns import Superseded, Turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def run(story: Callable[[Turns], Awaitable[None]]) -> None:
    async def timed() -> None:
        async with asyncio.timeout(10):
            await story(Turns())

    asyncio.run(timed())


def test_a_window_that_asks_all_the_time_does_not_starve_another() -> None:
    served: Counter[int] = Counter()

    async def story(turns: Turns) -> None:
        async def greedy(document: int) -> None:
            while served[2] < 20:
                async with turns.turn(1, f"{document}", is_ahead=False):
                    await asyncio.sleep(0)
                    served[1] += 1

        async def modest() -> None:
            for _ in range(20):
                async with turns.turn(2, "a", is_ahead=False):
                    await asyncio.sleep(0)
                    served[2] += 1

        await asyncio.gather(*(greedy(n) for n in range(30)), modest())

    run(story)
    # By turns, but for the first.
    assert served[1] <= served[2] + 32


def test_one_request_has_the_model_at_a_time() -> None:
    most = running = 0

    async def story(turns: Turns) -> None:
        async def ask(window: int) -> None:
            nonlocal most, running
            async with turns.turn(window, "", is_ahead=False):
                running += 1
                most = max(most, running)
                await asyncio.sleep(0.001)
                running -= 1

        await asyncio.gather(*(ask(n % 3) for n in range(12)))

    run(story)
    assert most == 1


def test_of_the_requests_for_one_document_that_wait_the_oldest_makes_way() -> None:
    order: list[str] = []

    async def story(turns: Turns) -> None:
        async def ask(name: str, window: int, document: str) -> None:
            try:
                async with turns.turn(window, document, is_ahead=False):
                    order.append(name)
                    await asyncio.sleep(0.01)
            except Superseded:
                order.append(f"no {name}")

        asked = [
            asyncio.ensure_future(ask(*each))
            for each in [
                ("first", 1, "a"),
                ("oldest", 1, "a"),
                ("another's", 2, "a"),
                ("older", 1, "a"),
                ("newer", 1, "a"),
                ("other", 1, "b"),
            ]
        ]
        await asyncio.gather(*asked)

    run(story)
    assert sorted(order) == ["another's", "first", "newer", "no oldest", "older", "other"]


def test_what_is_prepared_ahead_makes_way_for_whoever_waits() -> None:
    order: list[str] = []

    async def story(turns: Turns) -> None:
        async def ahead() -> None:
            with pytest.raises(Superseded):
                async with turns.turn(1, "a", is_ahead=True):
                    order.append("ahead")
                    await asyncio.sleep(60)

        async def waiting() -> None:
            await asyncio.sleep(0.01)
            async with turns.turn(2, "b", is_ahead=False):
                order.append("asked")

        await asyncio.gather(ahead(), waiting())

    run(story)
    assert order == ["ahead", "asked"]


def test_whoever_leaves_the_queue_or_fails_lets_the_next_one_in() -> None:
    async def story(turns: Turns) -> None:
        async def fail() -> None:
            with pytest.raises(ValueError, match="broken"):
                async with turns.turn(1, "", is_ahead=False):
                    raise ValueError("broken")

        async def ask() -> None:
            async with turns.turn(2, "", is_ahead=False):
                pass

        async with turns.turn(3, "", is_ahead=False):
            leaving = asyncio.ensure_future(ask())
            await asyncio.sleep(0)
            leaving.cancel()
            failing = asyncio.ensure_future(fail())
            await asyncio.sleep(0)
        await failing
        await ask()
        assert turns.n_waiting == 0

    run(story)
