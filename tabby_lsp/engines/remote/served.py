"""Which models the servers of this machine have, and which of them can fill in the middle.

Invariant: asks about models and runs none, so that no server loads one or forgets a prompt for it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabby_lsp.domain import EngineError
from tabby_lsp.engines.remote.connection import Connection
from tabby_lsp.engines.remote.deadline import Deadline
from tabby_lsp.engines.remote.dialect import dig, text_at
from tabby_lsp.engines.remote.faults import Place
from tabby_lsp.engines.remote.running import running_servers
from tabby_lsp.engines.remote.token_prompt import RemoteTokenizer
from tabby_lsp.models.families import needed_tokens
from tabby_lsp.models.fim_table import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tabby_lsp.engines.remote.running import RunningKind, RunningServer

_TIMEOUT_S = 2.0
_MAX_MODELS = 64  # of one server
# Where a template of Ollama's puts the text right of the cursor.
_SUFFIX_IN_TEMPLATE = ".Suffix"


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that a server of this machine would run for us."""

    kind: RunningKind
    url: str
    name: str  # as the server spells it; "" where it does not say
    can_fill_in: bool | None  # None where the server does not say


async def served_models(
    places: Sequence[tuple[RunningKind, str]],
) -> tuple[ServedModel, ...]:
    """The models of the servers at these places, in their order; never raises."""
    found = await asyncio.gather(*map(_served, await running_servers(places)))
    return tuple(model for models in found for model in models)


async def _served(server: RunningServer) -> list[ServedModel]:
    # A llama-server may keep its model's name to itself.
    names = server.models[:_MAX_MODELS] or (("",) if server.kind == "llama-server" else ())
    place = Place(name=server.kind, url=server.url, has_key=False)
    connection = Connection(place, "", _TIMEOUT_S)
    try:
        answers = await asyncio.gather(
            *(_can_fill_in(connection, server.kind, name) for name in names)
        )
    finally:
        await connection.close()
    return [
        ServedModel(server.kind, server.url, name, answer)
        for name, answer in zip(names, answers, strict=True)
    ]


async def _can_fill_in(connection: Connection, kind: RunningKind, name: str) -> bool | None:
    deadline = Deadline(_TIMEOUT_S)
    try:
        if kind == "ollama":
            return await _ollama_says(connection, name, deadline)
        return await _vocabulary_says(connection, deadline)
    except EngineError:
        return None


async def _ollama_says(connection: Connection, name: str, deadline: Deadline) -> bool | None:
    """By its list of abilities, or by the template where an older version has no such list."""
    shown = await connection.fetch("POST", "/api/show", {"model": name}, deadline, model=name)
    abilities = dig(shown, "capabilities")
    if isinstance(abilities, list):
        return "insert" in abilities
    template = text_at(shown, "template")
    return _SUFFIX_IN_TEMPLATE in template if template else None


async def _vocabulary_says(connection: Connection, deadline: Deadline) -> bool:
    """A model has the control tokens of one of the families, or it was not trained for that."""
    texts = sorted({token for row in FAMILIES for token in row.tokens})
    ids = await RemoteTokenizer(connection, "").control_ids(texts, deadline)
    return any(all(token in ids for token in needed_tokens(row)) for row in FAMILIES)
