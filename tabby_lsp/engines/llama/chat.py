"""The engine that chats with a GGUF file's model, in this process."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from tabby_lsp.domain import EngineError
from tabby_lsp.engines.llama.conversation import Speaker, answer
from tabby_lsp.engines.llama.resident import Resident
from tabby_lsp.engines.llama.template import learn

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tabby_lsp.config import LocalSettings
    from tabby_lsp.domain import ChatRequest, EngineStatus, Piece
    from tabby_lsp.engines.llama.precedence import Precedence
    from tabby_lsp.engines.llama.resident import Loaded
    from tabby_lsp.models.gguf import Header


class LlamaChatEngine:
    """Keeps domain.ChatEngine's promise with one model, one conversation after the other.

    Stands still while a completion runs.
    """

    def __init__(
        self, name: str, header: Header, settings: LocalSettings, precedence: Precedence
    ) -> None:
        self._resident = Resident(name, header, settings, precedence.wake)
        self._precedence = precedence
        self._speaker: Speaker | None = None

    @property
    def status(self) -> EngineStatus:
        return self._resident.status()

    async def load(self) -> None:
        await self._resident.load(self._prepare)

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Piece, None]:
        await self.load()
        speaker = self._speaker
        if speaker is None:
            raise EngineError("The chat model is not loaded.")
        work = self._resident.stream(
            lambda _, job: answer(speaker, request, lambda: job.is_cancelled)
        )
        async with aclosing(work) as pieces:
            async for piece in pieces:
                yield piece

    async def close(self) -> None:
        await self._resident.close()

    def _prepare(self, loaded: Loaded) -> None:
        model = loaded.model
        template = learn(self._resident.header, model.text_of(model.bos), model.text_of(model.eos))
        self._speaker = Speaker(loaded, template, self._precedence)
