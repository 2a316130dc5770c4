"""The engine that chats with a GGUF file's model, in this process."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from tabby_lsp.domain import EngineError, Unusable
from tabby_lsp.engines.history import in_turns
from tabby_lsp.engines.llama.answering import patiently
from tabby_lsp.engines.llama.conversation import Speaker, converse
from tabby_lsp.engines.llama.generation import continue_text
from tabby_lsp.engines.llama.resident import Resident
from tabby_lsp.engines.llama.template import learn
from tabby_lsp.engines.thoughts import Thoughts

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

    from tabby_lsp.config import LocalSettings
    from tabby_lsp.domain import ChatMessage, ChatRequest, EngineStatus, Piece, TextRequest
    from tabby_lsp.engines.llama.precedence import Precedence
    from tabby_lsp.engines.llama.resident import Loaded
    from tabby_lsp.engines.llama.speculation import Read
    from tabby_lsp.engines.llama.worker import Job
    from tabby_lsp.models.gguf import Header


class LlamaChatEngine:
    """Keeps the promises of domain.ChatEngine and TextEngine with one model, one after the other.

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
        answer = self._answer(lambda _, read: converse(speaker, request, read))
        thoughts = Thoughts()
        async with aclosing(answer) as pieces:
            async for piece in pieces:
                text = thoughts.push(piece.text) + (thoughts.finish() if piece.finish else "")
                yield replace(piece, text=text, logprobs=piece.logprobs if text else ())

    async def continue_text(self, request: TextRequest) -> AsyncGenerator[Piece, None]:
        await self.load()
        answer = self._answer(lambda loaded, read: continue_text(loaded, request, read))
        async with aclosing(answer) as pieces:
            async for piece in pieces:
                yield piece

    async def encode(self, text: str, *, controls: bool, bos: bool) -> list[int]:
        await self.load()
        return await self._resident.encode(text, controls=controls, bos=bos)

    async def spell(self, messages: Sequence[ChatMessage]) -> list[int]:
        """The token ids of a conversation, up to where the assistant begins.

        Raises Unusable where the template does not know one of that shape.
        """
        await self.load()
        speaker, turns = self._speaker, in_turns(messages)
        if speaker is None or not turns or not speaker.template.knows(turns):
            raise Unusable("The chat template does not take such a conversation.")
        return await self._resident.call(lambda *_: speaker.spell(turns))

    async def decode(self, tokens: Sequence[int], *, controls: bool) -> str:
        await self.load()
        return await self._resident.decode(tokens, controls=controls)

    async def close(self) -> None:
        await self._resident.close()

    async def _answer(
        self, work: Callable[[Loaded, Read], Iterator[Piece]]
    ) -> AsyncGenerator[Piece, None]:
        def patient(loaded: Loaded, job: Job[Piece]) -> Iterator[Piece]:
            context = loaded.context
            with self._precedence.second(context.abort_flag):
                read = patiently(context, self._precedence, lambda: job.is_cancelled)
                yield from work(loaded, read)

        async with aclosing(self._resident.stream(patient)) as pieces:
            async for piece in pieces:
                yield piece

    def _prepare(self, loaded: Loaded) -> None:
        model = loaded.model
        template = learn(self._resident.header, model.text_of(model.bos), model.text_of(model.eos))
        self._speaker = Speaker(loaded, template)
