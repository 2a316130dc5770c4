"""The engine that runs a GGUF file with llama.cpp, in this process."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from tabby_lsp.domain import EngineError
from tabby_lsp.engines.llama.answering import aside
from tabby_lsp.engines.llama.desk import Desk
from tabby_lsp.engines.llama.generation import continue_text, generate, renew
from tabby_lsp.engines.llama.healing import Vocabulary
from tabby_lsp.engines.llama.resident import Resident

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

    from tabby_lsp.config import LocalSettings
    from tabby_lsp.domain import EngineStatus, GenerationRequest, Piece, TextRequest
    from tabby_lsp.engines.llama.precedence import Precedence
    from tabby_lsp.engines.llama.resident import Loaded
    from tabby_lsp.engines.llama.worker import Job
    from tabby_lsp.models.families import Fim
    from tabby_lsp.models.gguf import Header

# Whoever types makes none so long.
_PAUSE_S = 1.0


class LlamaEngine:
    """Keeps the promises of domain.Engine and TextEngine with one model, one after the other.

    What fills in the middle, which somebody who types waits for, goes before every chat of this
    process, and before what only continues a text: that stands aside in the middle of a word.
    """

    def __init__(
        self, name: str, header: Header, fim: Fim, settings: LocalSettings, precedence: Precedence
    ) -> None:
        self._fim = fim
        self._desk: Desk | None = None
        self._renewing: asyncio.Future[None] | None = None
        self._resident = Resident(name, header, settings)
        self._precedence = precedence

    @property
    def status(self) -> EngineStatus:
        return self._resident.status(self._fim.languages)

    async def load(self) -> None:
        await self._resident.load(self._prepare)

    async def complete(self, request: GenerationRequest) -> AsyncGenerator[Piece, None]:
        def work(loaded: Loaded, _: Job[Piece]) -> Iterator[Piece]:
            assert self._desk is not None, "it is there when the model is loaded"
            return generate(loaded, self._fim, self._desk, request)

        await self.load()
        if request.is_ahead:
            async with aclosing(self._resident.stream(work, "ahead")) as pieces:
                async for piece in pieces:
                    yield piece
            return
        self._stop_renewing()
        try:
            with self._precedence.first():
                async with aclosing(self._resident.stream(work, "first")) as pieces:
                    async for piece in pieces:
                        yield piece
        finally:
            if request.document:
                self._renewing = asyncio.ensure_future(self._renew(request))

    async def continue_text(self, request: TextRequest) -> AsyncGenerator[Piece, None]:
        def work(loaded: Loaded, job: Job[Piece]) -> Iterator[Piece]:
            read = aside(loaded, lambda: self._resident.let_pass(job), lambda: job.is_cancelled)
            return continue_text(loaded, request, read)

        await self.load()
        async with aclosing(self._resident.stream(work, "aside")) as pieces:
            async for piece in pieces:
                yield piece

    async def encode(self, text: str, *, controls: bool, bos: bool) -> list[int]:
        await self.load()
        return await self._resident.encode(text, controls=controls, bos=bos)

    async def decode(self, tokens: Sequence[int], *, controls: bool) -> str:
        await self.load()
        return await self._resident.decode(tokens, controls=controls)

    async def close(self) -> None:
        self._stop_renewing()
        await self._resident.close()

    async def _renew(self, request: GenerationRequest) -> None:
        """In a pause, hold the place fast where it is now, so that the next line is as cheap."""

        def work(loaded: Loaded, _: Job[Piece]) -> Iterator[Piece]:
            assert self._desk is not None, "it is there when the model is loaded"
            return renew(loaded, self._desk, request)

        await asyncio.sleep(_PAUSE_S)
        with suppress(EngineError):
            async with aclosing(self._resident.stream(work, "ahead")) as pieces:
                async for _ in pieces:
                    pass

    def _stop_renewing(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            self._renewing = None

    def _prepare(self, loaded: Loaded) -> None:
        vocabulary = Vocabulary(loaded.model.pieces)
        heals = vocabulary.has_all_bytes
        self._desk = Desk(
            self._fim,
            loaded.tokenize,
            vocabulary if heals else None,
            loaded.model.tokenize,
            may_draft=loaded.context.can_draft,
        )
