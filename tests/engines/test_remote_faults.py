"""Whatever a server does: one sentence that says what to do, in time, and then asked again."""

from __future__ import annotations

import asyncio
import email.utils
import itertools
import json
import random
import re
import socket
import ssl
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tabby_lsp.domain import EngineError, EngineStatus, Segments
from tests.engines.asking import SEGMENTS, pieces, request, run
from tests.engines.scripted_server import (
    DONE,
    PATIENCE_S,
    Answer,
    Asked,
    ScriptedServer,
    chunk,
    event,
    head,
    openai_answer,
    page,
    reply,
    said,
    stream,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tabby_lsp.engines.remote.engine import RemoteEngine

KEY = "sk-canary-5f3a"
TIMEOUT_MS = 400  # of the tests about servers that are too slow
CERTIFICATE = Path(__file__).with_name("untrusted.pem")


def check(answer: Answer, *words: str, tls: ssl.SSLContext | None = None) -> None:
    """The first request ends in a sentence with these words, and the server is away then.

    It is the same sentence in the error and in the status, and it holds no key and no code.
    """
    with ScriptedServer(answer, tls=tls) as server:
        check_at(server.url, *words)


def check_at(url: str, *words: str, **settings: int) -> None:
    status = failed(url, **settings)
    assert status.state == "away"
    for word in words:
        assert word in status.message
    remedies = ("[engines.gpu]", "again", "`completion.debounce_ms` in config.toml", "system's")
    assert any(remedy in status.message for remedy in remedies)
    assert KEY not in status.message
    assert "def add" not in status.message
    assert status.message.isprintable()
    assert len(status.message) < 600


def failed(url: str, **settings: int) -> EngineStatus:
    async def work(engine: RemoteEngine) -> EngineStatus:
        with pytest.raises(EngineError) as error:
            await pieces(engine, request())
        assert str(error.value) == engine.status.message
        return engine.status

    return run(work, key=KEY, kind="openai", url=url, **settings)


def models_then(answer: Answer) -> Answer:
    """A server that greets well and answers completions like this."""

    def both(asked: Asked) -> Iterable[bytes]:
        greets = asked.path.endswith("/models")
        return reply({"data": [{"id": "m"}]}) if greets else answer(asked)

    return both


def always(chunks: Iterable[bytes]) -> Answer:
    """A server that answers everything with these bytes."""
    kept = list(chunks)
    return lambda _: kept


def everywhere(answer: Answer) -> list[Answer]:
    """The same fault when the server is greeted and when it is asked."""
    return [answer, models_then(answer)]


# Nobody there.


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    check_at(f"http://127.0.0.1:{port}", f":{port}", "connection is refused", "start the server")


def test_there_is_no_such_machine() -> None:
    check_at("http://no-such-machine.invalid", "no machine of that name", "`url`")


def test_a_machine_that_does_not_answer() -> None:
    """A listener whose queue is full lets further connections hang."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            with suppress(BlockingIOError):
                each.connect(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        check_at(url, "no connection within 0.3 s", connect_timeout_ms=300)
        for each in waiting:
            each.close()


def test_a_certificate_that_nobody_knows() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    check(openai_answer("a"), "certificate", "not trusted", "system", tls=context)


def test_tls_where_there_is_none() -> None:
    with ScriptedServer(openai_answer("a")) as server:
        check_at(server.url.replace("http:", "https:"), "does not speak TLS", "http://")


# Refusals.


@pytest.mark.parametrize("make", [0, 1], ids=["greeted", "asked"])
@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, ["does not take the request (400", "context.prefix_chars"]),
        (401, ["(401", "key is not the right one", "api_key_env"]),
        (403, ["(403", "key is not the right one"]),
        (404, ["(404", "`model`"]),
        (408, ["could not answer in time (408"]),
        (413, ["(413"]),
        (422, ["(422"]),
        (429, ["(429", "more often than it allows", "debounce_ms"]),
        (500, ["failed (500", "log"]),
        (501, ["does not take the request (501"]),
        (502, ["failed (502"]),
        (503, ["is not ready (503"]),
        (504, ["(504"]),
    ],
)
def test_a_status_is_a_sentence(make: int, status: int, words: list[str]) -> None:
    if (make, status) == (0, 404):
        words = ["(404", "`url`"]
    bodies: list[list[bytes]] = [
        reply({"error": {"message": "because"}}, status),
        reply({"error": "because"}, status),
        reply({"detail": "because"}, status),
    ]
    for body in bodies:
        check(everywhere(always(body))[make], *words, "because")
    for body in (page("<html>", status), page("", status), reply([[[[]]]], status)):
        check(everywhere(always(body))[make], *words)


def test_without_a_key_a_key_is_asked_for() -> None:
    async def work(engine: RemoteEngine) -> str:
        with pytest.raises(EngineError):
            await engine.load()
        return engine.status.message

    with ScriptedServer(lambda _: reply({}, 401)) as server:
        assert "the key is missing: set `api_key`" in run(work, kind="openai", url=server.url)


def test_a_server_that_knows_no_suffix_says_so_and_we_say_what_to_set() -> None:
    vllm = {"message": "suffix is not currently supported", "type": "BadRequestError"}
    check(models_then(lambda _: reply({"error": vllm}, 400)), "set `family`", "Qwen2.5-Coder")


@pytest.mark.parametrize("make", [0, 1], ids=["greeted", "asked"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(make: int, status: int) -> None:
    with ScriptedServer(openai_answer("secret")) as elsewhere:
        moved = [head(status, location=f"{elsewhere.url}/v1/models", content_length=0)]
        check(everywhere(lambda _: moved)[make], "another address", "`url`")
        assert elsewhere.asked == []


def test_what_the_server_says_is_shown_without_the_key_and_the_code() -> None:
    words = "\x1b[31mno\u202e " + KEY + " " + 300 * "x"
    check(models_then(lambda _: reply({"error": {"message": words}}, 500)), "�[31mno� …", "x…")
    echo = SEGMENTS.prefix
    for status in (400, 401, 422, 500):
        check(models_then(lambda _: reply({"error": {"message": f"bad: {echo}"}}, 500)), "(500)")
        told = reply({"detail": [{"input": echo}]}, status)
        check(models_then(always(told)), f"({status}")


# Lies.


@pytest.mark.parametrize("make", [0, 1], ids=["greeted", "asked"])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (page("<html>Sign in</html>"), ['"text/html"', "`url` or `kind`"]),
        (page("hello", content_type="text/plain"), ['"text/plain"']),
        ([head(content_type="", content_length=0)], ["no type"]),
        ([head(content_length=3, content_encoding="gzip") + b"abc"], ["application/json"]),
        (page("{", content_type="application/json"), ["no JSON"]),
        (page("", content_type="application/json"), ["no JSON"]),
        (page("[" * 100_000, content_type="application/json"), ["no JSON"]),
        (page("\xff", content_type="application/json"), ["no JSON"]),
        ([b"SSH-2.0-OpenSSH_9.6\r\n"], ["no HTTP"]),
        ([random.Random(1).randbytes(5_000)], ["no HTTP"]),
        ([b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000], ["no HTTP"]),
        ([], ["no HTTP"]),
    ],
)
def test_what_is_no_answer(make: int, body: list[bytes], words: list[str]) -> None:
    check(everywhere(lambda _: body)[make], *words)


@pytest.mark.parametrize(
    "value",
    [None, 5, "x", [], {}, [[]], {"choices": None}, {"object": "list"}, {"completion": "a"}],
    ids=json.dumps,
)
def test_json_of_another_shape(value: object) -> None:
    check(models_then(lambda _: stream([event(value), DONE])), "no `choices`")


@pytest.mark.parametrize(
    "value",
    [{"choices": []}, {"choices": [{}]}, {"choices": [{"text": 5}]}, {"choices": {"text": "a"}},
     {"choices": [{"text": None}], "usage": {"prompt_tokens": -1, "completion_tokens": 1e400}},
     {"choices": [{"text": ""}], "usage": {"prompt_tokens": 10**30, "completion_tokens": True}}],
    ids=str,
)  # fmt: skip
def test_an_empty_answer_of_an_odd_shape_is_empty(value: object) -> None:
    async def work(engine: RemoteEngine) -> tuple[str, int]:
        got = await pieces(engine, request())
        return "".join(piece.text for piece in got), engine.status.n_generated_total

    answer = models_then(lambda _: stream([event(value), said("", "stop")]))
    with ScriptedServer(answer) as server:
        assert run(work, kind="openai", url=server.url) == ("", 0)


def test_an_answer_without_any_text_is_no_answer() -> None:
    """As of a server that answers a completion as if it were a chat."""
    chat = event({"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]})
    check(models_then(lambda _: stream([chat, DONE])), "no `text`")


def test_half_a_character_is_shown_as_none() -> None:
    async def work(engine: RemoteEngine) -> str:
        return "".join(piece.text for piece in await pieces(engine, request()))

    raw = b'data: {"choices": [{"text": "a\\ud800b"}]}\n\n'
    with ScriptedServer(models_then(lambda _: stream([raw, DONE]))) as server:
        text = run(work, kind="openai", url=server.url)
    assert text == "a?b"
    text.encode()


# Broken off, slow, endless.


def test_a_stream_that_breaks_off() -> None:
    whole = b"".join(stream([said("a"), said(" + b"), said("", "stop"), DONE]))
    rng = random.Random("cut")
    first = len(head(content_type="text/event-stream", transfer_encoding="chunked"))
    finished = whole.index(b"[DONE]")
    for cut in sorted(rng.sample(range(first, finished), 25)):
        if b'"stop"' in whole[:cut] and whole[:cut].endswith(b"\n\n"):
            continue
        check(models_then(always([whole[:cut]])), "broke off", "again")


def test_an_answer_shorter_than_it_says() -> None:
    cut = [head(content_length=500) + b'{"choices": [']
    check(models_then(lambda _: cut), "broke off")


def test_an_end_that_nobody_announced() -> None:
    check(models_then(lambda _: stream([said("a")])), "broke off")


def test_an_error_in_the_middle_of_a_stream() -> None:
    error = {"error": {"message": "out of memory", "code": 500}}
    check(models_then(lambda _: stream([said("a"), event(error), DONE])), "(out of memory)")


def drip(data: bytes, every_s: float = 0.05) -> Iterator[bytes]:
    for byte in itertools.cycle(data):
        yield bytes([byte])
        time.sleep(every_s)


def drip_nothing() -> Iterator[bytes]:
    while True:
        time.sleep(0.1)
        yield b""


@pytest.mark.parametrize("make", [0, 1], ids=["greeted", "asked"])
@pytest.mark.parametrize(
    "answer",
    [
        lambda _: drip_nothing(),
        lambda _: drip(b"HTTP/1.1 200 OK\r\nX"),
        lambda _: itertools.chain([head(content_length=10**6)], drip(b" ")),
        lambda _: itertools.chain([head(content_type="text/event-stream")], drip(b": x\n")),
        lambda _: itertools.chain([head(500, content_length=10**6)], drip(b" ")),
    ],
    ids=["silent", "headers", "body", "events", "error"],
)
def test_a_slow_server_is_given_up(make: int, answer: Answer) -> None:
    slow = everywhere(answer)[make]
    with ScriptedServer(slow) as server:
        status = failed(server.url, timeout_ms=TIMEOUT_MS)
        assert status.state == "away"
        assert "too long" in status.message or "(500)" in status.message


@pytest.mark.parametrize(
    ("flood", "is_short"),
    [
        (lambda: (said("x") for _ in itertools.count()), False),
        (lambda: (said("") for _ in itertools.count()), False),
        (lambda: (b"data: " * 1_000 for _ in itertools.count()), False),
        (lambda: (b": " + 60_000 * b"x" + b"\n" for _ in itertools.count()), False),
        (lambda: [said(5_000_000 * "x")], True),
    ],
    ids=["text", "empty", "one line", "comments", "one event"],
)
def test_a_flood_is_cut(flood: Callable[[], Iterable[bytes]], is_short: bool) -> None:
    with ScriptedServer(models_then(lambda _: stream(flood()))) as server:
        assert "far more than it was asked for" in failed(server.url).message
        assert is_short or server.hung_up.wait(PATIENCE_S)


def test_a_list_of_models_without_end() -> None:
    def endless(asked: Asked) -> Iterator[bytes]:
        yield head(content_length=10**9)
        while True:
            yield 65_536 * b" "

    check(endless, "far more than it was asked for")


# Afterwards.


def test_a_server_that_comes_back_is_used_again_and_greeted_anew() -> None:
    is_up = False

    def answer(asked: Asked) -> Iterable[bytes]:
        healthy = openai_answer("a", model="new")
        return healthy(asked) if is_up else reply({}, 500)

    async def work(engine: RemoteEngine) -> list[str]:
        nonlocal is_up
        states = [engine.status.state]
        with suppress(EngineError):
            await engine.load()
        states.append(engine.status.state)
        n_asked = len(server.asked)
        engine._paused_until_s += PATIENCE_S
        for _ in range(50):
            with pytest.raises(EngineError):
                await pieces(engine, request())
        assert len(server.asked) == n_asked
        is_up = True
        engine._paused_until_s -= PATIENCE_S
        await asyncio.sleep(1.1)
        assert "".join(p.text for p in await pieces(engine, request())) == "a"
        return [*states, engine.status.state, engine.status.model, engine.status.message]

    with ScriptedServer(answer) as server:
        states = run(work, kind="openai", url=server.url)
    assert states == ["unloaded", "away", "ready", "new", ""]


async def paused_s(engine: RemoteEngine) -> tuple[float, float]:
    """Between which bounds the pause is that follows a request which fails."""
    clock = asyncio.get_running_loop()
    before_s = clock.time()
    with pytest.raises(EngineError):
        await pieces(engine, request())
    return engine._paused_until_s - clock.time(), engine._paused_until_s - before_s


def test_pauses_grow_and_stay_short() -> None:
    async def work(engine: RemoteEngine) -> None:
        for pause_s in (1, 2, 4, 5, 5, 5):
            engine._paused_until_s = 0
            least_s, most_s = await paused_s(engine)
            assert least_s <= pause_s <= most_s

    with ScriptedServer(lambda _: reply({}, 500)) as server:
        run(work, kind="openai", url=server.url)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "least_s", "most_s"),
    [("7", 7, 7), ("0", 1, 1), ("-5", 1, 1), ("soon", 1, 1), ("9" * 50, 300, 300),
     ("1e9", 1, 1), ("Wed, 21 Oct 2015 07:28:00 GMT", 1, 1), ("in an hour", 300, 300),
     ("in a minute", 10, 60)],
)  # fmt: skip
def test_the_servers_own_wish_is_respected(
    status: int, header: str, least_s: float, most_s: float
) -> None:
    dates_s = {"in a minute": 60, "in an hour": 3_600}
    if header in dates_s:
        header = email.utils.formatdate(time.time() + dates_s[header], usegmt=True)
    refusal = reply({}, status, retry_after=header)
    with ScriptedServer(models_then(lambda _: refusal)) as server:
        shortest_s, longest_s = run(paused_s, kind="openai", url=server.url)
    assert shortest_s <= most_s
    assert least_s <= longest_s


def test_each_kind_of_fault_is_one_sentence_however_it_is_worded() -> None:
    async def work(engine: RemoteEngine) -> set[str]:
        messages = set()
        for _ in range(10):
            engine._paused_until_s = 0
            with pytest.raises(EngineError):
                await pieces(engine, request())
            messages.add(engine.status.message)
        return messages

    answer = models_then(lambda _: reply({"error": f"request {time.time_ns()}"}, 500))
    with ScriptedServer(answer) as server:
        (message,) = run(work, kind="openai", url=server.url)
    assert re.search(r"request \d+", message)


def test_many_are_cancelled_at_random_moments_and_the_last_is_answered() -> None:
    rng = random.Random("cancel")

    def slow(asked: Asked) -> Iterable[bytes]:
        def dripping() -> Iterator[bytes]:
            for text in ("a", " + b"):
                time.sleep(0.01)
                yield said(text)
            yield said("", "stop")

        return stream(dripping())

    async def work(engine: RemoteEngine) -> str:
        await engine.load()
        for _ in range(60):
            task = asyncio.ensure_future(pieces(engine, request()))
            await asyncio.sleep(rng.random() * 0.03)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        assert engine.status.state == "ready"
        return "".join(piece.text for piece in await pieces(engine, request()))

    with ScriptedServer(models_then(slow)) as server:
        assert run(work, kind="openai", url=server.url) == "a + b"


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(engine: RemoteEngine) -> str:
        return "".join(piece.text for piece in await pieces(engine, request()))

    with ScriptedServer(openai_answer("proxy")) as proxy, ScriptedServer(openai_answer("a")) as own:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert run(work, kind="openai", url=own.url) == "a"
        assert proxy.asked == []


def test_surrogates_in_a_document_do_no_harm() -> None:
    async def work(engine: RemoteEngine) -> str:
        asked = request(Segments(prefix="x = '\ud800", suffix="\udfff'\n", path="\ud800.py"))
        return "".join(piece.text for piece in await pieces(engine, asked))

    with ScriptedServer(openai_answer("a")) as server:
        assert run(work, kind="openai", url=server.url) == "a"
        assert server.bodies[0]["prompt"] == "x = '?"


def test_chunks_may_be_cut_anywhere() -> None:
    async def work(engine: RemoteEngine) -> str:
        return "".join(piece.text for piece in await pieces(engine, request()))

    payload = b"".join([said("é"), said("漢😀"), said("", "stop"), DONE])

    def bytewise(asked: Asked) -> Iterable[bytes]:
        pieces = (payload[n : n + 3] for n in range(0, len(payload), 3))
        first = head(content_type="text/event-stream", transfer_encoding="chunked")
        return [first, *map(chunk, pieces), chunk(b"")]

    with ScriptedServer(models_then(bytewise)) as server:
        assert run(work, kind="openai", url=server.url) == "é漢😀"
