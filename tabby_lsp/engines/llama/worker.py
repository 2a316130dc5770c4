"""The one thread that owns a model and its context, and does what it is asked, one job at a time.

Invariant: a job that nobody waits for any more costs nothing, and the one that runs stops at the
next graph node.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from tabby_lsp.domain import EngineError
from tabby_lsp.engines.llama.bell import bell_of

if TYPE_CHECKING:
    from collections.abc import Callable

Item = TypeVar("Item")

# When a job is done: "first" before all that wait, since somebody types; "next" in the order in
# which they came; "aside" likewise, but it is interrupted for those that go first and has to let
# them pass by `Worker.let_pass`; "ahead" after all others, and it ends where one of them comes.
Turn = Literal["first", "next", "aside", "ahead"]
_RANKS: dict[Turn, int] = {"first": 0, "next": 1, "aside": 1, "ahead": 2}
_INTERRUPTED_BY: dict[Turn, tuple[Turn, ...]] = {
    "first": (),
    "next": (),
    "aside": ("first",),
    "ahead": ("first", "next", "aside"),
}

GIVEN_BACK = "The model was given back before it had answered: ask again."


class Job(Generic[Item]):
    """Work for the thread, and the way of its results back to the event loop that asked."""

    def __init__(self, work: Callable[[Job[Item]], None], turn: Turn = "next") -> None:
        self._work = work
        self.turn = turn
        self._loop = asyncio.get_running_loop()
        self._bell = bell_of(self._loop)
        self._results: deque[Item | BaseException | None] = deque()
        self._arrival: asyncio.Future[None] | None = None  # while somebody waits for it
        self.is_cancelled = False

    async def next(self) -> Item | None:
        """The next result; None after the last one. Raises what the work raised."""
        while not self._results:
            self._arrival = self._loop.create_future()
            await self._arrival
        result = self._results.popleft()
        if isinstance(result, BaseException):
            raise result
        return result

    def emit(self, result: Item | BaseException | None) -> None:
        """Hand a result over; called on the worker's thread."""
        if self.is_cancelled:
            return
        try:
            self._bell.call_soon(self._take, result)
        except RuntimeError:  # The loop is closed: nobody waits any more.
            self.is_cancelled = True

    def run(self) -> None:
        try:
            self._work(self)
        except BaseException as error:
            self.emit(error)
        else:
            self.emit(None)

    def _take(self, result: Item | BaseException | None) -> None:
        """Called on the event loop."""
        self._results.append(result)
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)


class Worker:
    """A daemon thread with a queue; starts with the first job and lives until `stop`."""

    def __init__(
        self,
        interrupt: Callable[[], None],
        resume: Callable[[], None],
        finish: Callable[[], None],
    ) -> None:
        """`interrupt` makes what runs give up soon, `resume` takes that back.

        `finish` is the last thing that the thread does, also long after `stop` has given it up.
        """
        self._interrupt = interrupt
        self._resume = resume
        self._finish = finish
        self._jobs: deque[Job[object]] = deque()
        self._running: Job[object] | None = None
        self._aside: list[Job[object]] = []  # those that let others pass, the last on top
        self._is_stopped = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    @property
    def n_waiting(self) -> int:
        """How many jobs wait for the one that runs."""
        return len(self._jobs)

    def submit(self, job: Job[Item]) -> None:
        with self._changed:
            if self._is_stopped:
                raise EngineError(GIVEN_BACK)
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="llama", daemon=True)
                self._thread.start()
            rank = _RANKS[job.turn]
            place = sum(_RANKS[other.turn] <= rank for other in self._jobs)
            self._jobs.insert(place, job)  # type: ignore[arg-type]
            if self._running is not None and job.turn in _INTERRUPTED_BY[self._running.turn]:
                self._interrupt()
            self._changed.notify()

    def let_pass(self, job: Job[Item]) -> None:
        """Run all that go first before `job`, which runs, goes on; called by it, on the thread."""
        with self._changed:
            self._aside.append(job)  # type: ignore[arg-type]
        while (first := self._take_first()) is not None:
            first.run()

    def cancel(self, job: Job[Item]) -> None:
        """Forget the job, and stop it where it is running; harmless once it is done."""
        with self._changed:
            job.is_cancelled = True
            if self._running is job:
                self._interrupt()
            elif job in self._jobs:
                self._jobs.remove(job)  # type: ignore[arg-type]

    def stop(self, timeout_s: float) -> None:
        """Cancel everything and wait for the thread to end, at most so long."""
        with self._changed:
            self._is_stopped = True
            running = [self._running] if self._running else []
            for job in [*self._jobs, *self._aside, *running]:
                # Whoever still waits for it would wait for ever.
                job.emit(EngineError(GIVEN_BACK))
                job.is_cancelled = True
            self._interrupt()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _loop(self) -> None:
        while (job := self._take()) is not None:
            job.run()
            with self._changed:
                self._running = None
        self._finish()

    def _take_first(self) -> Job[object] | None:
        """One that goes first; None, with the one that stood aside running again, where none is."""
        with self._changed:
            while self._jobs and self._jobs[0].turn == "first":
                first = self._jobs.popleft()
                if not first.is_cancelled:
                    self._running = first
                    self._resume()
                    return first
            self._running = self._aside.pop()
            self._resume()
            if self._running.is_cancelled:
                self._interrupt()
            return None

    def _take(self) -> Job[object] | None:
        with self._changed:
            while True:
                while self._jobs:
                    job = self._jobs.popleft()
                    # Its loop may be closed, or all may have been stopped.
                    if not job.is_cancelled:
                        self._running = job
                        self._resume()
                        return job
                if self._is_stopped:
                    return None
                self._changed.wait()
