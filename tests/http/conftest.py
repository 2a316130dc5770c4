"""Servers for the tests of HTTP, one for all that only ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.http.served import serving
from tests.models.chat_model import write_chat_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.http.served import Served


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GGUF file that chats, in words without meaning."""
    return write_chat_model(tmp_path_factory.mktemp("models") / "nonsense-chat.gguf")


@pytest.fixture(scope="session")
def endless_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GGUF file that chats for minutes unless it is stopped."""
    path = tmp_path_factory.mktemp("models") / "nonsense-chat.gguf"
    return write_chat_model(path, n_ctx=32_768, has_end=False)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, chat_model: Path) -> Iterator[Served]:
    """The starter and the chat model, on this machine, without keys."""
    home = tmp_path_factory.mktemp("served")
    with serving(home, "--chat-model", str(chat_model)) as server:
        yield server
