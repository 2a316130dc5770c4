"""What the start leaves to do: garbage is looked for again, and not among what was imported."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest
from lsprotocol import types as lsp

from tabby_lsp.app import App
from tabby_lsp.config import Settings
from tabby_lsp.engines.llama.precedence import Precedence
from tabby_lsp.engines.scripted import ScriptedEngine
from tabby_lsp.servers.lsp.garbage import spare_the_start
from tabby_lsp.servers.lsp.server import create_server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def collector() -> Iterator[None]:
    """Has it as it was, afterwards."""
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("collector")
def test_after_initialize_garbage_is_collected_but_not_sought_in_what_stays() -> None:
    as_a_rule = gc.get_threshold()
    spare_the_start()
    assert gc.get_threshold() != as_a_rule
    engine = ScriptedEngine(())
    server = create_server(lambda _: App(Settings(), engine, engine, Precedence()), ())
    initialize = server.protocol.fm.features[lsp.INITIALIZE]
    asyncio.run(initialize(lsp.InitializeParams(capabilities=lsp.ClientCapabilities())))

    assert gc.get_threshold() == as_a_rule
    assert gc.get_freeze_count() > 10_000
    assert len(gc.get_objects()) < 10_000
