"""The app with an engine that says what a test feeds it, when the test does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tabby_lsp.app import App
from tabby_lsp.config import CompletionSettings, Settings
from tabby_lsp.domain import EngineStatus, Piece, Timings
from tabby_lsp.engines.llama.precedence import Precedence
from tabby_lsp.engines.scripted import ScriptedEngine
from tabby_lsp.request import Ask
from tests.completion.drawn import parse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine
    from types import EllipsisType

    from tabby_lsp.domain import Decision, Finish, GenerationRequest, Shape

# A menu's limit: never reached, reached at once, and reached after what a test does before.
PATIENT_S, AT_ONCE_S, SOON_S = 60.0, 0.01, 1.0

_ALONE = CompletionSettings(ahead="never")


class HandFedEngine:
    """Says what a test feeds it, when the test does; keeps domain.Engine's promise."""

    def __init__(self, *, is_remote: bool = False) -> None:
        self.asked: list[GenerationRequest] = []
        self.n_stopped = 0
        self.may_stop = asyncio.Event()  # until then, what is stopped has not ended
        self.may_stop.set()
        self._is_remote = is_remote
        self._fed: asyncio.Queue[str | Exception | EllipsisType | int | None] = asyncio.Queue()

    @property
    def status(self) -> EngineStatus:
        return EngineStatus(state="ready", model="hand-fed", is_remote=self._is_remote)

    @property
    def n_begun(self) -> int:
        return len(self.asked)

    async def load(self) -> None:
        pass

    async def complete(self, request: GenerationRequest) -> AsyncGenerator[Piece, None]:
        self.asked.append(request)
        n_said, is_done = 0, False
        try:
            while isinstance(fed := await self._fed.get(), str):
                n_said += 1
                yield Piece(fed, 0.0, Timings(n_generated_tokens=n_said))
            if isinstance(fed, Exception):
                raise fed
            is_done = True
            if fed is not ...:
                finish: Finish = "stop" if fed is None else "length"
                yield Piece("", 0.0, Timings(n_generated_tokens=n_said), finish)
        finally:
            self.n_stopped += not is_done
            await self.may_stop.wait()

    async def close(self) -> None:
        pass

    async def feed(self, *texts: str | Exception | EllipsisType | int | None) -> None:
        """Say the next pieces; None is the end, 0 that by the limit of tokens.

        ... is the end of what has given way.
        """
        for text in texts:
            self._fed.put_nowait(text)
        await settle()


async def settle() -> None:
    """Let everything happen that can."""
    for _ in range(20):
        await asyncio.sleep(0)


class Stage:
    """An app with a hand-fed engine, and requests to it."""

    def __init__(self, completion: CompletionSettings = _ALONE, *, is_remote: bool = False) -> None:
        """Nothing is prepared where the settings do not say so."""
        self.engine = HandFedEngine(is_remote=is_remote)
        settings = Settings(completion=completion)
        self.app = App(settings, self.engine, ScriptedEngine(()), Precedence())

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
            n_candidates=1 if automatic else 3,
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
