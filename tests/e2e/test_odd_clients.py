"""Clients that are newer than our types, push settings in bursts, or ask for what has no reply."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.clients import VSCODE, initialize_params
from tests.e2e.hosts import status
from tests.e2e.wire import Client, Json, start, wait_until
from tests.models.model_files import STARTER

METHOD_NOT_FOUND = -32601


@pytest.mark.parametrize(
    "oddity",
    [
        {"trace": "banana"},
        {"capabilities": {"textDocument": {"codeAction": {"codeActionLiteralSupport": {}}}}},
    ],
)
def test_what_we_cannot_read_of_initialize_is_left_out(oddity: Json, server: Client) -> None:
    server.initialize({**initialize_params(VSCODE), **oddity})
    server.open("untitled:a", "import \n")

    assert server.execute("tabby.status")["engine"]["model"] == "starter"


def test_the_encoding_of_a_client_that_is_read_in_part_still_counts(server: Client) -> None:
    params = initialize_params(VSCODE)
    params["capabilities"]["general"] = {"positionEncodings": ["utf-8"]}
    server.initialize({**params, "trace": "banana"})

    assert server.capabilities["positionEncoding"] == "utf-8"


@pytest.mark.parametrize(
    "method",
    ["textDocument/didOpen", "workspace/didChangeConfiguration", "initialized", "exit"],
)
def test_a_notification_that_is_sent_as_a_request_is_refused(method: str, ready: Client) -> None:
    assert ready.request(method, {}).reply().code == METHOD_NOT_FOUND


def install_copy(home: Path) -> None:
    models = home / ".local/share/tabby-lsp/models"
    models.mkdir(parents=True)
    (models / "copy.gguf").write_bytes(STARTER.read_bytes())


def settings_in_bursts(client: Client, home: Path) -> None:
    """Exchange the model again and again, and end with the one of the beginning."""
    client.initialize(initialize_params(VSCODE, root=home))
    client.open("untitled:a", "import \n")
    client.wait_ready()
    for model in ["copy", "starter"] * 4:
        settings = {"tabby-lsp": {"model": model}}
        client.notify("workspace/didChangeConfiguration", {"settings": settings})
    client.open("untitled:b", "import \n")
    client.complete("untitled:b", {"line": 0, "character": 7})
    client.wait_ready()


def test_settings_in_bursts_leave_one_model_behind(home: Path) -> None:
    install_copy(home)
    with start(home, "--stdio", "--in-process") as client:
        settings_in_bursts(client, home)
        maps = Path(f"/proc/{client.process.pid}/maps").read_text()

    assert maps.count(".gguf") <= 1


def test_settings_in_bursts_leave_one_model_behind_in_the_host(home: Path) -> None:
    install_copy(home)
    with start(home) as client:
        settings_in_bursts(client, home)
        # What no window uses any more is given back after the time that a host stays.
        assert wait_until(
            lambda: [m["name"] for m in (status(home) or {})["models"]] == ["starter"], 15, 0.3
        )
