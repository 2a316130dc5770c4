"""Jobs run one after the other on one thread, and stop when nobody waits for them."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tabby_lsp.domain import EngineError
from tabby_lsp.engines.llama.worker import GIVEN_BACK, Job, Turn, Worker


class Flag:
    """Stands for llama.cpp's abort flag: work that looks at it can be interrupted."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.has_finished = threading.Event()
        self.worker = Worker(self.event.set, self.event.clear, self.has_finished.set)

    def work_until_interrupted(self, job: Job[str]) -> None:
        job.emit("started")
        self.event.wait(timeout=60)


async def drain(job: Job[str]) -> list[str]:
    results = []
    while (result := await job.next()) is not None:
        results.append(result)
    return results


def test_results_come_in_order_and_then_the_end() -> None:
    async def run() -> list[str]:
        flag = Flag()

        def work(job: Job[str]) -> None:
            job.emit("a")
            job.emit("b")

        job = Job(work)
        flag.worker.submit(job)
        return await drain(job)

    assert asyncio.run(run()) == ["a", "b"]


def test_an_error_reaches_whoever_waits() -> None:
    async def run() -> None:
        def fail(job: Job[str]) -> None:
            raise ValueError("no")

        flag = Flag()
        job: Job[str] = Job(fail)
        flag.worker.submit(job)
        await job.next()

    with pytest.raises(ValueError, match="no"):
        asyncio.run(run())


def test_a_running_job_is_interrupted_and_the_next_one_is_not() -> None:
    async def run() -> list[str]:
        flag = Flag()
        first: Job[str] = Job(flag.work_until_interrupted)
        second: Job[str] = Job(lambda job: job.emit(str(flag.event.is_set())))
        flag.worker.submit(first)
        assert await first.next() == "started"
        flag.worker.submit(second)
        flag.worker.cancel(first)
        return await drain(second)

    assert asyncio.run(run()) == ["False"]


def test_a_job_cancelled_in_the_queue_never_runs() -> None:
    async def run() -> list[str]:
        flag = Flag()
        ran: list[str] = []
        first: Job[str] = Job(flag.work_until_interrupted)
        second: Job[str] = Job(lambda job: ran.append("second"))
        third: Job[str] = Job(lambda job: job.emit("third"))
        for job in (first, second, third):
            flag.worker.submit(job)
        await first.next()
        flag.worker.cancel(second)
        flag.worker.cancel(first)
        await drain(third)
        return ran

    assert asyncio.run(run()) == []


def test_what_waits_is_counted_until_it_runs_or_is_cancelled() -> None:
    async def run() -> list[int]:
        flag = Flag()
        first: Job[str] = Job(flag.work_until_interrupted)
        others: list[Job[str]] = [Job(lambda job: job.emit("other")) for _ in range(3)]
        flag.worker.submit(first)
        await first.next()
        counts = [flag.worker.n_waiting]
        for job in others:
            flag.worker.submit(job)
        counts.append(flag.worker.n_waiting)
        flag.worker.cancel(others[1])
        counts.append(flag.worker.n_waiting)
        flag.worker.cancel(first)
        await drain(others[2])
        return [*counts, flag.worker.n_waiting]

    assert asyncio.run(run()) == [0, 3, 2, 0]


def test_cancelling_what_is_done_interrupts_nobody() -> None:
    async def run() -> bool:
        flag = Flag()
        job: Job[str] = Job(lambda job: job.emit("a"))
        flag.worker.submit(job)
        await drain(job)
        # When this one has its turn, the thread has left the other.
        after: Job[str] = Job(lambda job: job.emit("b"))
        flag.worker.submit(after)
        await drain(after)
        flag.worker.cancel(job)
        return flag.event.is_set()

    assert asyncio.run(run()) is False


def test_stop_interrupts_and_waits_for_the_thread() -> None:
    async def run() -> bool:
        flag = Flag()
        job: Job[str] = Job(flag.work_until_interrupted)
        flag.worker.submit(job)
        await job.next()
        assert not flag.has_finished.is_set()
        await asyncio.to_thread(flag.worker.stop, 60.0)
        return flag.has_finished.is_set()

    assert asyncio.run(run()) is True


def test_a_thread_that_stop_gave_up_finishes_all_the_same() -> None:
    """As a load does, which nothing interrupts: what it has opened is closed."""

    async def run() -> bool:
        flag, is_loaded = Flag(), threading.Event()

        def load(job: Job[str]) -> None:
            job.emit("started")
            is_loaded.wait(60)

        job: Job[str] = Job(load)
        flag.worker.submit(job)
        await job.next()
        await asyncio.to_thread(flag.worker.stop, 0.01)
        assert not flag.has_finished.is_set()
        is_loaded.set()
        return await asyncio.to_thread(flag.has_finished.wait, 60)

    assert asyncio.run(run()) is True


