"""What is no frame, message or lawful request gets the right answer, once, and harms nothing."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.clients import initialize_params
from tests.e2e.questions import START
from tests.e2e.wire import (
    INLINE_COMPLETION,
    PATIENCE_S,
    Client,
    frame,
    inline_params,
    start,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.wire import Json

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """An initialized server that outlives whatever the tests of this module send to it."""
    with start(tmp_path_factory.mktemp("plain")) as client:
        client.initialize(initialize_params())
        yield client


def check_one_reply(client: Client, reply_id: int | str | None, message: bytes | Json) -> Any:
    """Send a message, and see that exactly one reply with this id comes and that life goes on.

    The reply to a request sent afterwards tells that the message was dealt with.
    """
    n_before = len(client.replies.get(reply_id, []))
    if isinstance(message, bytes):
        client.send_bytes(frame(message))
    else:
        client.send(message)
    assert wait_until(lambda: len(client.replies.get(reply_id, [])) > n_before, PATIENCE_S)
    client.inspect()
    assert len(client.replies[reply_id]) == n_before + 1
    return client.replies[reply_id][-1]


def check_silence(client: Client, *messages: Json) -> None:
    """Send messages that nobody answers, and see that the next request is."""
    n_before = sum(map(len, client.replies.values()))
    client.send(*messages)
    client.inspect()
    assert sum(map(len, client.replies.values())) == n_before + 1


# What is not a message, or not one that is known.


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"hello",
        b'{"jsonrpc": "2.0", "id": 1, "method": }',
        b'{"jsonrpc": "2.0", "id": 1, "method": "tabby\xff"}',
        b"[" * 100_000,
    ],
    ids=["empty", "open", "word", "no value", "not UTF-8", "deep"],
)
def test_malformed_json_gets_one_parse_error(body: bytes, plain: Client) -> None:
    reply = check_one_reply(plain, None, body)
    assert reply.code == PARSE_ERROR


@pytest.mark.parametrize(
    ("body", "reply_id"),
    [
        (b"42", None),
        (b"null", None),
        (b'"shutdown"', None),
        (b"[]", None),
        (b'[{"jsonrpc": "2.0", "id": 1, "method": "shutdown"}]', None),
        (b"{}", None),
        (b'{"jsonrpc": "2.0"}', None),
        (b'{"jsonrpc": "2.0", "method": 1, "params": "bar"}', None),
        (b'{"jsonrpc": "2.0", "id": {"a": 1}, "method": "shutdown"}', None),
        (b'{"jsonrpc": "2.0", "id": "no-method-name", "method": 5}', "no-method-name"),
    ],
)
def test_json_that_is_no_request_gets_one_error(
    body: bytes, reply_id: str | None, plain: Client
) -> None:
    reply = check_one_reply(plain, reply_id, body)
    assert reply.code == INVALID_REQUEST


@pytest.mark.parametrize("params", [None, {}, [], {"textDocument": 5}], ids=str)
@pytest.mark.parametrize(
    "method", ["tabby/noSuchMethod", "$/noSuchMethod", "textDocument/hover", "", "shutdown "]
)
def test_unknown_methods_are_refused_with_and_without_params(
    method: str, params: object, plain: Client
) -> None:
    request, message = plain.prepare(method, params)
    assert check_one_reply(plain, request.id, message).code == METHOD_NOT_FOUND


def test_unknown_notifications_and_stray_answers_are_ignored(plain: Client) -> None:
    check_silence(
        plain,
        {"jsonrpc": "2.0", "method": "$/noSuchNotification"},
        {"jsonrpc": "2.0", "method": "$/noSuchNotification", "params": {"jsonrpc": "2.0"}},
        {"jsonrpc": "2.0", "method": "$/setTrace", "params": {"value": "off"}},
        {"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": "never asked"}},
        {"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 123456}},
        {"jsonrpc": "2.0", "method": "no/suchNotification"},
        {"jsonrpc": "2.0", "method": "textDocument/willSave", "params": {}},
        {"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {"textDocument": 1}},
        {"jsonrpc": "2.0", "method": "textDocument/didOpen"},
        {"jsonrpc": "2.0", "method": "textDocument/didChange", "params": {"contentChanges": 3}},
        {"jsonrpc": "2.0", "id": 424242, "result": None},
        {"jsonrpc": "2.0", "id": None, "error": {"code": 1, "message": "lost"}},
    )


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("workspace/executeCommand", None),
        ("workspace/executeCommand", {}),
        ("workspace/executeCommand", {"command": 5}),
        ("workspace/executeCommand", {"command": "tabby.noSuchCommand"}),
        ("workspace/executeCommand", {"command": "tabby.inspect", "arguments": 5}),
        (INLINE_COMPLETION, None),
        (INLINE_COMPLETION, {}),
        (INLINE_COMPLETION, []),
    ],
)
def test_invalid_params_are_refused_with_the_id(method: str, params: object, plain: Client) -> None:
    request, message = plain.prepare(method, params)
    assert check_one_reply(plain, request.id, message).code == INVALID_PARAMS


@pytest.mark.parametrize("request_id", [0, -1, "text", "0", 2**31 - 1], ids=repr)
def test_the_reply_carries_the_id_as_it_was_sent(request_id: int | str, plain: Client) -> None:
    message = {"jsonrpc": "2.0", "id": request_id, "method": "workspace/executeCommand"}
    reply = check_one_reply(plain, request_id, message | {"params": {"command": "tabby.status"}})
    assert type(reply.message["id"]) is type(request_id)
    assert reply.result["engine"]["state"]


def test_a_nested_key_jsonrpc_does_not_lose_the_request(plain: Client) -> None:
    disguised = {"jsonrpc": "2.0", "id": 1, "method": "exit", "result": None}
    params = inline_params("untitled:unknown", START) | {"data": disguised}
    assert plain.call(INLINE_COMPLETION, params) == {"items": []}
    plain.notify("workspace/didChangeConfiguration", {"settings": {"other": disguised}})
    check_silence(plain, {"jsonrpc": "2.0", "method": "$/any", "params": {"a": [disguised]}})


def test_none_of_it_was_answered_twice_or_shown_to_the_user(plain: Client) -> None:
    plain.inspect()
    assert [n for n in plain.notifications if n["method"] == "window/showMessage"] == []
    assert plain.foreign == []
    assert all(len(replies) == 1 for key, replies in plain.replies.items() if key is not None)


# Frames.


def status_frame(request_id: int, *header_lines: bytes) -> bytes:
    """A request for the status under headers of the test's own, `%d` standing for its size."""
    message = '{"jsonrpc":"2.0","id":%d,"method":"workspace/executeCommand","params":%s}'
    body = (message % (request_id, '{"command":"tabby.status"}')).encode()
    lines = b"".join(line + b"\r\n" for line in header_lines)
    return lines.replace(b"%d", b"%d" % len(body)) + b"\r\n" + body


