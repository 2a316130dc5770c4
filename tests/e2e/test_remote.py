"""The language server with a model that a server runs: no llama.cpp, one message, nothing stuck."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.clients import VSCODE, initialize_params
from tests.e2e.questions import check_drawable, constructor, last_decision
from tests.e2e.wire import (
    AUTOMATIC,
    Client,
    Json,
    start,
    wait_until,
)
from tests.engines.scripted_server import (
    PATIENCE_S,
    Asked,
    ScriptedServer,
    head,
    openai_answer,
    reply,
    said,
    stream,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SHOW = "window/showMessage"
KEY = "sk-canary-5f3a"
# When a server that fails is asked again, at the earliest: the pauses double, up to five seconds.
PAUSES_END_S = list(itertools.accumulate([1, 2, 4, *[5] * 100]))
N_ATTEMPTS = 50


def begin(home: Path, url: str, **settings: Any) -> Client:
    """A server of a user without llama-cpp-python, whose file names this one and a key."""
    absent = home / "absent" / "llama_cpp"
    absent.mkdir(parents=True)
    (absent / "__init__.py").write_text("raise ImportError('llama_cpp was imported')")
    table = {"kind": "openai", "url": url, "api_key": KEY, **settings}
    lines = [f"{key} = {value!r}" for key, value in table.items()]
    config = home / "config.toml"
    config.write_text("\n".join(['engine = "gpu"', "[engines.gpu]", *lines]))
    flags = ("--config", str(config), "--log-level", "info")
    client = start(home, *flags, python_path=absent.parent)
    client.initialize(initialize_params(VSCODE, root=home))
    return client


def shown(client: Client) -> list[str]:
    return [m["params"]["message"] for m in client.notifications if m["method"] == SHOW]


def test_ghost_text_comes_from_the_server_and_llama_cpp_is_not_imported(home: Path) -> None:
    text, cursor = constructor("Box")
    with ScriptedServer(openai_answer(" = hei", "ght\n", "        junk")) as server:
        with begin(home, server.url) as client:
            client.open("untitled:box", text)
            client.wait_ready()
            (item,) = client.complete("untitled:box", cursor)
            assert check_drawable(item, text, cursor, "utf-16", client) == " = height"
            decision = last_decision(client, "untitled:box", prompt=True)
            status = client.execute("tabby.status")
            assert (decision["reason"], decision["model"]) == ("line", "m")
            assert status["engine"]["is_remote"] is True
            assert shown(client) == []
            for said_by_us in (decision, status, client.logged.decode()):
                assert KEY not in str(said_by_us)
            assert b"llama_cpp was imported" not in client.logged
        body = server.bodies[-1]
    assert body["prompt"].endswith("        self.height")
    assert body["suffix"].startswith("\n\n    def area(self):")


def test_languages_that_the_starter_does_not_know_are_completed(home: Path) -> None:
    with (
        ScriptedServer(openai_answer("println!()")) as server,
        begin(home, server.url) as client,
    ):
        client.open("untitled:main", "fn main() {\n    \n}\n", language="rust")
        client.wait_ready()
        items = client.complete("untitled:main", {"line": 1, "character": 4})
        assert [item["insertText"] for item in items] == ["println!()"]


def test_a_server_that_is_away_is_one_message_and_is_used_when_it_comes_back(home: Path) -> None:
    text, cursor = constructor("Crate")
    is_up = False

    def answer(asked: Asked) -> Iterable[bytes]:
        healthy = openai_answer(" = height")
        return healthy(asked) if is_up else reply({"error": {"message": f"{time.time()}"}}, 500)

    with ScriptedServer(answer) as server, begin(home, server.url) as client:
        opened_s = time.monotonic()
        client.open("untitled:crate", text)
        assert wait_until(lambda: client.engine_state() == "away", PATIENCE_S)
        for _ in range(20):
            assert client.complete("untitled:crate", cursor) == []
            time.sleep(0.1)
        n_pauses_over = sum(at_s < time.monotonic() - opened_s for at_s in PAUSES_END_S)
        assert len(server.asked) <= 1 + n_pauses_over
        decision = last_decision(client, "untitled:crate")
        message = client.execute("tabby.status")["engine"]["message"]
        assert (decision["outcome"], decision["reason"]) == ("failed", "engine-away")
        assert shown(client) == [message]
        assert f"{server.url}/v1 failed (500" in message

        is_up = True
        assert wait_until(
            lambda: bool(client.complete("untitled:crate", cursor)), PATIENCE_S, every_s=0.2
        )
        assert client.engine_state() == "ready"
        assert shown(client) == [message]


def test_a_server_that_says_nothing_leaves_no_request_unanswered(home: Path) -> None:
    text, cursor = constructor("Tin")

    def silent(asked: Asked) -> Iterable[bytes]:
        if asked.path.endswith("/models"):
            yield from reply({"data": [{"id": "m"}]})
            return
        yield head(content_type="text/event-stream", transfer_encoding="chunked")
        while True:
            time.sleep(0.05)
            yield b"1\r\n:\r\n"

    with ScriptedServer(silent) as server, begin(home, server.url, timeout_ms=3_000) as client:
        client.open("untitled:tin", text)
        client.wait_ready()
        assert client.complete("untitled:tin", cursor) == []
        assert server.hung_up.wait(PATIENCE_S)
        assert wait_until(lambda: bool(shown(client)), PATIENCE_S)
        (message,) = shown(client)
        assert "took too long" in message
        assert "timeout_ms" in message


def test_a_cancelled_request_closes_the_connection(home: Path) -> None:
    text, cursor = constructor("Jar")

    def slow(asked: Asked) -> Iterable[bytes]:
        if asked.path.endswith("/models"):
            return reply({"data": [{"id": "m"}]})

        def endless() -> Iterable[bytes]:
            while True:
                time.sleep(0.02)
                yield said("")

        return stream(endless())

    with ScriptedServer(slow) as server, begin(home, server.url) as client:
        client.open("untitled:jar", text)
        client.wait_ready()
        asked = client.ask("untitled:jar", cursor)
        assert wait_until(lambda: bool(server.bodies), PATIENCE_S)
        assert not server.hung_up.is_set()
        client.cancel(asked)
        assert asked.reply().code == -32800
        assert server.hung_up.wait(PATIENCE_S)
        assert shown(client) == []
        assert client.engine_state() == "ready"


def test_a_fast_typist_asks_the_server_seldom(home: Path) -> None:
    with (
        ScriptedServer(openai_answer(" = height")) as server,
        begin(home, server.url) as client,
    ):
        for attempt in range(N_ATTEMPTS):
            n_before = len(server.bodies)
            longest_gap_s = type_fast(client, f"Case{attempt}")
            # Where this machine had other things to do, somebody else would have asked too.
            if longest_gap_s < 0.1:
                break
        assert longest_gap_s < 0.1
        assert len(server.bodies) - n_before == 1


def type_fast(client: Client, name: str) -> float:
    """Type a word in a document of its own; the longest time between two keys, in seconds."""
    text, cursor = constructor(name)
    uri = f"untitled:{name}"
    client.open(uri, text)
    client.wait_ready()
    line, first = cursor["line"], cursor["character"]
    asked, typed_s = [], []
    for n_typed, letter in enumerate("_in_metres", 1):
        place: Json = {"line": line, "character": first + n_typed - 1}
        change = {"range": {"start": place, "end": place}, "text": letter}
        client.change(uri, 1 + n_typed, change)
        here: Json = {"line": line, "character": first + n_typed}
        asked.append(client.ask(uri, here, kind=AUTOMATIC))
        typed_s.append(time.monotonic())
        time.sleep(0.03)
    assert asked[-1].result()["items"][0]["insertText"] == " = height"
    assert not any((request.result() or {}).get("items") for request in asked[:-1])
    return max(later - earlier for earlier, later in itertools.pairwise(typed_s))


def test_a_fixed_wait_stands_over_the_adaptive_one_and_delays_nothing_known(home: Path) -> None:
    text, cursor = constructor("Trunk")
    waits = {"completion": {"debounce_ms": 4_000}}
    with (
        ScriptedServer(openai_answer(" = height")) as server,
        begin(home, server.url) as client,
    ):
        client.settings = waits
        client.notify("workspace/didChangeConfiguration", {"settings": {"tabby-lsp": waits}})
        client.open("untitled:trunk", text)
        client.wait_ready()
        asked_s = time.monotonic()
        assert client.complete("untitled:trunk", cursor, kind=AUTOMATIC)
        assert time.monotonic() - asked_s > 3.8

        change = {"range": {"start": cursor, "end": cursor}, "text": " ="}
        client.change("untitled:trunk", 2, change)
        further: Json = {"line": cursor["line"], "character": cursor["character"] + 2}
        asked_s = time.monotonic()
        (item,) = client.complete("untitled:trunk", further, kind=AUTOMATIC)
        assert item["insertText"] == " height"
        assert time.monotonic() - asked_s < 3.8
        assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"api_key_env": "NO_SUCH_VARIABLE", "api_key": ""}, "`api_key_env`"),
        ({"family": "Llama"}, "Qwen2.5-Coder"),
    ],
)
def test_an_engine_that_cannot_be_made_is_one_message(
    home: Path, table: dict[str, str], words: str
) -> None:
    with begin(home, "http://127.0.0.1:1", **table) as client:
        client.open("untitled:a", "import \n")
        assert client.complete("untitled:a", {"line": 0, "character": 7}) == []
        (message,) = shown(client)
        assert words in message
        assert client.engine_state() == "failed"
