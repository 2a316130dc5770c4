"""A server's life from the first handshake to its end, whoever ends it and whatever it does."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import (
    COC,
    LSP_MODE,
    MINIMAL,
    NEOVIM_0_12,
    PROFILES,
    VSCODE,
    Profile,
    initialize_params,
    speaking,
)
from tests.e2e.questions import SOURCE, START
from tests.e2e.wire import (
    INLINE_COMPLETION,
    Client,
    inline_params,
    server_command,
    start,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.wire import Json

INVALID_REQUEST = -32600
NOT_INITIALIZED = -32002

END_S = 30.0  # the promise is one second; the others are for a machine that does other things too


# Initialize.


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_initialize_answers_with_what_the_server_can_do(
    profile: Profile, served: Callable[[Profile], Client]
) -> None:
    client = served(profile)
    capabilities = client.capabilities
    assert client.greeting["serverInfo"]["name"] == "tabby-lsp"
    # lsp-mode reads an empty object as nil, that is as "cannot".
    assert isinstance(capabilities["inlineCompletionProvider"], dict)
    assert capabilities["inlineCompletionProvider"]
    assert capabilities["textDocumentSync"]["openClose"] is True
    assert capabilities["textDocumentSync"]["change"] == 2
    assert capabilities.get("positionEncoding", "utf-16") == profile.encoding
    commands = capabilities["executeCommandProvider"]["commands"]
    assert {"tabby.status", "tabby.inspect"} < set(commands)
    assert any("accept" in command.lower() for command in commands)
    assert len(commands) == len(set(commands))


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["utf-7", "utf-32", "utf-8", "utf-16"], "utf-32"),
        (["utf-7"], "utf-16"),
    ],
)
def test_the_first_encoding_that_is_known_is_chosen(
    offered: list[str], chosen: str, server: Client
) -> None:
    params = initialize_params(MINIMAL)
    params["capabilities"] = {"general": {"positionEncodings": offered}}
    assert server.initialize(params).get("positionEncoding", "utf-16") == chosen


def test_a_client_that_can_do_nothing_is_asked_for_nothing(server: Client) -> None:
    server.initialize(initialize_params(MINIMAL))
    server.open("untitled:a", SOURCE)
    server.wait_ready()
    assert server.server_requests == []
    assert [n for n in server.notifications if n["method"] == "$/progress"] == []


def test_a_client_that_never_answers_is_served_all_the_same(home: Path) -> None:
    with start(home, answers=False) as client:
        client.initialize(initialize_params(VSCODE, root=home))
        client.open("untitled:a", "class Point:\n    def __init__(self, x):\n        self.\n")
        client.wait_ready()
        assert client.complete("untitled:a", {"line": 2, "character": 13})


@pytest.mark.parametrize(
    "params",
    [
        initialize_params(COC) | {"rootUri": None, "rootPath": None, "workspaceFolders": None},
        initialize_params(LSP_MODE, options={}) | {"rootUri": "file:///no/such/folder"},
        initialize_params(NEOVIM_0_12) | {"rootUri": "vscode-vfs://github/a/b", "trace": "off"},
        initialize_params(
            VSCODE, options={"jsonrpc": "2.0", "method": "exit", "id": 1, "no_such_setting": [1]}
        ),
    ],
    ids=["no folder", "no such folder", "virtual folder", "unknown settings"],
)
def test_odd_but_lawful_greetings_are_answered(params: Json, server: Client) -> None:
    assert server.initialize(params)["inlineCompletionProvider"]
    server.inspect()
    assert len(server.replies) == 2


def test_requests_before_initialize_are_refused(server: Client) -> None:
    requests = [
        server.request(INLINE_COMPLETION, inline_params("untitled:a", START)),
        server.request("workspace/executeCommand", {"command": "tabby.status"}),
        server.request("shutdown"),
        server.request("no/suchMethod"),
    ]
    server.open("untitled:a", "x = 1\n")
    assert [request.reply().code for request in requests] == [NOT_INITIALIZED] * 4
    server.initialize(initialize_params())
    assert server.inspect()["documents"] == []
    assert all(len(replies) == 1 for replies in server.replies.values())


def test_a_second_initialize_is_refused(server: Client) -> None:
    server.initialize(initialize_params())
    assert server.request("initialize", initialize_params(VSCODE)).reply().code == INVALID_REQUEST
    assert server.inspect()["documents"] == []


# The end.


def check_ends(client: Client, expected_status: int) -> None:
    """The process ends soon and with this status, and stdout stayed clean."""
    assert client.wait_ended(END_S) == expected_status
    assert client.foreign == []
    assert b"Traceback" not in client.logged


def test_after_shutdown_requests_are_refused_and_exit_ends_well(server: Client) -> None:
    server.initialize(initialize_params())
    assert server.request("shutdown").reply().message["result"] is None
    requests = [
        server.request("workspace/executeCommand", {"command": "tabby.status"}),
        server.request(INLINE_COMPLETION, inline_params("untitled:a", START)),
        server.request("no/suchMethod"),
        server.request("shutdown"),
    ]
    server.open("untitled:a", "x = 1\n")
    assert [request.reply().code for request in requests] == [INVALID_REQUEST] * 4
    server.notify("exit")
    check_ends(server, 0)
    assert all(len(replies) == 1 for replies in server.replies.values())


def test_exit_without_shutdown_ends_with_status_1(server: Client) -> None:
    server.initialize(initialize_params())
    server.notify("exit")
    check_ends(server, 1)


def test_exit_before_initialize_ends_with_status_1(server: Client) -> None:
    server.notify("exit")
    check_ends(server, 1)


def test_the_end_of_stdin_ends_an_idle_server(server: Client) -> None:
    server.initialize(initialize_params())
    server.inspect()
    server.close_stdin()
    server.wait_ended(END_S)
    assert b"Traceback" not in server.logged


def test_the_end_of_stdin_in_the_middle_of_a_frame_ends_it(server: Client) -> None:
    server.initialize(initialize_params())
    server.send_bytes(b'Content-Length: 100\r\n\r\n{"jsonrpc"')
    server.close_stdin()
    server.wait_ended(END_S)
    assert b"Traceback" not in server.logged


def test_the_end_of_stdin_ends_a_server_that_loads(server: Client) -> None:
    server.initialize(initialize_params())
    server.open("untitled:a", SOURCE)
    wait_until(lambda: server.engine_state() == "loading", 1.0)
    server.close_stdin()
    server.wait_ended(END_S)
    assert server.foreign == []


def begin_generating(client: Client) -> None:
    """Leave the engine with a queue of work."""
    client.initialize(initialize_params())
    lines = SOURCE.splitlines(keepends=True)
    for number in range(8):
        head = "".join(lines[: 60 + 20 * number])
        client.open(f"untitled:{number}", f"{head}    result = ")
    client.wait_ready()
    for number in range(8):
        position = {"line": 60 + 20 * number, "character": 13}
        client.ask(f"untitled:{number}", position)
    time.sleep(0.03)  # so that the first of them is being worked on


def test_the_end_of_stdin_ends_a_server_that_generates(server: Client) -> None:
    begin_generating(server)
    server.close_stdin()
    server.wait_ended(END_S)
    assert server.foreign == []


def test_shutdown_and_exit_end_a_server_that_generates(server: Client) -> None:
    begin_generating(server)
    server.call("shutdown")
    server.notify("exit")
    check_ends(server, 0)
    assert all(len(replies) == 1 for replies in server.replies.values())


def test_a_disk_that_does_not_answer_keeps_no_server_alive(home: Path) -> None:
    script = (
        "import time; from tabby_lsp.index.neighbours import Neighbours as n;"
        f"n._read = lambda *_: time.sleep({10 * END_S}); from tabby_lsp.cli import main; main([])"
    )
    with start(home, command=[sys.executable, "-c", script]) as client:
        client.initialize(initialize_params(VSCODE, root=home))
        client.open((home / "a.py").as_uri(), SOURCE)
        time.sleep(0.5)
        client.call("shutdown")
        client.notify("exit")
        check_ends(client, 0)


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "generating"])
def test_the_death_of_the_editor_ends_it_though_stdin_stays_open(busy: bool, home: Path) -> None:
    # The shell plays the editor; this process goes on holding the server's stdin.
    script = f"exec 3<&0; {shlex.join(server_command())} <&3 & wait"
    with start(home, command=["sh", "-c", script]) as client:
        params = initialize_params(process_id=client.process.pid)
        if busy:
            client.call("initialize", params)
            client.notify("initialized", {})
            client.open("untitled:a", SOURCE)
            client.wait_ready()
            client.ask("untitled:a", {"line": 100, "character": 0})
        else:
            client.initialize(params)
            client.inspect()
        client.process.kill()
        assert client.wait_silent(END_S + 1.0)
        assert client.foreign == []


def test_an_editor_that_is_not_there_at_the_start_is_not_watched(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    with contextlib.ExitStack() as stack:
        clients = []
        for process_id in (dead.pid, 0):
            home = tmp_path / str(process_id)
            home.mkdir()
            client = stack.enter_context(start(home))
            client.initialize(initialize_params(process_id=process_id))
            clients.append(client)
        time.sleep(2.0)
        assert all(client.inspect()["documents"] == [] for client in clients)


def test_a_living_editor_is_left_in_peace_and_ended_with(server: Client) -> None:
    editor = subprocess.Popen(["sleep", "60"])
    try:
        server.initialize(initialize_params(process_id=editor.pid))
        time.sleep(1.2)
        server.inspect()
    finally:
        editor.kill()
        editor.wait()
    assert server.wait_silent(END_S + 1.0)


# Flags.


@pytest.mark.parametrize(
    "flags",
    [
        ("--stdio", f"--clientProcessId={os.getpid()}"),
        ("--stdio", "--clientProcessId=1", "--locale=en-GB", "--stdio"),
    ],
)
def test_flags_that_clients_add_are_tolerated(flags: tuple[str, ...], home: Path) -> None:
    with start(home, *flags) as client:
        assert client.initialize(initialize_params(VSCODE))["inlineCompletionProvider"]


def test_without_a_flag_it_is_the_language_server(home: Path) -> None:
    with start(home, command=server_command()[:-1]) as client:
        assert (
            client.initialize(initialize_params(speaking("utf-8")))["positionEncoding"] == "utf-8"
        )