@pytest.mark.parametrize(
    "header",
    [
        (b"content-length: %d",),
        (b"CONTENT-LENGTH:%d",),
        (b"Content-Length:   %d  ",),
        (b"Content-Length: %d", b"Content-Type: application/vscode-jsonrpc; charset=utf-8"),
        (b"content-type: application/vscode-jsonrpc; charset=utf8", b"Content-Length: %d"),
    ],
)
def test_headers_are_read_in_any_case_and_order(header: tuple[bytes, ...], plain: Client) -> None:
    request = plain.expect(700_000 + sum(map(len, header)))
    plain.send_bytes(status_frame(int(request.id), *header))
    assert request.result()["engine"]


def test_frames_may_come_byte_by_byte_or_all_at_once(plain: Client) -> None:
    slow = plain.expect(800_000)
    for byte in status_frame(800_000, b"Content-Length: %d"):
        plain.send_bytes(bytes([byte]))
    assert slow.result()["engine"]
    together = [plain.expect(number) for number in range(800_001, 800_021)]
    plain.send_bytes(
        b"".join(status_frame(int(request.id), b"Content-Length: %d") for request in together)
    )
    assert all(request.result()["engine"] for request in together)


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Client]]:
    """Gives the server of the tests before, or another one where they have ended it."""
    with contextlib.ExitStack() as stack:
        clients: list[Client] = []

        def one() -> Client:
            if not clients or clients[-1].process.poll() is not None:
                clients.append(stack.enter_context(start(tmp_path_factory.mktemp("living"))))
                clients[-1].initialize(initialize_params())
            return clients[-1]

        yield one


def check_survived_or_ended(client: Client, garbage: bytes) -> None:
    """Send what is no frame, then a request: it is answered, or the server ends with a word."""
    request, message = client.prepare("workspace/executeCommand", {"command": "tabby.status"})
    with contextlib.suppress(BrokenPipeError):
        client.send_bytes(garbage + frame(json.dumps(message).encode()))
    assert wait_until(
        lambda: request.answer.done() or client.process.poll() is not None, PATIENCE_S
    ), "neither answered nor ended"
    if client.process.poll() is None:
        assert request.result()["engine"]
    else:
        assert client.wait_ended(PATIENCE_S) == 1
        assert client.logged.strip()
    assert b"Traceback" not in client.logged
    assert client.foreign == []


@pytest.mark.parametrize(
    "garbage",
    [
        b"hello world\r\n",
        b"\r\n\r\n\r\n",
        b"\x00\xff\xfe\x80 noise\n",
        b"Content-Length: abc\r\n\r\n",
        b"Content-Length: -5\r\n\r\n",
        b"Content-Length:\r\n\r\n",
        b"Content-Type: application/json\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"x" * 1_000_000 + b"\r\n",
    ],
    ids=lambda garbage: repr(garbage[:24]),
)
def test_garbage_between_frames_is_survived_or_ends_it(
    garbage: bytes, living: Callable[[], Client]
) -> None:
    check_survived_or_ended(living(), garbage)


@pytest.mark.parametrize("n_bytes", [64 * 1024**2 + 1, 10**30])
def test_a_frame_of_more_than_64_mib_is_refused(n_bytes: int, server: Client) -> None:
    server.initialize(initialize_params())
    server.send_bytes(b"Content-Length: %d\r\n\r\n" % n_bytes)
    assert server.wait_ended(PATIENCE_S) == 1
    assert server.logged.strip()
    assert b"Traceback" not in server.logged
    assert server.foreign == []


def test_a_large_document_is_no_huge_frame(plain: Client) -> None:
    plain.open("untitled:large", "x = 1\n" * 500_000, language="plaintext")
    assert plain.inspect(uri="untitled:large")["documents"][0]["version"] == 1
    plain.close("untitled:large")
