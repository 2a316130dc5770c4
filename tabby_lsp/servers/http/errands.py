"""Work that goes on when the client that asked for it has hung up, such as loading a model.

Invariant: the same errand is run once, however many ask for it, and there are few at a time.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, TypeVar

from tabby_lsp.servers.http.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable

Result = TypeVar("Result")

logger = logging.getLogger(__name__)


class Errands:
    """Lives as long as the server."""

    def __init__(self, max_running: int) -> None:
        self._max_running = max_running
        self._running: dict[Hashable, asyncio.Task[None]] = {}

    def begin(
        self, key: Hashable, work: Callable[[], Coroutine[None, None, None]]
    ) -> asyncio.Task[None]:
        """See that it runs; `ended` waits for it. Raises Refusal where too many run."""
        task = self._running.get(key)
        if task is None:
            if len(self._running) >= self._max_running:
                raise Refusal(429, "Too much is being loaded: try again.", retry_after_s=1)
            task = asyncio.ensure_future(work())
            self._running[key] = task
            task.add_done_callback(lambda done: self._ended(key, done))
        return task

    def _ended(self, key: Hashable, task: asyncio.Task[None]) -> None:
        del self._running[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.warning("%s", error)


async def ended(errand: asyncio.Task[None]) -> None:
    """Wait for an errand; who stops waiting does not stop it. Raises what it raises."""
    await asyncio.shield(errand)


async def on_a_thread(work: Callable[[], Result]) -> Result:
    """The result of work that cannot be stopped, on a thread that nobody waits for at the end."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def settle(result: Result | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        try:
            outcome = work(), None
        except BaseException as error:
            outcome = None, error  # type: ignore[assignment]
        try:
            loop.call_soon_threadsafe(settle, *outcome)
        except RuntimeError:  # The loop is closed: nobody waits any more.
            pass

    threading.Thread(target=run, name="errand", daemon=True).start()
    return await done
