"""The engine of somebody whose model cannot be used: it says why, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabby_lsp.domain import EngineError, EngineStatus

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from tabby_lsp.domain import ChatRequest, Embedding, GenerationRequest, Piece


class AbsentEngine:
    """Keeps the promises of all engines by refusing with one sentence."""

    def __init__(self, model: str, message: str) -> None:
        self.status = EngineStatus(state="failed", model=model, message=message)

    async def load(self) -> None:
        raise EngineError(self.status.message)

    async def complete(self, request: GenerationRequest) -> AsyncGenerator[Piece, None]:
        raise EngineError(self.status.message)
        yield  # Makes this a generator, as the promise has it.

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Piece, None]:
        raise EngineError(self.status.message)
        yield

    async def embed(self, texts: Sequence[str]) -> list[Embedding]:
        raise EngineError(self.status.message)

    async def close(self) -> None:
        pass
