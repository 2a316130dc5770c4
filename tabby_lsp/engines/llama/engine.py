"""The engine that runs a GGUF file with llama.cpp, in this process."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from tabby_lsp.engines.llama.generation import generate
from tabby_lsp.engines.llama.resident import Resident

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tabby_lsp.config import LocalSettings
    from tabby_lsp.domain import EngineStatus, GenerationRequest, Piece
    from tabby_lsp.engines.llama.precedence import Precedence
    from tabby_lsp.models.families import Fim
    from tabby_lsp.models.gguf import Header


class LlamaEngine:
    """Keeps domain.Engine's promise with one model; goes before every chat of this process."""

    def __init__(
        self, name: str, header: Header, fim: Fim, settings: LocalSettings, precedence: Precedence
    ) -> None:
        self._fim = fim
        self._resident = Resident(name, header, settings)
        self._precedence = precedence

    @property
    def status(self) -> EngineStatus:
        return self._resident.status(self._fim.languages)

    async def load(self) -> None:
        await self._resident.load()

    async def complete(self, request: GenerationRequest) -> AsyncGenerator[Piece, None]:
        await self.load()
        with self._precedence.first():
            work = self._resident.stream(lambda loaded, _: generate(loaded, self._fim, request))
            async with aclosing(work) as pieces:
                async for piece in pieces:
                    yield piece

    async def close(self) -> None:
        await self._resident.close()
