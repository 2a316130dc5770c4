"""The engines that ask a server elsewhere: one completes, one chats."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from tabby_lsp.domain import (
    ChatRequest,
    EngineError,
    Finish,
    GenerationRequest,
    Piece,
    Timings,
)
from tabby_lsp.engines.llama.text import TextStream, TokenTrail
from tabby_lsp.engines.remote.connection import Connection
from tabby_lsp.engines.remote.deadline import Deadline
from tabby_lsp.engines.remote.dialect import Target
from tabby_lsp.engines.remote.faults import Place
from tabby_lsp.engines.remote.llama_server import URL as LLAMA_SERVER_URL
from tabby_lsp.engines.remote.llama_server import LlamaServerDialect
from tabby_lsp.engines.remote.logprobs import note
from tabby_lsp.engines.remote.ollama import URL as OLLAMA_URL
from tabby_lsp.engines.remote.ollama import OllamaDialect
from tabby_lsp.engines.remote.ollama_chat import OllamaChat
from tabby_lsp.engines.remote.openai import OpenAIDialect, base_url
from tabby_lsp.engines.remote.openai_chat import LlamaServerChat, OpenAIChat, TabbyChat
from tabby_lsp.engines.remote.server_engine import ServerEngine
from tabby_lsp.engines.remote.tabby import TabbyDialect
from tabby_lsp.engines.remote.text_prompt import control_texts
from tabby_lsp.engines.thoughts import Thoughts
from tabby_lsp.models.families import families_named

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from tabby_lsp.config import EngineSettings
    from tabby_lsp.engines.remote.dialect import Dialect
    from tabby_lsp.models.fim_table import FimFamily

_COMPLETING: Mapping[str, Callable[[Target], Dialect[GenerationRequest]]] = {
    "openai": OpenAIDialect,
    "llama-server": LlamaServerDialect,
    "ollama": OllamaDialect,
    "tabby": TabbyDialect,
}
_CHATTING: Mapping[str, Callable[[Target], Dialect[ChatRequest]]] = {
    "openai": OpenAIChat,
    "llama-server": LlamaServerChat,
    "ollama": OllamaChat,
    "tabby": TabbyChat,
}


class RemoteEngine(ServerEngine[GenerationRequest]):
    """Keeps domain.Engine's promise with one server."""

    def __init__(
        self,
        target: Target,
        dialect: Dialect[GenerationRequest],
        timeout_s: float,
        end_texts: tuple[str, ...] = (),
    ) -> None:
        super().__init__(target, dialect, timeout_s)
        self._end_texts = end_texts

    async def complete(self, request: GenerationRequest) -> AsyncGenerator[Piece, None]:
        stream, trail = TextStream((*request.stop, *self._end_texts)), TokenTrail()
        timings = Timings()
        finish: Finish = ""
        async with aclosing(self._answer(request)) as answer:
            async for said in answer:
                timings, finish = said.timings, said.finish or finish
                note(trail, said.logprobs, stream.n_chars)
                # A surrogate is no character, and only a server that lies sends one.
                text = stream.push(said.text.encode("utf-8", "replace"))
                told = trail.shown(len(text))
                yield Piece(text, 0.0, timings, "stop" if stream.is_stopped else "", told)
                if stream.is_stopped:
                    return
        if timings.n_generated_tokens >= request.max_tokens:
            finish = "length"
        text = stream.finish()
        yield Piece(text, 0.0, timings, finish or "stop", trail.shown(len(text)))


class RemoteChatEngine(ServerEngine[ChatRequest]):
    """Keeps domain.ChatEngine's promise with one server."""

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Piece, None]:
        thoughts, stream, trail = Thoughts(), TextStream(request.stop), TokenTrail()
        timings = Timings()
        finish: Finish = ""
        has_thought = has_answered = False
        async with aclosing(self._answer(request)) as answer:
            async for said in answer:
                timings, finish = said.timings, said.finish or finish
                has_thought = has_thought or bool(said.reasoning)
                answered = thoughts.push(said.text)
                if said.reasoning or thoughts.have_begun:
                    trail.rest()  # is none of the answer
                else:
                    n_cut = len(said.text) - len(answered) if answered else 0
                    note(trail, said.logprobs, stream.n_chars, n_cut)
                # A surrogate is no character, and only a server that lies sends one.
                text = stream.push(answered.encode("utf-8", "replace"))
                if stream.is_stopped:
                    yield Piece(text, 0.0, timings, "stop", trail.shown(len(text)))
                    return
                if text:
                    has_answered = True
                    yield Piece(text, 0.0, timings, "", trail.shown(len(text)))
        rest = stream.push(thoughts.finish().encode("utf-8", "replace")) + stream.finish()
        has_thought = has_thought or thoughts.have_begun
        if finish == "length" and has_thought and not (has_answered or rest):
            raise EngineError(
                f"{self._model} thought until `max_tokens` and came to no answer: raise"
                " `max_tokens` under `[chat]` in config.toml, or take a model that does not think."
            )
        yield Piece(rest, 0.0, timings, finish, trail.shown(len(rest)))

    def _deadline(self) -> Deadline:
        """Ollama lets go of a model after some minutes and loads it again when it is asked."""
        first_s = max(self._timeout_s, self._dialect.load_timeout_s)
        return Deadline(first_s, between_pieces_s=self._timeout_s)


def remote_engine(name: str, settings: EngineSettings, api_key: str) -> RemoteEngine:
    """The engine of a table `[engines.NAME]` whose kind is one of `REMOTE_KINDS`.

    Raises EngineError where its `family` is none.
    """
    families = tuple(families_named(settings.family)) if settings.family else ()
    place = Place(name=name, url=_url(settings), has_key=bool(api_key))
    target = _target(place, settings, api_key, families)
    # Where text is all that a server takes, its control tokens may come back as text.
    family = None if settings.kind == "llama-server" else target.family
    end_texts = control_texts(family) if family else ()
    dialect = _COMPLETING[settings.kind](target)
    return RemoteEngine(target, dialect, settings.timeout_ms / 1000, end_texts)


def remote_chat_engine(name: str, settings: EngineSettings, api_key: str) -> RemoteChatEngine:
    """The same for chat, of which `family` says nothing."""
    place = Place(name=name, url=_url(settings), has_key=bool(api_key), is_for_chat=True)
    target = _target(place, settings, api_key, ())
    return RemoteChatEngine(target, _CHATTING[settings.kind](target), settings.timeout_ms / 1000)


def _url(settings: EngineSettings) -> str:
    default = OLLAMA_URL if settings.kind == "ollama" else LLAMA_SERVER_URL
    url = (settings.url or default).rstrip("/")
    return base_url(url) if settings.kind == "openai" else url


def _target(
    place: Place, settings: EngineSettings, api_key: str, families: tuple[FimFamily, ...]
) -> Target:
    connection = Connection(place, api_key, settings.connect_timeout_ms / 1000)
    return Target(
        connection=connection, model=settings.model, n_ctx=settings.n_ctx, families=families
    )
