"""A model that cannot be used is a sentence with its path and a remedy, and the server stays up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import tabby_lsp
from tests.e2e.clients import VSCODE, initialize_params
from tests.e2e.wire import PATIENCE_S, Json, isolated_environment, start, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

STARTER = next((Path(tabby_lsp.__file__).parent / "models" / "starter").glob("*.gguf"))
SHOW = "window/showMessage"
PLACE: Json = {"line": 0, "character": 7}


# Each makes a file, or none, and says a word that belongs into the sentence about it.


def absent(path: Path) -> str:
    return "there is no file"


def not_a_model(path: Path) -> str:
    path.write_text("<!doctype html><html>Sign in</html>")
    return "GGUF"


def truncated(path: Path) -> str:
    path.write_bytes(STARTER.read_bytes()[:5_000_000])
    return "5,000,000"


def corrupt(path: Path) -> str:
    content = bytearray(STARTER.read_bytes())
    content[8:16] = b"\xff" * 8
    path.write_bytes(content)
    return "tensors"


CASES = [absent, not_a_model, truncated, corrupt]


@pytest.mark.parametrize("make", CASES)
def test_the_server_says_so_once_and_stays_up(home: Path, make: Callable[[Path], str]) -> None:
    path = home / "model.gguf"
    word = make(path)
    with start(home, "--model", str(path)) as client:
        client.initialize(initialize_params(VSCODE, root=home))
        client.open("untitled:a", "import \n")
        assert client.complete("untitled:a", PLACE) == []
        assert client.complete("untitled:a", PLACE) == []
        engine = client.execute("tabby.status")["engine"]
        decision = client.inspect(n=1)["decisions"][-1]
        shown = [m["params"]["message"] for m in client.notifications if m["method"] == SHOW]

    assert engine["state"] == "failed"
    assert str(path) in engine["message"]
    assert word in engine["message"]
    assert decision["reason"] == "model-failed"
    assert shown == [engine["message"]]


@pytest.mark.parametrize("make", CASES)
def test_a_command_ends_with_the_sentence(home: Path, make: Callable[[Path], str]) -> None:
    path, code = home / "model.gguf", home / "a.py"
    word = make(path)
    code.write_text("import \n")
    for arguments in (["complete", f"{code}:1:8"], ["doctor"], ["demo"]):
        run = subprocess.run(
            [sys.executable, "-m", "tabby_lsp", *arguments, "--model", str(path)],
            env=isolated_environment(home), capture_output=True, text=True, check=False,
        )  # fmt: skip
        said = run.stdout + run.stderr
        assert run.returncode == 1
        assert word in said
        assert str(path) in said
        assert "Traceback" not in said


def test_a_context_longer_than_the_model_is_refused_with_both_numbers(home: Path) -> None:
    config = home / "config.toml"
    config.write_text("[local]\nn_ctx = 4096\n")
    with start(home, "--config", str(config)) as client:
        client.initialize(initialize_params(VSCODE, root=home))
        client.open("untitled:a", "import \n")
        wait_until(lambda: client.engine_state() == "failed", PATIENCE_S)
        message = client.execute("tabby.status")["engine"]["message"]

    assert "4096" in message
    assert "1024" in message


@pytest.mark.parametrize("name", ["Qwen2.5-Coder-0.5B", "qwen2.5-coder-0.5b"])
def test_an_editor_may_name_a_model_of_the_catalogue_and_is_told_how_to_get_it(
    home: Path, name: str
) -> None:
    """And nothing is fetched: who reads the sentence decides."""
    with start(home) as client:
        client.initialize(initialize_params(VSCODE, root=home, options={"model": name}))
        client.open("untitled:a", "import \n")
        assert client.complete("untitled:a", PLACE) == []
        shown = [m["params"]["message"] for m in client.notifications if m["method"] == SHOW]

    assert [message.partition(", or")[0] for message in shown] == [
        "Qwen2.5-Coder-0.5B is not installed;"
        " get it with `tabby-lsp models pull Qwen2.5-Coder-0.5B`"
    ]
    assert list(home.rglob("*.gguf")) == []


def test_an_editor_may_name_a_model_that_is_installed(home: Path) -> None:
    models = home / ".local/share/tabby-lsp/models"
    models.mkdir(parents=True)
    (models / "Mine.gguf").symlink_to(STARTER)
    with start(home) as client:
        client.initialize(initialize_params(VSCODE, root=home, options={"model": "mine"}))
        client.open("untitled:a", "import \n")
        client.wait_ready()


def test_a_settings_file_that_is_a_mess_costs_no_more_than_itself(home: Path) -> None:
    config = home / "own.toml"
    os.mkfifo(config)
    with start(home, "--config", str(config)) as client:
        client.initialize(initialize_params(VSCODE, root=home))
        status = client.execute("tabby.status")
        shown = [m["params"]["message"] for m in client.notifications if m["method"] == SHOW]

    assert status["engine"]["model"] == "starter"
    assert status["config"] == str(config)
    assert [message for message in shown if message.startswith(f"{config} is ignored: ")]


def test_an_unknown_name_lists_those_that_there_are(home: Path) -> None:
    with start(home, "--model", "nonesuch") as client:
        client.initialize(initialize_params(VSCODE, root=home))
        message = client.execute("tabby.status")["engine"]["message"]

    assert "nonesuch" in message
    assert "starter" in message
