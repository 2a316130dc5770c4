"""`tabby-lsp serve`: the HTTP server, with the flags of `tabby serve`."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from tabby_lsp.choice import chat_engine_for, embedder_for, engine_for
from tabby_lsp.commands.bar import Bar
from tabby_lsp.commands.streams import OutputUnusable
from tabby_lsp.config import (
    BUILT_IN_ENGINE,
    data_dir,
    names_a_file,
    read_repositories,
    state_dir,
    tabby_root,
)
from tabby_lsp.consult import Consult
from tabby_lsp.domain import EngineError
from tabby_lsp.engines.llama.library import has_graphics
from tabby_lsp.engines.llama.precedence import Precedence
from tabby_lsp.index.neighbours import Neighbours
from tabby_lsp.models import download
from tabby_lsp.models.catalog import entry_of
from tabby_lsp.models.found import locate
from tabby_lsp.models.transfer import Patience
from tabby_lsp.rack import Rack
from tabby_lsp.servers.http.face import Parts, face
from tabby_lsp.servers.http.gate import LOOPBACK_NAMES, Rules
from tabby_lsp.servers.http.journal import Journal
from tabby_lsp.servers.http.keys import KeysUnusable, keys_in
from tabby_lsp.servers.http.listening import Listener, Taken, listener_at, serve
from tabby_lsp.servers.http.machine import Devices
from tabby_lsp.servers.http.tabbyapi import ADMIN_ROUTES
from tabby_lsp.stock import Stock
from tabby_lsp.suggest import Suggest

if TYPE_CHECKING:
    from tabby_lsp.config import LocalSettings, Settings
    from tabby_lsp.rack import Fit, Loadable, Role

_FAILED = 1


def serve_http(settings: Settings, asked: Devices) -> int:
    """Answer until a signal ends it; the exit status. `asked` has "" where nobody says."""
    devices = _devices(asked, settings.local)
    try:
        rules = _rules(settings)
        listener = listener_at(settings.serve.host, settings.serve.port)
    except (Taken, KeysUnusable) as error:
        return _failed(error)
    try:
        for name in _named(settings).values():
            _fetch(name)
        asyncio.run(_serve(settings, rules, devices, listener))
    except EngineError as error:
        return _failed(error)
    except KeyboardInterrupt:
        pass
    sys.stdout.flush()
    # The thread that runs a model is not worth waiting for.
    os._exit(0)


async def _serve(settings: Settings, rules: Rules, devices: Devices, listener: Listener) -> None:
    precedence = Precedence()

    def make(role: Role, name: str, fit: Fit) -> Loadable:
        # What is not the user's own server is a model of this machine, also where one is set.
        engine = name if name in settings.engines else BUILT_IN_ENGINE
        own = replace(settings, local=_fitted(settings.local, fit, devices.of(role)))
        if role == "completion":
            return engine_for(replace(own, model=name, engine=engine), precedence)
        if role == "chat":
            chat = replace(own.chat, model=name, engine=engine)
            return chat_engine_for(replace(own, chat=chat), precedence)
        serving = replace(own.serve, embedding_model=name)
        return embedder_for(replace(own, serve=serving), precedence)

    rack = Rack(make)
    for role, name in _named(settings).items():
        await rack.put(role, name)
    repositories = read_repositories(tabby_root())
    suggest = Suggest(rack, Neighbours(), repositories, (settings.completion, settings.context))
    parts = Parts(
        rack=rack,
        stock=Stock(data_dir(), _named(settings), settings.local),
        suggest=suggest,
        consult=Consult(rack, repositories, (settings.chat, settings.context)),
        journal=Journal(state_dir() / "events"),
        logs_prompts=settings.serve.log_prompts,
        devices=devices,
        max_chat_tokens=settings.chat.max_tokens,
        rules=rules,
    )
    models = " ".join(rack.name(role) or "-" for role in ("completion", "chat"))

    def tell() -> None:
        if rules.keys is not None:
            sys.stderr.write(f"keys are needed, and stand in {rules.keys.path}\n")
        with suppress(OutputUnusable):  # Whoever has closed it does not want to be told.
            sys.stdout.write(f"ready {listener.url} {models}\n")
            sys.stdout.flush()

    await serve(face(parts), listener, tell)


def _named(settings: Settings) -> dict[Role, str]:
    """Which model is to answer, by role; a server of the user's goes by its engine's name."""
    own_chat = settings.chat.engine != BUILT_IN_ENGINE
    chat = settings.chat.engine if own_chat else settings.chat.model
    own = settings.engine != BUILT_IN_ENGINE
    wanted: dict[Role, str] = {
        "completion": settings.engine if own else settings.model,
        "chat": chat,
        "embedding": settings.serve.embedding_model,
    }
    return {role: name for role, name in wanted.items() if name}


def _fetch(name: str) -> None:
    """Get a model of the catalogue that is not there; raises EngineError."""
    entry = None if names_a_file(name) else entry_of(name)
    if entry is None:
        return
    try:
        locate(name, data_dir())
    except EngineError:
        with Bar() as bar:
            download.pull(entry, data_dir(), Patience(), bar)


def _rules(settings: Settings) -> Rules:
    serve_settings = settings.serve
    host = serve_settings.host.lower()
    name = f"[{host}]" if ":" in host else host
    is_local = name in LOOPBACK_NAMES
    return Rules(
        hosts={*LOOPBACK_NAMES, name, *(each.lower() for each in serve_settings.hosts)},
        origins=serve_settings.origins,
        keys=None if is_local else keys_in(data_dir()),
        admin_routes=ADMIN_ROUTES,
    )


def _devices(asked: Devices, local: LocalSettings) -> Devices:
    """Where models run: what this build has not is the processor's work, and so said."""
    if not has_graphics():
        wanted = {asked.completion, asked.chat} - {"", "cpu"}
        if wanted:
            sys.stderr.write(
                f"this build of llama.cpp has no {' or '.join(sorted(wanted))}: "
                "the processor does the work\n"
            )
        return Devices(completion="cpu", chat="cpu")
    own = "metal" if sys.platform == "darwin" else "cuda"
    completion = asked.completion or ("cpu" if local.device == "cpu" else own)
    return Devices(completion=completion, chat=asked.chat or completion)


def _fitted(local: LocalSettings, fit: Fit, device: str) -> LocalSettings:
    return replace(
        local,
        device="cpu" if fit.is_on_processor or device == "cpu" else "auto",
        n_ctx=fit.n_ctx or local.n_ctx,
        n_ubatch=fit.n_ubatch or local.n_ubatch,
    )


def _failed(error: Exception) -> int:
    sys.stderr.write(f"tabby-lsp serve: {error}\n")
    return _FAILED
