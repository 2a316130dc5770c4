"""A home for each test of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from huggingface_hub import constants

from tabby_lsp.engines.remote import running
from tests.commands.person import Person

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def person(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Person:
    for variable in (
        "OLLAMA_MODELS",
        "LLAMA_CACHE",
        "HF_TOKEN",
        "TABBY_LSP_MODEL",
        "TABBY_LSP_ENGINE",
    ):
        monkeypatch.delenv(variable, raising=False)
    for variable, folder in {
        "HOME": ".",
        "XDG_CONFIG_HOME": ".config",
        "XDG_DATA_HOME": ".local/share",
        "XDG_CACHE_HOME": ".cache",
    }.items():
        monkeypatch.setenv(variable, str(tmp_path / folder))
    # What runs on the machine of whoever runs the tests is none of their business.
    monkeypatch.setattr(running, "PLACES", ())
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / ".cache/huggingface/hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    return Person(tmp_path, capsys)
