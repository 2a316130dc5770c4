"""Servers for the end-to-end tests, each with a home of its own."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import VSCODE, Profile, initialize_params
from tests.e2e.wire import Client, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Profile], Client]]:
    """Gives a server with its model loaded, for tests that keep to documents of their own.

    There is one for each kind of client.
    """
    clients: dict[str, Client] = {}
    with contextlib.ExitStack() as stack:

        def one(profile: Profile) -> Client:
            if profile.name not in clients:
                root = tmp_path_factory.mktemp("workspace")
                client = stack.enter_context(start(tmp_path_factory.mktemp("home")))
                client.initialize(initialize_params(profile, root=root))
                client.open("untitled:first", "import os\n")
                client.wait_ready()
                client.close("untitled:first")
                clients[profile.name] = client
            return clients[profile.name]

        yield one


@pytest.fixture
def ready(served: Callable[[Profile], Client]) -> Client:
    """The server that believes it serves VSCode."""
    return served(VSCODE)
