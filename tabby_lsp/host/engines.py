"""The engines of a window: the model is in the host, and whatever happens to that is survived.

Invariant: what is being answered when the host ends fails with one sentence, the host is started
again at once, and a model that ends it again and again is left alone.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tabby_lsp.domain import EngineError, EngineState, EngineStatus, Piece, Timings
from tabby_lsp.host import deaths
from tabby_lsp.host.conversation import HostGone
from tabby_lsp.host.packing import packed, unpacked
from tabby_lsp.models.memory import DoesNotFit

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tabby_lsp.domain import ChatRequest, GenerationRequest
    from tabby_lsp.host.conversation import Conversation
    from tabby_lsp.host.frames import Json
    from tabby_lsp.host.link import Link
    from tabby_lsp.host.model import HostedModel

logger = logging.getLogger(__name__)

# After a host could not even be started.
_PAUSE_S = 2.0
# After there was too little memory, which somebody may make free.
_MEMORY_PAUSE_S = 20.0
# How soon one that leaves has gone.
_LEAVING_S = 0.05

_numbers = itertools.count(1)  # of the models of this process


class HostedEngine:
    """Keeps the promises of domain.Engine and ChatEngine by asking the host."""

    def __init__(self, model: HostedModel, languages: tuple[str, ...], link: Link) -> None:
        self._model = model
        self._number = next(_numbers)
        self._languages = languages
        self._link = link
        self._link.join()
        self._state: EngineState = "unloaded"
        self._message = ""
        self._loading: asyncio.Task[None] | None = None
        self._conversation: Conversation | None = None
        self._deaths = deaths.Deaths()
        self._n_asked = 0  # what is being answered
        self._was_asked = False  # since the host was started
        self._paused_until_s = 0.0
        self._n_evaluated = 0
        self._n_generated = 0
        self._is_closed = False
        # What further text the host has, and by which conversation it has come there.
        self._told: tuple[Conversation | None, tuple[str, ...]] = (None, ())

    @property
    def status(self) -> EngineStatus:
        return EngineStatus(
            state=self._state,
            model=self._model.name,
            languages=self._languages,
            message=self._message,
            n_evaluated_total=self._n_evaluated,
            n_generated_total=self._n_generated,
        )

    async def load(self) -> None:
        if self._state == "failed":
            raise EngineError(self._message)
        is_open = self._conversation is not None and self._conversation.is_open
        if is_open and self._state == "ready":
            return
        if self._loading is None or self._loading.done():
            if asyncio.get_running_loop().time() < self._paused_until_s:
                raise EngineError(self._message)
            self._begin_loading(0.0)
        assert self._loading is not None, "it has just been begun"
        loading = self._loading
        # Whoever asked first may leave; the load goes on for those who stay.
        try:
            await asyncio.shield(loading)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if loading.cancelled() and not (task and task.cancelling()):
                raise EngineError("The model was given back before it had answered.") from None
            raise

    async def complete(self, request: GenerationRequest) -> AsyncGenerator[Piece, None]:
        async with aclosing(self._pieces("complete", request)) as pieces:
            async for piece in pieces:
                yield piece

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Piece, None]:
        async with aclosing(self._pieces("chat", request)) as pieces:
            async for piece in pieces:
                yield piece

    async def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._state = "unloaded"
        if self._loading is not None:
            self._loading.cancel()
            with suppress(asyncio.CancelledError, EngineError):
                await self._loading
        if self._conversation is not None:
            with suppress(ValueError):
                self._conversation.listeners.remove(self._host_ended)
            self._conversation.totals.pop(self._number, None)
            self._conversation.leave(self._number)
        await self._link.part()

    async def _pieces(self, do: str, request: Any) -> AsyncGenerator[Piece, None]:
        waits_for_another = self._state == "away"
        await self.load()
        conversation = self._conversation
        assert conversation is not None, "it is there once the model is loaded"
        question = {"do": do, "model": self._number, **self._asked(request, conversation)}
        self._n_asked += 1
        self._was_asked = True
        before = Timings()
        try:
            async with aclosing(conversation.ask(question)) as replies:
                async for reply in replies:
                    piece = unpacked(Piece, reply["piece"])
                    self._count(piece.timings, before)
                    before = piece.timings
                    yield piece
                    # Whoever closes this early has had an answer too, and it ends just there.
                    self._deaths.forgive()
            self._deaths.forgive()
            # Whoever waited for it is told first what became of the host before.
            if self._state == "ready" and not waits_for_another:
                self._message = ""
        finally:
            self._n_asked -= 1

    def _asked(self, request: Any, conversation: Conversation) -> Json:
        """The request; text that stays the same from key to key is sent once."""
        segments = getattr(request, "segments", None)
        if segments is None or not segments.further:
            return {"request": packed(request)}
        told, self._told = self._told, (conversation, segments.further)
        if told != self._told:
            return {"request": packed(request)}
        same = replace(request, segments=replace(segments, further=()))
        return {"request": packed(same), "further": "same"}

    def _begin_loading(self, pause_s: float) -> None:
        self._loading = asyncio.ensure_future(self._load(pause_s))
        # Whoever waited may be gone when it fails.
        self._loading.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _load(self, pause_s: float) -> None:
        if self._state == "unloaded":
            self._state, self._message = "loading", f"loading {self._model.name}"
        await asyncio.sleep(pause_s)
        # A host that leaves just now is none: the next one is asked.
        while not await self._is_loaded(await self._join()):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(_LEAVING_S)
        if self._state != "away":
            self._message = ""
        self._state = "ready"

    async def _join(self) -> Conversation:
        try:
            conversation = await self._link.conversation()
        except EngineError as error:
            # A full disk, say: tried again with the requests that come.
            self._stay_away(str(error), _PAUSE_S)
            raise
        except Exception as error:
            logger.exception("no engine host: a fault of tabby-lsp itself, or of the system")
            text = f"No engine host could be started or reached: {error!r}; see the log."
            self._stay_away(text, _PAUSE_S)
            raise EngineError(text) from error
        if conversation is not self._conversation:
            self._conversation = conversation
            conversation.listeners.append(self._host_ended)
        conversation.totals[self._number] = self._take_totals
        return conversation

    async def _is_loaded(self, conversation: Conversation) -> bool:
        """Have the host load the model; False where the host leaves instead."""
        question = {"do": "load", "model": self._number, "describe": packed(self._model)}
        self._n_asked += 1
        try:
            async with aclosing(conversation.ask(question)) as replies:
                async for _ in replies:
                    pass
        except HostGone:
            if conversation.was_parting:
                return False
            raise
        except DoesNotFit as error:
            self._stay_away(str(error), _MEMORY_PAUSE_S)
            raise
        except EngineError as error:
            self._state, self._message = "failed", str(error)
            raise
        finally:
            self._n_asked -= 1
        return True

    def _stay_away(self, why: str, pause_s: float) -> None:
        """Who asks after the pause has it tried again."""
        self._state, self._message = "away", why
        self._paused_until_s = asyncio.get_running_loop().time() + pause_s

    def _count(self, timings: Timings, before: Timings) -> None:
        """Add what is new since the piece before; each piece tells of the whole answer so far."""
        self._n_evaluated += timings.n_evaluated_tokens - before.n_evaluated_tokens
        self._n_generated += timings.n_generated_tokens - before.n_generated_tokens

    def _take_totals(self, n_evaluated: int, n_generated: int) -> None:
        """What the host says it has done, also for questions that were left early."""
        self._n_evaluated = max(self._n_evaluated, n_evaluated)
        self._n_generated = max(self._n_generated, n_generated)

    def _host_ended(self) -> None:
        conversation, self._conversation = self._conversation, None
        if self._is_closed or conversation is None or self._state == "failed":
            return
        if conversation.was_parting:
            return  # The next question goes to the next host.
        said = deaths.HUNG if conversation.has_hung else self._link.last_words(conversation.pid)
        if self._n_asked:
            self._deaths.count()
        if self._deaths.are_too_many:
            self._state, self._message = "failed", deaths.no_more(self._model.name, said)
        else:
            self._state, self._message = "away", deaths.once_more(self._model.name, said)
            # A window that nobody types in does not start a host that dies again and again.
            if self._was_asked or self._n_asked:
                self._was_asked = False
                self._begin_loading(self._deaths.pause_s)
        logger.warning("%s", self._message)
