"""Which servers with models run on this machine.

Invariant: knocks at loopback only, shows no key, and gives up after two seconds.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tabby_lsp.domain import EngineError
from tabby_lsp.engines.remote.connection import Connection
from tabby_lsp.engines.remote.deadline import Deadline
from tabby_lsp.engines.remote.dialect import count_at, texts_at
from tabby_lsp.engines.remote.faults import Place
from tabby_lsp.engines.remote.llama_server import URL as LLAMA_SERVER_URL
from tabby_lsp.engines.remote.llama_server import model_name
from tabby_lsp.engines.remote.ollama import URL as OLLAMA_URL

if TYPE_CHECKING:
    from collections.abc import Sequence

RunningKind = Literal["ollama", "llama-server"]

# 8012 is the port of llama-server's presets for editors (`--fim-qwen-1.5b-default`).
PLACES: tuple[tuple[RunningKind, str], ...] = (
    ("ollama", OLLAMA_URL),
    ("llama-server", LLAMA_SERVER_URL),
    ("llama-server", "http://127.0.0.1:8012"),
)
_TIMEOUT_S = 2.0  # a program that loads a model answers late


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that answers, and the models that it has."""

    kind: RunningKind
    url: str
    models: tuple[str, ...]  # as the server spells them; () where it has none yet


async def running_servers(
    places: Sequence[tuple[RunningKind, str]] = PLACES,
) -> tuple[RunningServer, ...]:
    """Those of the usual places where such a server answers, in their order; never raises."""
    found = await asyncio.gather(*(_knock(kind, url) for kind, url in places))
    return tuple(server for server in found if server is not None)


async def _knock(kind: RunningKind, url: str) -> RunningServer | None:
    connection = Connection(Place(name=kind, url=url, has_key=False), "", _TIMEOUT_S)
    deadline = Deadline(_TIMEOUT_S)
    try:
        if kind == "ollama":
            tags = await connection.fetch("GET", "/api/tags", None, deadline)
            is_it = isinstance(tags, dict) and isinstance(tags.get("models"), list)
            models = texts_at(tags, "name", "models")
        else:
            props = await connection.fetch("GET", "/props", None, deadline)
            # Tabby's servers use the same port and have other answers.
            is_it = count_at(props, "default_generation_settings", "n_ctx") > 0
            model = model_name(props)
            models = (model,) if model else ()
    except EngineError:
        return None
    finally:
        await connection.close()
    return RunningServer(kind, url, models) if is_it else None
