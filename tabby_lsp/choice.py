"""Which engines the settings ask for: one that completes, and one that chats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tabby_lsp.config import REMOTE_KINDS, api_key_of, data_dir
from tabby_lsp.domain import EngineError
from tabby_lsp.engines.absent import AbsentEngine
from tabby_lsp.engines.llama.precedence import Precedence
from tabby_lsp.engines.scripted import ScriptedEngine, read_script
from tabby_lsp.host.engines import HostedEngine
from tabby_lsp.host.link import Link
from tabby_lsp.host.model import HostedModel
from tabby_lsp.models.families import fim_of
from tabby_lsp.models.found import locate
from tabby_lsp.models.gguf import read_header
from tabby_lsp.models.roles import template_of

if TYPE_CHECKING:
    from tabby_lsp.config import EngineSettings, Settings
    from tabby_lsp.domain import ChatEngine, Embedder, Engine
    from tabby_lsp.engines.llama.chat import LlamaChatEngine
    from tabby_lsp.engines.llama.engine import LlamaEngine
    from tabby_lsp.host.model import ModelRole
    from tabby_lsp.models.gguf import Header

# Small enough for most laptops, and of a use.
_ADVISED = "Qwen2.5-Coder-1.5B-Instruct"
NO_CHAT_MODEL = (
    f"There is no chat model: get one with `tabby-lsp models pull {_ADVISED}`, then choose it with "
    f"`tabby-lsp models use {_ADVISED}`."
)


# Who runs the models of this machine: this process, in which completions go first, or the host.
Runner = Precedence | Link


def engine_for(settings: Settings, runner: Runner) -> Engine:
    """Who completes; what cannot be used is found out here, and said with each request."""
    try:
        if settings.engine in settings.engines:
            return _own_engine(settings.engine, settings.engines[settings.engine])
        header = read_header(locate(settings.model, data_dir()))
        fim = fim_of(header)
        if isinstance(runner, Link):
            return _hosted("completion", settings.model, header, settings, fim.languages, runner)
        # A window whose model is in the host has no use for it.
        from tabby_lsp.engines.llama.engine import LlamaEngine

        return LlamaEngine(settings.model, header, fim, settings.local, runner)
    except EngineError as error:
        own = settings.engine if settings.engine in settings.engines else ""
        return AbsentEngine(own or settings.model, str(error))


def chat_engine_for(settings: Settings, runner: Runner) -> ChatEngine:
    """Who chats, likewise."""
    name, model = settings.chat.engine, settings.chat.model
    try:
        if name in settings.engines:
            return _own_chat_engine(name, settings.engines[name])
        if not model:
            return AbsentEngine("", NO_CHAT_MODEL)
        header = read_header(locate(model, data_dir()))
        template_of(header)
        if isinstance(runner, Link):
            return _hosted("chat", model, header, settings, (), runner)
        from tabby_lsp.engines.llama.chat import LlamaChatEngine

        return LlamaChatEngine(model, header, settings.local, runner)
    except EngineError as error:
        return AbsentEngine(name if name in settings.engines else model, str(error))


def embedder_for(settings: Settings, precedence: Precedence) -> Embedder:
    """Who turns texts into vectors, likewise."""
    from tabby_lsp.engines.llama.embedding import LlamaEmbedder

    model = settings.serve.embedding_model
    try:
        header = read_header(locate(model, data_dir()))
        return LlamaEmbedder(model, header, settings.local, precedence)
    except EngineError as error:
        return AbsentEngine(model, str(error))


def engine_of_host(model: HostedModel, precedence: Precedence) -> LlamaEngine | LlamaChatEngine:
    """The engine of a model that a window asks the host for; raises EngineError."""
    from tabby_lsp.engines.llama.chat import LlamaChatEngine
    from tabby_lsp.engines.llama.engine import LlamaEngine

    header = read_header(Path(model.path))
    if model.role == "chat":
        return LlamaChatEngine(model.name, header, model.local, precedence)
    return LlamaEngine(model.name, header, fim_of(header), model.local, precedence)


def engine_settings(settings: Settings) -> tuple[object, ...]:
    """What the choice of `engine_for` depends on."""
    return settings.model, settings.engine, settings.engines, settings.local


def chat_engine_settings(settings: Settings) -> tuple[object, ...]:
    """What the choice of `chat_engine_for` depends on."""
    chat = settings.chat
    return chat.model, chat.engine, settings.engines, settings.local


def _hosted(
    role: ModelRole,
    name: str,
    header: Header,
    settings: Settings,
    languages: tuple[str, ...],
    link: Link,
) -> HostedEngine:
    path = str(header.path.absolute())
    model = HostedModel(role=role, name=name, path=path, local=settings.local)
    return HostedEngine(model, languages, link)


def _own_engine(name: str, engine: EngineSettings) -> Engine:
    """The engine of a table `[engines.NAME]`; raises EngineError."""
    if engine.kind not in REMOTE_KINDS:
        return ScriptedEngine(read_script(Path(engine.file)))
    # The HTTP client takes a tenth of a second to import, and most have no use for it.
    from tabby_lsp.engines.remote.engine import remote_engine

    return remote_engine(name, engine, api_key_of(engine))


def _own_chat_engine(name: str, engine: EngineSettings) -> ChatEngine:
    if engine.kind not in REMOTE_KINDS:
        return ScriptedEngine(read_script(Path(engine.file)))
    from tabby_lsp.engines.remote.engine import remote_chat_engine

    return remote_chat_engine(name, engine, api_key_of(engine))
