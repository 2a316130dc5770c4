"""Models that other programs of this machine run: shown in the list, and chosen by `models use`.

Invariant: a server is written into the settings after it has completed something, and a table that
the user wrote for another server is never changed.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING

from tabby_lsp.commands.shelf import Shelved
from tabby_lsp.commands.trial import Trial, talked, tried
from tabby_lsp.config import (
    EngineSettings,
    api_key_of,
    read_environment,
    read_user_file,
    resolve,
    write_settings,
)
from tabby_lsp.domain import EngineError

if TYPE_CHECKING:
    from pathlib import Path

    from tabby_lsp.config import KeyPath, Settings
    from tabby_lsp.engines.remote.served import ServedModel

KINDS = ("ollama", "llama-server")
_ROLES = {True: "completion", False: "chat", None: "unknown"}
_PROGRAMS = {"ollama": "Ollama", "llama-server": "llama-server"}


def served(settings: Settings) -> list[Shelved]:
    """What the list says of them."""
    return [
        Shelved(
            name=spelled(model),
            place="served",
            role=_ROLES[model.can_fill_in],
            size_bytes=None,
            licence="",
            path="",
            source=f"{_PROGRAMS[model.kind]} at {model.url}",
            in_use=_is_in_use(model, settings),
        )
        for model in _running()
    ]


def spelled(model: ServedModel) -> str:
    """How `models use` is told: the kind of server, and the model's name where it has one."""
    return f"{model.kind}:{model.name}" if model.name else model.kind


def names_a_server(name: str) -> bool:
    """Whether a name says by itself that a server is meant; no model's name does."""
    return name.partition(":")[0].lower() in KINDS


def find_served(name: str) -> ServedModel | None:
    """The running model of this name, with its server's kind or without; None where there is none.

    A kind alone is the server's only model; behind the kind may stand its address in the place of
    the model. Raises EngineError where several are meant.
    """
    kind, _, rest = name.partition(":") if names_a_server(name) else ("", "", name)
    found = [
        model
        for model in _running()
        if kind.lower() in ("", model.kind)
        and (rest.lower() in (model.name.lower(), model.url) or (kind and not rest))
    ]
    if len(found) > 1:
        choices = "\n".join(f"  {spelled(model)} ({model.url})" for model in found)
        raise EngineError(
            f"{name} may be several; give the whole name, or KIND:ADDRESS:\n{choices}"
        )
    if not found and kind:
        raise EngineError(
            f"no {_PROGRAMS[kind.lower()]} on this machine has {rest or 'a model'}: start it, and"
            " see `tabby-lsp models list`; for one elsewhere docs/remote.md has the lines"
        )
    return found[0] if found else None


def use_served(model: ServedModel, config: Path, *, for_chat: bool) -> None:
    """Have it say something, and write its server into the user's settings.

    A model that cannot fill in is taken for chat. Raises EngineError where it cannot do what it is
    wanted for, or where a table of that name is about another server.
    """
    is_chat = for_chat or model.can_fill_in is False
    # One server may have a model for each.
    table = f"{model.kind}-chat" if is_chat else model.kind
    key: KeyPath = ("chat", "engine") if is_chat else ("engine",)
    before = resolve([read_user_file(config)]).settings.engines.get(table)
    if before is not None and not _is_same_server(before, model):
        raise EngineError(
            f"{config} has another [engines.{table}], for {before.url or before.kind}: give that"
            " table another name, and try again"
        )
    # A llama-server runs the model that it was started with, whatever it is asked for.
    name = model.name if model.kind == "ollama" else ""
    engine = before or EngineSettings(kind=model.kind, url=_written_url(model))
    engine = replace(engine, model=name or engine.model)
    trial = _trial(model, table, engine, is_chat=is_chat)
    write_settings(config, {key: table} | _changes(table, engine, before))
    was = f", was {before.model}" if before and before.model not in ("", engine.model) else ""
    about = f" (model = {engine.model}{was})" if engine.model else ""
    sys.stdout.write(f"it says {trial}\n{config} now has {'.'.join(key)} = {table}{about}\n")
    warn_of_what_stands_over(config, ".".join(key), table)


def _trial(model: ServedModel, table: str, engine: EngineSettings, *, is_chat: bool) -> Trial:
    # The HTTP client is needed here alone.
    from tabby_lsp.engines.remote.engine import remote_chat_engine, remote_engine

    key, what = api_key_of(engine), "answer" if is_chat else "completion"
    sys.stderr.write(f"asking {model.url} for one {what}\n")
    try:
        if is_chat:
            return asyncio.run(talked(remote_chat_engine(table, engine, key)))
        return asyncio.run(tried(remote_engine(table, engine, key)))
    except EngineError as error:
        can = "chat" if is_chat else "complete code"
        raise EngineError(f"{spelled(model)} cannot {can}: {error}") from error


def warn_of_what_stands_over(config: Path, key: str, value: str) -> None:
    """Say where the environment sets the key that was just written to something else."""
    resolved = resolve([read_user_file(config), read_environment()])
    holds = str(attrgetter(key)(resolved.settings))
    if holds.lower() != value.lower():
        sys.stderr.write(f"{resolved.origins[key]} stands over it: {holds}\n")


def _running() -> tuple[ServedModel, ...]:
    from tabby_lsp.engines.remote import running
    from tabby_lsp.engines.remote.served import served_models

    return asyncio.run(served_models(running.PLACES))


def _changes(
    table: str, engine: EngineSettings, before: EngineSettings | None
) -> dict[KeyPath, str]:
    """What the file lacks."""
    wanted = {"kind": engine.kind, "url": engine.url, "model": engine.model}
    changes: dict[KeyPath, str] = {}
    for key, value in wanted.items():
        if value != (getattr(before, key) if before else ""):
            changes["engines", table, key] = value
    return changes


def _is_same_server(engine: EngineSettings, model: ServedModel) -> bool:
    return engine.kind == model.kind and _url(engine) == model.url


def _is_in_use(model: ServedModel, settings: Settings) -> bool:
    used = (settings.engines.get(name) for name in (settings.engine, settings.chat.engine))
    return any(
        engine.model.lower() in ("", model.name.lower())
        for engine in used
        if engine is not None and _is_same_server(engine, model)
    )


def _url(engine: EngineSettings) -> str:
    return engine.url.rstrip("/").replace("//localhost:", "//127.0.0.1:") or _default_url(
        engine.kind
    )


def _written_url(model: ServedModel) -> str:
    """Nothing where the server is at its kind's usual place."""
    return "" if model.url == _default_url(model.kind) else model.url


def _default_url(kind: str) -> str:
    from tabby_lsp.engines.remote import llama_server, ollama

    return ollama.URL if kind == "ollama" else llama_server.URL
