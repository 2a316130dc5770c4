"""The engine that runs a GGUF file with llama.cpp, in this process."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from tabby_lsp.engines.llama.desk import Desk
from tabby_lsp.engines.llama.generation import continue_text, generate
from tabby_lsp.engines.llama.healing import Vocabulary
from tabby_lsp.engines.llama.resident import Resident

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

    from tabby_lsp.config import LocalSettings
    from tabby_lsp.domain import EngineStatus, GenerationRequest, Piece, TextRequest
    from tabby_lsp.engines.llama.precedence import Precedence
    from tabby_lsp.engines.llama.resident import Loaded
    from tabby_lsp.models.families import Fim
    from tabby_lsp.models.gguf import Header


class LlamaEngine:
    """Keeps the promises of domain.Engine and TextEngine with one model, one after the other.

    Goes before every chat of this process; what fills in the middle, which somebody who types
    waits for, goes before what only continues a text.
    """

    def __init__(
        self, name: str, header: Header, fim: Fim, settings: LocalSettings, precedence: Precedence
    ) -> None:
        self._fim = fim
        self._desk: Desk | None = None
        self._resident = Resident(name, header, settings)
        self._precedence = precedence

    @property
    def status(self) -> EngineStatus:
        return self._resident.status(self._fim.languages)

    @property
    def n_waiting(self) -> int:
        """How many requests wait for the one that is answered."""
        return self._resident.n_waiting

    async def load(self) -> None:
        await self._resident.load(self._prepare)

    async def complete(self, request: GenerationRequest) -> AsyncGenerator[Piece, None]:
        def work(loaded: Loaded) -> Iterator[Piece]:
            assert self._desk is not None, "it is there when the model is loaded"
            return generate(loaded, self._fim, self._desk, request)

        answer = self._ahead(work) if request.is_ahead else self._answer(work, goes_first=True)
        async with aclosing(answer) as pieces:
            async for piece in pieces:
                yield piece

    async def continue_text(self, request: TextRequest) -> AsyncGenerator[Piece, None]:
        answer = self._answer(
            lambda loaded: continue_text(loaded, request, loaded.context.evaluate)
        )
        async with aclosing(answer) as pieces:
            async for piece in pieces:
                yield piece

    async def encode(self, text: str, *, controls: bool, bos: bool) -> list[int]:
        await self.load()
        return await self._resident.encode(text, controls=controls, bos=bos)

    async def decode(self, tokens: Sequence[int], *, controls: bool) -> str:
        await self.load()
        return await self._resident.decode(tokens, controls=controls)

    async def close(self) -> None:
        await self._resident.close()

    def _prepare(self, loaded: Loaded) -> None:
        model = loaded.model
        vocabulary = Vocabulary([*map(model.piece, range(model.n_vocab))])
        heals = vocabulary.has_all_bytes
        self._desk = Desk(self._fim, loaded.tokenize, vocabulary if heals else None)

    async def _answer(
        self, work: Callable[[Loaded], Iterator[Piece]], *, goes_first: bool = False
    ) -> AsyncGenerator[Piece, None]:
        await self.load()
        with self._precedence.first():
            answer = self._resident.stream(lambda loaded, _: work(loaded), goes_first=goes_first)
            async with aclosing(answer) as pieces:
                async for piece in pieces:
                    yield piece

    async def _ahead(
        self, work: Callable[[Loaded], Iterator[Piece]]
    ) -> AsyncGenerator[Piece, None]:
        await self.load()
        answer = self._resident.stream(lambda loaded, _: work(loaded), gives_way=True)
        async with aclosing(answer) as pieces:
            async for piece in pieces:
                yield piece
