"""What becomes of a window's engine when its model cannot be had, and when it can again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from tabby_lsp.config import LocalSettings
from tabby_lsp.domain import EngineError, GenerationRequest, Piece, Segments, Timings
from tabby_lsp.host import engines
from tabby_lsp.host.door import Window, put_in_further
from tabby_lsp.host.engines import HostedEngine
from tabby_lsp.host.model import HostedModel
from tabby_lsp.host.packing import packed, unpacked
from tabby_lsp.models.memory import DoesNotFit

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    import pytest

    from tabby_lsp.host.link import Link

MODEL = HostedModel(role="completion", name="a", path="/a.gguf", local=LocalSettings())
REQUEST = GenerationRequest(Segments(prefix="x", suffix="", language="python"), 8)


class Host:
    """A link to a host, and the conversation with it: fails with these, one after the other."""

    def __init__(self, *, starting: Exception | None = None, loading: Exception | None = None):
        self.starting, self.loading = starting, loading
        self.pid, self.is_open, self.was_parting, self.has_hung = 1, True, False, False
        self.listeners: list[Callable[[], None]] = []
        self.totals: dict[int, Any] = {}
        self.asked: list[dict[str, Any]] = []

    def join(self) -> None: ...

    async def part(self) -> None: ...

    def leave(self, model: int) -> None: ...

    async def conversation(self) -> Host:
        self.starting, error = None, self.starting
        if error is not None:
            raise error
        return self

    async def ask(self, question: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        if question["do"] == "load":
            self.loading, error = None, self.loading
            if error is not None:
                raise error
        else:
            self.asked.append(question)
            yield {"piece": packed(Piece("y", -1.0, Timings(), "stop"))}


def told(host: Host, *, pause_s: float = 0.0) -> list[str]:
    """What is said, or what is told, of two requests, and the state after each."""

    async def ask_twice() -> list[str]:
        engine, heard = HostedEngine(MODEL, (), cast("Link", host)), []
        for _ in range(2):
            try:
                heard += [piece.text async for piece in engine.complete(REQUEST)]
            except EngineError as error:
                heard.append(str(error))
            heard.append(engine.status.state)
            await asyncio.sleep(pause_s)
        await engine.close()
        return heard

    return asyncio.run(ask_twice())


def test_where_memory_was_made_free_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_MEMORY_PAUSE_S", 0.01)
    host = Host(loading=DoesNotFit("close other programs"))

    assert told(host, pause_s=0.05) == ["close other programs", "away", "y", "ready"]


def test_too_little_memory_is_not_tried_at_every_key() -> None:
    host = Host(loading=DoesNotFit("close other programs"))

    assert told(host) == ["close other programs", "away"] * 2


def test_a_model_that_is_damaged_stays_away() -> None:
    assert told(Host(loading=EngineError("damaged"))) == ["damaged", "failed"] * 2


def test_what_nobody_has_foreseen_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_PAUSE_S", 0.01)
    first, *others = told(Host(starting=OSError(24, "Too many open files")), pause_s=0.05)

    assert "Too many open files" in first
    assert others == ["away", "y", "ready"]


def test_text_that_stays_the_same_goes_to_the_host_once() -> None:
    """A hundred thousand characters at each key would take longer than the key's token."""
    texts = [("far " * 50,), ("far " * 50,), ("near",), (), ("near",), ("far " * 50,)]
    requests = [replace(REQUEST, segments=replace(REQUEST.segments, further=t)) for t in texts]
    hosts = [Host(), Host()]

    async def ask() -> None:
        engine = HostedEngine(MODEL, (), cast("Link", hosts[0]))
        for request in requests:
            assert [piece.text async for piece in engine.complete(request)] == ["y"]
        # The next host has heard nothing of it.
        hosts[0].was_parting = True
        for listener in hosts[0].listeners:
            listener()
        engine._link = cast("Link", hosts[1])
        assert [piece.text async for piece in engine.complete(requests[-1])] == ["y"]
        await engine.close()

    asyncio.run(ask())
    assert [each.get("further") for each in hosts[0].asked] == [
        None, "same", None, None, "same", None,
    ]  # fmt: skip
    assert "further" not in hosts[1].asked[0]
    window = Window(1, cast("asyncio.StreamWriter", None))
    for asked, request in zip(hosts[0].asked, requests, strict=True):
        window.models[asked["model"]] = MODEL
        put_in_further(window, asked)
        assert unpacked(GenerationRequest, asked["request"]) == request
