"""Several requests for one place share one answer of the model, also while somebody types along it.

Invariant: work goes on as long as one request waits for it, and no longer.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tabby_lsp.completion.cache import CompletionCache
from tabby_lsp.completion.pipeline import Answer, GaveWayError, first_lines
from tabby_lsp.completion.place import typed_since
from tabby_lsp.domain import EngineError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tabby_lsp.completion.pipeline import Question
    from tabby_lsp.domain import Completion


@dataclass(slots=True, eq=False)
class Work:
    """One answer that a model is giving."""

    question: Question
    text: str = ""  # what the model has said so far
    waiting: dict[asyncio.Future[Answer | None], str] = field(default_factory=dict)  # and typed
    task: asyncio.Task[None] | None = None

    def serves(self, typed: str) -> bool:
        """Whether what was typed since may still be what the model says."""
        return self.text.startswith(typed) or typed.startswith(self.text)


class Sharing:
    """The answers that are being given; lives as long as the model they come from."""

    def __init__(self) -> None:
        self._running: list[Work] = []

    def find(self, question: Question) -> tuple[Work, str] | None:
        """The work that serves a question, and what was typed since it was begun; the latest first.

        What is made ahead serves nobody before it has begun to speak: who asks goes first. Who asks
        explicitly wants more than what is made unasked.
        """
        for work in reversed(self._running):
            if work.question.is_ahead and not work.text:
                continue
            if work.question.automatic and not question.automatic:
                continue
            if work.question.n_candidates < question.n_candidates:
                continue
            for typed in typed_since(work.question.place, question.place):
                if work.serves(typed):
                    return work, typed
        return None

    def is_at(self, question: Question) -> bool:
        """Whether it is being answered at just this place."""
        found = self.find(question)
        return found is not None and not found[1]

    async def begin(
        self, question: Question, answer: Callable[[Callable[[str], None]], Awaitable[Answer]]
    ) -> Answer:
        """Have a new answer given; `answer` is handed a function to call as its text grows.

        Raises what the work raises.
        """
        work = Work(question)
        work.task = asyncio.ensure_future(self._run(work, answer))
        self._running.append(work)
        result = await self.join(work, "")
        if result is None:
            raise GaveWayError
        return result

    async def join(self, work: Work, typed: str) -> Answer | None:
        """Wait for an answer that is being given; None as soon as it leads elsewhere or gives way.

        Raises what the work raises.
        """
        waiter: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        work.waiting[waiter] = typed
        try:
            return await waiter
        finally:
            del work.waiting[waiter]
            # Not at once: whoever took this one's place may be about to join.
            asyncio.get_running_loop().call_soon(self._stop_if_deserted, work)

    def so_far(self, question: Question) -> Completion | None:
        """The whole lines that have been said already."""
        found = self.find(question)
        if found is None:
            return None
        work = found[0]
        lines = first_lines(work.text, work.question)
        if lines is None:
            return None
        scratch = CompletionCache()
        scratch.put(work.question.place, lines)
        return scratch.get(question.place)

    def end(self) -> None:
        """The model goes away: whoever still waits is told so."""
        for work in self._running:
            for waiter in _undecided(work):
                waiter.set_exception(EngineError("The engine was stopped while it answered."))

    async def _run(
        self, work: Work, answer: Callable[[Callable[[str], None]], Awaitable[Answer]]
    ) -> None:
        try:
            result = await answer(lambda text: _hear(work, text))
        except GaveWayError:
            for waiter in _undecided(work):
                waiter.set_result(None)
        except Exception as error:
            for waiter in _undecided(work):
                waiter.set_exception(error)
        else:
            for waiter in _undecided(work):
                waiter.set_result(result)
        finally:
            self._forget(work)

    def _stop_if_deserted(self, work: Work) -> None:
        if not work.waiting and work.task is not None:
            # It may take a while to end, and gives nobody an answer any more.
            self._forget(work)
            work.task.cancel()

    def _forget(self, work: Work) -> None:
        if work in self._running:
            self._running.remove(work)


def _hear(work: Work, text: str) -> None:
    work.text = text
    for waiter in _undecided(work):
        if not work.serves(work.waiting[waiter]):
            waiter.set_result(None)


def _undecided(work: Work) -> list[asyncio.Future[Answer | None]]:
    return [waiter for waiter in work.waiting if not waiter.done()]
