"""What a thread hands over is called on the event loop: once, in its order, and at once."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading

import pytest

from tabby_lsp.engines.llama.bell import bell_of

N_RESULTS = 5_000
PATIENCE_S = 60.0  # only against a test that hangs


def n_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_all_arrives_in_its_order_on_the_loops_thread() -> None:
    heard: list[tuple[str, int]] = []
    threads: set[threading.Thread] = set()

    async def listen() -> None:
        is_all = asyncio.Event()

        def hear(result: tuple[str, int]) -> None:
            heard.append(result)
            threads.add(threading.current_thread())
            if len(heard) == 2 * N_RESULTS:
                is_all.set()

        bell = bell_of(asyncio.get_running_loop())

        def hand_over(name: str) -> None:
            for number in range(N_RESULTS):
                bell.call_soon(hear, (name, number))

        workers = [threading.Thread(target=hand_over, args=(name,)) for name in "ab"]
        for worker in workers:
            worker.start()
        await asyncio.wait_for(is_all.wait(), PATIENCE_S)
        for worker in workers:
            worker.join()

    asyncio.run(listen())
    for name in "ab":
        assert [number for who, number in heard if who == name] == [*range(N_RESULTS)]
    assert threads == {threading.main_thread()}


def test_a_loop_that_does_nothing_else_is_woken() -> None:
    async def listen() -> str:
        heard: asyncio.Queue[str] = asyncio.Queue()
        bell = bell_of(asyncio.get_running_loop())
        threading.Timer(0.05, bell.call_soon, (heard.put_nowait, "it")).start()
        return await asyncio.wait_for(heard.get(), PATIENCE_S)

    assert asyncio.run(listen()) == "it"


def test_a_loop_has_one_bell_and_gives_its_pipe_back() -> None:
    async def ask() -> bool:
        loop = asyncio.get_running_loop()
        return bell_of(loop) is bell_of(loop)

    assert asyncio.run(ask())
    gc.collect()
    if sys.platform == "linux":
        before = n_descriptors()
        for _ in range(5):
            asyncio.run(ask())
        gc.collect()
        assert n_descriptors() == before


def test_a_closed_loop_is_told_and_nothing_is_written() -> None:
    async def ask() -> object:
        return bell_of(asyncio.get_running_loop())

    bell = asyncio.run(ask())
    with pytest.raises(RuntimeError, match="closed"):
        bell.call_soon(print, "x")  # type: ignore[attr-defined]


def test_what_raises_keeps_nobody_else_from_being_heard() -> None:
    told: list[str] = []

    def fail(_: object) -> None:
        raise ValueError("no number")

    async def listen() -> str:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(str(context["exception"])))
        heard: asyncio.Queue[str] = asyncio.Queue()
        bell = bell_of(loop)
        bell.call_soon(fail, "")
        bell.call_soon(heard.put_nowait, "it")
        return await asyncio.wait_for(heard.get(), PATIENCE_S)

    assert asyncio.run(listen()) == "it"
    assert told == ["no number"]


def test_a_full_pipe_loses_nothing() -> None:
    """So much is handed over before the loop wakes."""
    n_results = 100_000

    async def listen() -> list[int]:
        heard: asyncio.Queue[int] = asyncio.Queue()
        bell = bell_of(asyncio.get_running_loop())
        for number in range(n_results):
            bell.call_soon(heard.put_nowait, number)
        return [await asyncio.wait_for(heard.get(), PATIENCE_S) for _ in range(n_results)]

    assert asyncio.run(listen()) == [*range(n_results)]
