"""Who comes through the gate, and with what."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tabby_lsp.servers.http import gate
from tabby_lsp.servers.http.gate import (
    LOOPBACK_NAMES,
    MAX_BODY_BYTES,
    MAX_DEPTH,
    MAX_HEADER_BYTES,
    Gate,
    Rules,
)
from tabby_lsp.servers.http.keys import Keys

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

KEYS = Keys(api="a" * 32, admin="b" * 32, path=Path("keys.json"))
OPEN = Rules(hosts=LOOPBACK_NAMES)
LOCKED = Rules(
    hosts={*LOOPBACK_NAMES, "box.lan"}, keys=KEYS, admin_routes={("POST", "/v1/model/load")}
)
JSON = {"content-type": "application/json"}


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """What stands behind the gate: says how many bytes came through."""
    message = await receive()
    body = str(len(message["body"])).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def ask(
    rules: Rules, method: str, path: str, headers: dict[str, str], body: bytes = b""
) -> tuple[int, Any, dict[str, str]]:
    sent: list[Message] = []
    given: list[Message] = [{"type": "http.request", "body": body}]
    headers = {"host": "127.0.0.1:8080", "content-length": str(len(body)), **headers}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": raw}

    async def receive() -> Message:
        return given.pop(0) if given else await asyncio.Future()

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(Gate(echo, rules)(scope, receive, send))
    body = sent[1]["body"]
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], json.loads(body) if body else None, told


def check(
    status: int, headers: dict[str, str], rules: Rules = OPEN, path: str = "/v1/health"
) -> None:
    assert ask(rules, "GET", path, headers)[0] == status


# Host.


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:9000", "LOCALHOST", "[::1]:8080"])
def test_the_names_of_this_machine_are_known(host: str) -> None:
    check(200, {"host": host})


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.", "", "127.0.0.1, evil.example",
     "127.0.0.1@evil.example", "0.0.0.0", "127.1", "[::ffff:127.0.0.1]", "box.lan"],
)  # fmt: skip
def test_every_other_name_is_refused(host: str) -> None:
    check(421, {"host": host})


def test_a_configured_name_is_known() -> None:
    check(401, {"host": "box.lan:8080"}, LOCKED)


# Origin.


def test_the_servers_own_page_may_ask() -> None:
    check(200, {"origin": "http://127.0.0.1:8080", "sec-fetch-site": "same-origin"})


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:8080", "http://127.0.0.1:8081", ""]
)
def test_pages_of_other_origins_may_not(origin: str) -> None:
    check(403, {"origin": origin})


def test_a_configured_origin_may() -> None:
    rules = Rules(hosts=LOOPBACK_NAMES, origins={"https://ide.example"})
    check(200, {"origin": "https://ide.example"}, rules)


def test_a_page_of_a_configured_origin_may_read_what_it_is_told() -> None:
    """Answers and refusals; and what it may send is told before it has a key."""
    rules = replace(LOCKED, origins={"https://ide.example"})
    page = {"origin": "https://ide.example", "sec-fetch-site": "cross-site"}
    first = {"access-control-request-method": "POST"}
    key = {"authorization": f"Bearer {KEYS.api}"}
    for status, method, more in ((204, "OPTIONS", first), (401, "GET", {}), (200, "GET", key)):
        answered, _, told = ask(rules, method, "/v1/health", page | more)
        assert answered == status
        assert told["access-control-allow-origin"] == "https://ide.example"
        assert told["vary"] == "Origin"
    told = ask(rules, "OPTIONS", "/v1/health", page | first)[2]
    assert "authorization" in told["access-control-allow-headers"]


def test_no_other_page_is_told_anything() -> None:
    rules = replace(LOCKED, origins={"https://ide.example"})
    evil = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    status, _, told = ask(rules, "OPTIONS", "/v1/health", evil)
    assert (status, "access-control-allow-origin" in told) == (403, False)
    known = {"origin": "https://ide.example", "access-control-request-method": "POST"}
    assert ask(rules, "OPTIONS", "/v1/health", known | {"host": "evil.example"})[0] == 421


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_browser_that_names_no_origin_is_told_by_what_it_says(site: str) -> None:
    check(403, {"sec-fetch-site": site})


def test_a_link_on_another_page_may_lead_to_ours() -> None:
    check(200, {"sec-fetch-site": "cross-site"}, path="/")


# Keys.


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {KEYS.api}"},
        {"authorization": KEYS.api},
        {"x-api-key": KEYS.api},
        {"x-admin-key": KEYS.admin},
        {"x-api-key": KEYS.admin},
        {"authorization": f"Bearer {KEYS.admin}"},
    ],
)
def test_a_key_is_taken_in_any_of_three_headers(headers: dict[str, str]) -> None:
    check(200, headers, LOCKED)


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer "}, {"authorization": "Bearer wrong"}, {"x-api-key": "a" * 31}],
)
def test_without_a_key_nobody_comes_in(headers: dict[str, str]) -> None:
    check(401, headers, LOCKED)
    check(401, headers, LOCKED, "/no/such/route")


def test_the_page_needs_no_key() -> None:
    check(200, {}, LOCKED, "/")


def test_models_are_loaded_with_the_admin_key_only() -> None:
    for key, status in ((KEYS.api, 403), (KEYS.admin, 200)):
        assert ask(LOCKED, "POST", "/v1/model/load", {"x-api-key": key})[0] == status


def test_on_this_machine_any_key_or_none_will_do() -> None:
    check(200, {})
    check(200, {"authorization": "Bearer whatever"})


def test_a_wrong_host_is_refused_before_a_missing_key() -> None:
    check(421, {"host": "evil.example"}, LOCKED)


# Bodies.


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_that_is_not_said_to_be_json_is_refused(kind: str) -> None:
    assert ask(OPEN, "POST", "/v1/completions", {"content-type": kind}, b"{}")[0] == 415


def test_a_request_without_a_body_needs_no_kind() -> None:
    assert ask(OPEN, "POST", "/v1/model/unload", {})[0] == 200


def test_json_comes_through_as_it_is() -> None:
    kind = {"content-type": "Application/JSON; charset=utf-8"}
    assert ask(OPEN, "POST", "/v1/completions", kind, b'{"a": 1}')[:2] == (200, 8)


def test_a_large_body_is_refused_by_its_word_and_by_its_size() -> None:
    word = JSON | {"content-length": str(MAX_BODY_BYTES + 1)}
    assert ask(OPEN, "POST", "/", word, b"{}")[0] == 413
    chunked = JSON | {"content-length": "0", "transfer-encoding": "chunked"}
    assert ask(OPEN, "POST", "/", chunked, b" " * (MAX_BODY_BYTES + 1))[0] == 413


def test_large_headers_are_refused() -> None:
    assert ask(OPEN, "GET", "/", {"x-large": "a" * MAX_HEADER_BYTES})[0] == 431
    many = {f"x-{n}": "a" * 100 for n in range(MAX_HEADER_BYTES // 100)}
    assert ask(OPEN, "GET", "/", many)[0] == 431
    assert ask(OPEN, "GET", "/", {"x-large": "a" * (MAX_HEADER_BYTES // 2)})[0] == 200


def test_a_deep_body_is_refused_and_brackets_in_a_text_are_not_deep() -> None:
    deep = b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)
    assert ask(OPEN, "POST", "/", JSON, deep)[0] == 400
    assert ask(OPEN, "POST", "/", JSON, b'["' + b"[" * 100 + b'\\"["]')[0] == 200


def test_a_text_that_does_not_end_takes_no_time() -> None:
    body = b'{"a":"' + b'\\"' * (MAX_BODY_BYTES // 4)
    started_s = time.process_time()
    assert ask(OPEN, "POST", "/", JSON, body)[0] == 200  # behind the gate it is no JSON
    assert time.process_time() - started_s < 5


def test_a_compressed_body_is_refused() -> None:
    assert ask(OPEN, "POST", "/", JSON | {"content-encoding": "gzip"}, b"x")[0] == 415


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "BODY_TIMEOUT_S", 0.01)
    monkeypatch.setattr(gate, "_DRAIN_TIMEOUT_S", 0.01)
    sent: list[Message] = []

    async def never() -> Message:
        return await asyncio.Future()

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [
        (b"host", b"localhost"),
        (b"content-type", b"application/json"),
        (b"content-length", b"5"),
    ]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": raw}
    asyncio.run(Gate(echo, OPEN)(scope, never, send))
    assert sent[0]["status"] == 408


def test_an_error_can_be_read_by_the_clients_of_all_three_families() -> None:
    _, body, _ = ask(OPEN, "GET", "/", {"host": "evil.example"})
    assert body["detail"] == body["message"] == body["error"]["message"]
    assert body["request_id"]
