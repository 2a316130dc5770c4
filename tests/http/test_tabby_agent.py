"""The real tabby-agent, in both of its languages, against the real server with the starter."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from tests.e2e.wire import wait_until
from tests.http.agent import PATIENCE_S, Agent, as_language_server
from tests.http.served import free_port, serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.wire import Client
    from tests.http.served import Served

CLASS = "class A:\n    def __init__(self, width):\n        self.width"
OTHER_CLASS = "class B:\n    def __init__(self, height):\n        self.height"


def suggested(answer: Any) -> list[str]:
    """The texts of a completion."""
    return [choice["text"] for choice in answer["choices"]]


def menu(client: Client, uri: str, text: str) -> list[str]:
    """Open a file and ask at its end."""
    client.open(uri, text)
    lines = text.split("\n")
    place = {"line": len(lines) - 1, "character": len(lines[-1])}
    asked = client.request(
        "textDocument/completion",
        {"textDocument": {"uri": uri}, "position": place, "context": {"triggerKind": 1}},
    )
    return [item["textEdit"]["newText"] for item in asked.result(PATIENCE_S)["items"]]


def warnings(client: Client) -> list[str]:
    shown = [each for each in client.notifications if each["method"] == "window/showMessage"]
    return [each["params"]["message"] for each in shown]


def initialize(client: Client) -> None:
    client.initialize({"processId": None, "rootUri": None, "capabilities": {}})


def key_of(home: Path) -> str:
    (path,) = (home / ".local/share").rglob("keys.json")
    keys = json.loads(path.read_text())
    return str(keys["api"])


# As a language server.


def test_the_agent_completes_as_a_language_server(served: Served, home: Path) -> None:
    with as_language_server(home, served.url) as client:
        initialize(client)
        assert menu(client, "file:///x/a.py", CLASS) == ["width = width"]
        assert warnings(client) == []


def test_the_agent_completes_again_after_its_server_was_restarted(home: Path) -> None:
    port = ("--port", str(free_port()))
    with ExitStack() as leaving:
        with serving(home, *port) as server:
            client = leaving.enter_context(as_language_server(home, server.url))
            initialize(client)
            assert menu(client, "file:///x/a.py", CLASS)
        assert menu(client, "file:///x/b.py", OTHER_CLASS) == []
        assert wait_until(lambda: warnings(client) != [], PATIENCE_S)
        assert warnings(client) == ["Tabby agent status: disconnected"]
        with serving(home, *port):
            assert menu(client, "file:///x/c.py", OTHER_CLASS) == ["height = height"]


# In lines of JSON.


def test_the_agent_finds_a_tabby_server(served: Served, home: Path) -> None:
    with Agent.started(home, served.url) as agent:
        assert agent.call("getStatus") == "ready"
        assert agent.call("getIssues") == []
        assert agent.call("getServerHealthState") == served.json("/v1/health")


def test_what_became_of_the_agents_suggestion_is_written_down(home: Path) -> None:
    with serving(home) as server, Agent.started(home, server.url) as agent:
        answer = agent.complete(CLASS)
        assert suggested(answer) == [" = width"]
        event = {"type": "select", "completion_id": answer["id"], "choice_index": 0}
        assert agent.call("postEvent", {**event, "select_kind": "line", "elapsed": 700}) is True
        assert agent.call("postEvent", {**event, "type": "view", "view_id": "view-1"}) is True
    (journal,) = (home / ".local/state").rglob("events/*.json")
    selected, viewed = [json.loads(line)["event"] for line in journal.read_text().splitlines()]
    told = {"completion_id": answer["id"], "choice_index": 0}
    assert selected == {"select": {**told, "kind": "line", "elapsed": 700}}
    assert viewed == {"view": {**told, "view_id": "view-1"}}


def test_the_agent_says_that_its_key_is_wrong(home: Path, tmp_path: Path) -> None:
    with serving(home, "--host", "0.0.0.0") as server:
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        with Agent.started(tmp_path, url, "auth_" + "0" * 32) as agent:
            assert agent.statuses == ["unauthorized"]
            assert agent.complete(CLASS) is None
            assert agent.call("updateConfig", "server.token", key_of(home)) is True
            assert agent.statuses == ["unauthorized", "ready"]
            assert suggested(agent.complete(CLASS)) == [" = width"]


def test_the_agent_comes_back_with_its_server(home: Path) -> None:
    port = ("--port", str(free_port()))
    with ExitStack() as leaving:
        with serving(home, *port) as server:
            agent = leaving.enter_context(Agent.started(home, server.url))
            assert agent.call("getStatus") == "ready"
        assert agent.complete(CLASS) is None
        assert wait_until(lambda: agent.call("getStatus") == "disconnected", PATIENCE_S)
        with serving(home, *port):
            assert suggested(agent.complete(OTHER_CLASS)) == [" = height"]
            # It would ask for the server's health by itself every 30 s; this makes it ask now.
            agent.call("requestAuthUrl", {})
            assert agent.statuses == ["ready", "disconnected", "ready"]
