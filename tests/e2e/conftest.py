"""Servers for the end-to-end tests, each with a home of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import VSCODE, initialize_params
from tests.e2e.wire import Client, start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def server(home: Path) -> Iterator[Client]:
    """A server that nobody has greeted yet."""
    with start(home) as client:
        yield client


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server with its model loaded, for tests that keep to documents of their own."""
    with start(tmp_path_factory.mktemp("ready")) as client:
        root = tmp_path_factory.mktemp("workspace")
        client.initialize(initialize_params(VSCODE, root=root))
        client.open("untitled:first", "import os\n")
        client.wait_ready()
        client.close("untitled:first")
        yield client
