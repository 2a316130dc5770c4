"""Which servers run on this machine: those that answer as they should, soon."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tabby_lsp.engines.remote.running import RunningServer, running_servers
from tests.engines.scripted_server import PATIENCE_S, Asked, ScriptedServer, head, page, reply

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tabby_lsp.engines.remote.running import RunningKind

NOBODY = "http://127.0.0.1:1"
PROPS = {"default_generation_settings": {"n_ctx": 4096}, "model_path": "/models/qwen.gguf"}


def found(kind: RunningKind, answer: Any) -> tuple[RunningServer, ...]:
    """What is found where this answers, besides a place where nobody does."""

    def serve(asked: Asked) -> Iterable[bytes]:
        wanted = {"ollama": "/api/tags", "llama-server": "/props"}[kind]
        return answer if asked.path == wanted else reply({}, 404)

    with ScriptedServer(serve) as server:
        servers = asyncio.run(running_servers([(kind, server.url), (kind, NOBODY)]))
        assert all("authorization" not in asked.headers for asked in server.asked)
        return tuple(RunningServer(s.kind, "", s.models) for s in servers if s.url == server.url)


def test_an_ollama_names_its_models() -> None:
    tags = reply({"models": [{"name": "qwen2.5-coder:1.5b"}, {"name": "llama3"}]})
    assert found("ollama", tags) == (RunningServer("ollama", "", ("qwen2.5-coder:1.5b", "llama3")),)
    assert found("ollama", reply({"models": []})) == (RunningServer("ollama", "", ()),)


@pytest.mark.parametrize(
    "more", [{}, {"model_alias": "qwen.gguf"}, {"model_alias": "/models/qwen.gguf"}]
)
def test_a_llama_server_names_its_model(more: dict[str, str]) -> None:
    expected = (RunningServer("llama-server", "", ("qwen.gguf",)),)
    assert found("llama-server", reply(PROPS | more)) == expected


@pytest.mark.parametrize("kind", ["ollama", "llama-server"])
@pytest.mark.parametrize(
    "answer",
    [page("<html>"), page("x", 500), reply({}), reply([]), reply({"models": 5}), reply(None),
     reply({"total_slots": 1}), reply({}, 401), [head(302, location=NOBODY, content_length=0)],
     [b"SSH-2.0"], []],
)  # fmt: skip
def test_what_answers_otherwise_is_none(kind: RunningKind, answer: list[bytes]) -> None:
    assert found(kind, answer) == ()


def test_who_says_nothing_holds_nobody_up() -> None:
    is_over = threading.Event()

    def silent() -> Iterable[bytes]:
        is_over.wait(PATIENCE_S)
        yield b""

    started_s = time.perf_counter()
    assert found("ollama", silent()) == ()
    assert time.perf_counter() - started_s < PATIENCE_S
    is_over.set()
