"""The application without a process round it, for what must come out the same each time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx2

from tabby_lsp.config import ChatSettings, CompletionSettings, ContextSettings, LocalSettings
from tabby_lsp.consult import Consult
from tabby_lsp.domain import Embedding, EngineStatus, Piece, Timings, TokenLogprobs
from tabby_lsp.index.neighbours import Neighbours
from tabby_lsp.rack import Rack
from tabby_lsp.servers.http.face import Parts, face
from tabby_lsp.servers.http.gate import LOOPBACK_NAMES, Rules
from tabby_lsp.servers.http.journal import Journal
from tabby_lsp.servers.http.machine import Devices
from tabby_lsp.stock import Stock
from tabby_lsp.suggest import Suggest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from pathlib import Path

    from tabby_lsp.domain import ChatRequest, GenerationRequest, TextRequest
    from tabby_lsp.rack import Role

MAX_CHAT_TOKENS = 100


def token(text: str, logprob: float = -1.0, *others: tuple[str, float]) -> TokenLogprobs:
    told = tuple((other, other.encode(), logprob) for other, logprob in others)
    return TokenLogprobs(text, text.encode(), logprob, told)


def pieces(*texts: str) -> list[Piece]:
    """One token each, after a prompt of seven of which three were known."""
    return [
        Piece(text, -1.0, Timings(n_prompt_tokens=7, n_reused_tokens=3, n_generated_tokens=n))
        for n, text in enumerate(texts, 1)
    ]


@dataclass(slots=True)
class Teller:
    """Answers every request with the same pieces, and keeps what it was asked."""

    says: list[Piece]
    fails: Exception | None = None
    asked: list[Any] = field(default_factory=list)
    status: EngineStatus = field(default_factory=lambda: EngineStatus(state="ready", model="t"))

    async def load(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def complete(self, request: GenerationRequest) -> AsyncGenerator[Piece, None]:
        async for piece in self._say(request):
            yield piece

    async def continue_text(self, request: TextRequest) -> AsyncGenerator[Piece, None]:
        async for piece in self._say(request):
            yield piece

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Piece, None]:
        async for piece in self._say(request):
            yield piece

    async def decode(self, tokens: Sequence[int], *, controls: bool) -> str:
        return "".join(chr(token) for token in tokens)

    async def _say(self, request: Any) -> AsyncGenerator[Piece, None]:
        self.asked.append(request)
        if self.fails is not None:
            raise self.fails
        for piece in self.says:
            yield piece


class Measurer:
    """Turns each text into two numbers: half of its length and a quarter of it."""

    status = EngineStatus(state="ready", model="m")

    async def load(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def embed(self, texts: Sequence[str]) -> list[Embedding]:
        return [Embedding((len(text) / 2, len(text) / 4), len(text)) for text in texts]


class Inside:
    """A server whose models are `engines`; each is called as its role, with `-model` behind it."""

    def __init__(self, engines: Mapping[Role, Any], folder: Path) -> None:
        self._rack = Rack(lambda role, *_: engines[role])
        self._roles = list(engines)
        settings = (CompletionSettings(), ContextSettings())
        self._app = face(
            Parts(
                rack=self._rack,
                stock=Stock(folder, {}, LocalSettings()),
                suggest=Suggest(self._rack, Neighbours(), (), settings),
                consult=Consult(self._rack, (), (ChatSettings(), ContextSettings())),
                journal=Journal(folder),
                logs_prompts=False,
                devices=Devices(completion="cpu", chat="cpu"),
                max_chat_tokens=MAX_CHAT_TOKENS,
                rules=Rules(hosts=LOOPBACK_NAMES),
            )
        )

    async def ask(self, path: str, body: object, **headers: str) -> httpx2.Response:
        """Send JSON, or nothing where `body` is None."""
        for role in self._roles:
            await self._rack.put(role, f"{role}-model")
        transport = httpx2.ASGITransport(self._app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            if body is None:
                return await client.get(path, headers=headers)
            return await client.post(path, json=body, headers=headers)
