"""Somebody who types `tabby-lsp models ...` in a home of their own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tabby_lsp.cli import main
from tests.models.model_files import write_model

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

FIM_TOKENS = ("a", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")


@dataclass(frozen=True, slots=True)
class Said:
    """What came of a command."""

    status: int
    out: str
    err: str


class Person:
    """Somebody at a terminal, with a home of their own."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self.config = home / ".config/tabby-lsp/config.toml"
        self.models = home / ".local/share/tabby-lsp/models"
        self._capsys = capsys

    def types(self, *arguments: str) -> Said:
        self._capsys.readouterr()
        try:
            status = main(["models", *arguments])
        except SystemExit as left:
            status = int(str(left.code))
        captured = self._capsys.readouterr()
        return Said(status, captured.out, captured.err)

    def list(self) -> dict[str, dict[str, Any]]:
        said = self.types("list", "--json")
        assert said.status == 0
        return {each["name"]: each for each in json.loads(said.out)}

    def puts(self, name: str, **about: Any) -> Path:
        """A model file anywhere in the home folder."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_model(path, **about)


def check_refused(said: Said, *phrases: str) -> None:
    """The last word on standard error is the command's, and 1."""
    assert said.status == 1
    assert said.out == ""
    assert "\ntabby-lsp models: " in f"\n{said.err}"
    assert [phrase for phrase in phrases if phrase not in said.err] == [], said.err
    assert "Traceback" not in said.err