def test_a_job_that_goes_first_goes_before_all_that_wait_and_do_not() -> None:
    async def run() -> list[str]:
        flag = Flag()
        order: list[str] = []

        def noting(name: str, turn: Turn = "next") -> Job[str]:
            return Job(lambda _: order.append(name), turn)

        running: Job[str] = Job(flag.work_until_interrupted)
        flag.worker.submit(running)
        assert await running.next() == "started"
        last = noting("text 2")
        for job in (
            noting("text 1"),
            noting("typed 1", "first"),
            last,
            noting("typed 2", "first"),
        ):
            flag.worker.submit(job)
        flag.worker.cancel(running)
        await drain(last)
        return order

    assert asyncio.run(run()) == ["typed 1", "typed 2", "text 1", "text 2"]


def test_a_job_that_gives_way_goes_last_and_ends_when_another_comes() -> None:
    async def run() -> list[str]:
        flag = Flag()
        order: list[str] = []
        ahead: Job[str] = Job(flag.work_until_interrupted, "ahead")
        flag.worker.submit(ahead)
        assert await ahead.next() == "started"
        flag.worker.submit(Job(lambda _: order.append("ahead"), "ahead"))
        asked: Job[str] = Job(lambda _: order.append("asked"))
        flag.worker.submit(asked)
        await drain(ahead)
        last: Job[str] = Job(lambda _: order.append("last"), "ahead")
        flag.worker.submit(last)
        await drain(last)
        return order

    assert asyncio.run(run()) == ["asked", "ahead", "last"]


def test_a_job_that_gives_way_is_left_alone_by_its_own_kind() -> None:
    async def run() -> bool:
        flag = Flag()
        ahead: Job[str] = Job(flag.work_until_interrupted, "ahead")
        flag.worker.submit(ahead)
        await ahead.next()
        flag.worker.submit(Job(lambda _: None, "ahead"))
        is_interrupted = flag.event.is_set()
        flag.worker.cancel(ahead)
        return is_interrupted

    assert asyncio.run(run()) is False


def test_a_job_that_stands_aside_lets_pass_what_goes_first_and_goes_on() -> None:
    names = [f"typed {n}" for n in range(6)]

    async def run() -> list[str]:
        flag = Flag()
        order: list[str] = []

        def typed(name: str) -> Job[str]:
            return Job(lambda _: order.append(name), "first")

        def text(job: Job[str]) -> None:
            order.append("begun")
            job.emit("begun")
            while len(order) <= len(names):
                flag.event.wait(timeout=60)
                flag.worker.let_pass(job)
            order.append("ended")

        running: Job[str] = Job(text, "aside")
        flag.worker.submit(running)
        assert await running.next() == "begun"
        waiting: Job[str] = Job(lambda _: order.append("other text"))
        flag.worker.submit(waiting)
        jobs = [typed(name) for name in names]
        # Some come while another runs, and some when it is done.
        for n, job in enumerate(jobs):
            flag.worker.submit(job)
            if n % 2:
                await drain(job)
        await drain(waiting)
        return order

    assert asyncio.run(run()) == ["begun", *names, "ended", "other text"]


def test_a_job_that_is_cancelled_while_it_stands_aside_is_interrupted_when_it_goes_on() -> None:
    async def run() -> list[bool]:
        flag = Flag()
        seen = []
        may_end = threading.Event()

        def text(job: Job[str]) -> None:
            job.emit("begun")
            flag.event.wait(timeout=60)
            flag.worker.let_pass(job)
            seen.append(flag.event.is_set())

        def typed(job: Job[str]) -> None:
            job.emit("typed")
            may_end.wait(timeout=60)
            seen.append(flag.event.is_set())

        running: Job[str] = Job(text, "aside")
        flag.worker.submit(running)
        await running.next()
        first: Job[str] = Job(typed, "first")
        flag.worker.submit(first)
        assert await first.next() == "typed"
        flag.worker.cancel(running)
        may_end.set()
        await drain(first)
        last: Job[str] = Job(lambda _: None)
        flag.worker.submit(last)
        await drain(last)
        return seen

    assert asyncio.run(run()) == [False, True]


def test_stop_ends_what_stands_aside_too() -> None:
    async def run() -> list[str]:
        flag = Flag()

        def text(job: Job[str]) -> None:
            job.emit("begun")
            flag.event.wait(timeout=60)
            flag.worker.let_pass(job)

        running: Job[str] = Job(text, "aside")
        flag.worker.submit(running)
        await running.next()
        first: Job[str] = Job(flag.work_until_interrupted, "first")
        flag.worker.submit(first)
        assert await first.next() == "started"
        await asyncio.to_thread(flag.worker.stop, 60.0)
        assert flag.has_finished.is_set()
        said = []
        for job in (running, first):
            with pytest.raises(EngineError) as error:
                await job.next()
            said.append(str(error.value))
        return said

    assert asyncio.run(run()) == [GIVEN_BACK, GIVEN_BACK]
