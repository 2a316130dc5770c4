"""Whatever a server does in a chat: one sentence that says what to do, in time; and letting go."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import threading
import time
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from tabby_lsp.domain import ChatMessage, EngineError, EngineStatus, Piece, Unusable
from tests.engines.asking import (
    QUESTION,
    chat_answer,
    chat_pieces,
    chat_request,
    chat_run,
    text_of,
)
from tests.engines.scripted_server import (
    DONE,
    PATIENCE_S,
    Answer,
    Asked,
    ScriptedServer,
    chunk,
    delta,
    event,
    head,
    line,
    page,
    reply,
    stream,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tabby_lsp.engines.remote.engine import RemoteChatEngine

KEY = "sk-canary-5f3a"
KINDS = ("openai", "llama-server", "ollama", "tabby")
TIMEOUT_MS = 400  # of the tests about servers that are too slow
GREETINGS: dict[str, object] = {
    "/v1/models": {"data": [{"id": "m"}]},
    "/props": {"default_generation_settings": {"n_ctx": 4096}, "model_path": "m"},
    "/api/tags": {"models": [{"name": "m"}]},
    "/api/show": {"capabilities": ["completion"]},
    "/api/generate": {"done": True, "response": ""},
    "/v1/health": {"chat_model": "m"},
}


def greeted(answer: Answer) -> Answer:
    """A server of any kind that greets well, and answers a chat like this."""

    def serve(asked: Asked) -> Iterable[bytes]:
        known = GREETINGS.get(asked.path)
        return answer(asked) if known is None else reply(known)

    return serve


def always(answer: Iterable[bytes]) -> Answer:
    """The same bytes, once."""
    return lambda _: answer


def says(kind: str, *texts: str) -> Iterator[bytes]:
    """An answer of this kind, without its end."""
    if kind == "ollama":
        return (line({"message": {"content": text}, "done": False}) for text in texts)
    return map(delta, texts)


def streamed(kind: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    return stream(pieces, "application/x-ndjson" if kind == "ollama" else "text/event-stream")


def ended(kind: str) -> bytes:
    if kind == "ollama":
        return line({"message": {"content": ""}, "done": True, "done_reason": "stop"})
    return delta("", "stop")


def failed(kind: str, answer: Answer, first_ms: int, timeout_ms: int) -> tuple[EngineStatus, str]:
    """How the engine stands after one question, and what was heard before.

    Only the answer is held to the limits, since a greeting may be late on a machine that is busy.
    """

    async def work(engine: RemoteChatEngine) -> tuple[EngineStatus, str]:
        await engine.load()
        engine._timeout_s = timeout_ms / 1000
        heard: list[Piece] = []
        first = patch.object(engine._dialect, "load_timeout_s", first_ms / 1000)
        with first, pytest.raises(EngineError) as error:
            async with aclosing(engine.chat(chat_request())) as pieces:
                async for piece in pieces:
                    heard.append(piece)
        assert str(error.value) == engine.status.message
        return engine.status, text_of(heard)

    with ScriptedServer(greeted(answer)) as server:
        return chat_run(work, key=KEY, kind=kind, url=server.url)


def check(
    kind: str,
    answer: Answer,
    *words: str,
    heard: str = "",
    first_ms: int = 60_000,
    timeout_ms: int = 60_000,
) -> None:
    """The question ends in a sentence with these words, and the server is away then.

    `first_ms` is what the first piece may take, `timeout_ms` what each further one may.
    """
    status, text = failed(kind, answer, first_ms, timeout_ms)
    assert (status.state, text) == ("away", heard)
    for word in words:
        assert word in status.message
    assert KEY not in status.message
    assert QUESTION[1].content not in status.message
    assert status.message.isprintable()
    assert "again" in status.message or "in config.toml" in status.message


# Refusals.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, ["(401", "key is not the right one", "api_key_env"]),
        (404, ["does not have that (404", "correct `"]),
        (429, ["(429", "more often than it allows"]),
        (500, ["failed (500", "log"]),
        (503, ["is not ready (503"]),
    ],
)
def test_a_status_is_a_sentence(kind: str, status: int, words: list[str]) -> None:
    for body in (
        reply({"error": {"message": "because"}}, status),
        reply({"error": "because"}, status),
        page("<html>", status),
    ):
        check(kind, always(body), *words)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_request_that_is_refused_leaves_the_server_to_others(kind: str, status: int) -> None:
    """Such as one with a grammar that the server does not know: it is that request's fault."""

    def answer(asked: Asked) -> Iterable[bytes]:
        if "again" in json.dumps(asked.body):
            return streamed(kind, [*says(kind, "It adds."), ended(kind)])
        return reply({"error": {"message": "because"}}, status)

    async def work(engine: RemoteChatEngine) -> str:
        with pytest.raises(Unusable) as error:
            await chat_pieces(engine, chat_request())
        for word in (f"does not take the request ({status}: because)", "`n_ctx`"):
            assert word in str(error.value)
        assert (engine.status.state, engine.status.message) == ("ready", "")
        return text_of(await chat_pieces(engine, chat_request((ChatMessage("user", "again"),))))

    with ScriptedServer(greeted(answer)) as server:
        assert chat_run(work, kind=kind, url=server.url) == "It adds."


def test_a_model_that_the_server_does_not_have_is_named() -> None:
    def lacking(asked: Asked) -> Iterable[bytes]:
        if asked.path.endswith("/models"):
            return reply({"data": [{"id": "a"}, {"id": "b"}]})
        return reply({"error": {"message": "no such model"}}, 404)

    with ScriptedServer(lacking) as server:
        with pytest.raises(EngineError, match=r'correct `model` \("c"\)'):
            chat_answer(kind="openai", url=server.url, model="c")
        with pytest.raises(EngineError, match=r'not just one model: set `model`.*: "a", "b"'):
            chat_answer(kind="openai", url=server.url)


def test_the_question_is_not_quoted_back() -> None:
    words = f"bad: {QUESTION[1].content}"
    check("openai", lambda _: reply({"error": {"message": words}}, 500), "failed (500)")


@pytest.mark.parametrize("kind", KINDS)
def test_redirects_are_not_followed(kind: str) -> None:
    with ScriptedServer(lambda _: reply({})) as elsewhere:
        moved = [head(307, location=f"{elsewhere.url}/v1/chat/completions", content_length=0)]
        check(kind, lambda _: moved, "another address")
        assert elsewhere.asked == []


# Lies.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("body", "word"),
    [
        (page("<html>Sign in</html>"), '"text/html"'),
        (page("It adds.", content_type="text/plain"), '"text/plain"'),
        (page("{", content_type="application/json"), "no JSON"),
        ([b"SSH-2.0-OpenSSH_9.6\r\n"], "no HTTP"),
        ([], "no HTTP"),
    ],
)
def test_what_is_no_answer(kind: str, body: list[bytes], word: str) -> None:
    check(kind, lambda _: body, word)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [None, 5, "x", [], {}, [[]], {"choices": None, "message": 5}])
def test_json_of_another_shape(kind: str, value: object) -> None:
    lack = "no `message`" if kind == "ollama" else "no `choices`"
    for answer in (stream([event(value), DONE]), reply(value)):
        check(kind, always(answer), lack)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "message",
    [None, 5, "x", [], {}, {"content": 5}, {"content": {"text": "a"}}, {"content": [5, None, {}]},
     {"content": [{"text": 5, "thinking": 5}]}, {"reasoning_content": ["a"]}, {"thinking": 7},
     {"role": 5, "content": None, "tool_calls": [{"function": None}]}],
    ids=json.dumps,
)  # fmt: skip
def test_a_piece_of_an_odd_shape_is_no_text(kind: str, message: object) -> None:
    if kind == "ollama":
        odd = line({"message": message if isinstance(message, dict) else {}, "eval_count": "x"})
    else:
        odd = event({"choices": [{"delta": message}], "usage": {"prompt_tokens": -1}})
    answer = streamed(kind, [odd, *says(kind, "a"), ended(kind)])
    with ScriptedServer(greeted(lambda _: answer)) as server:
        assert text_of(chat_answer(kind=kind, url=server.url)) == "a"


@pytest.mark.parametrize("kind", KINDS)
def test_half_a_character_is_shown_as_none_and_sent_as_none(kind: str) -> None:
    answer = streamed(kind, [*says(kind, "a\ud800b"), ended(kind)])
    asked = chat_request((ChatMessage("user", "x\udfff", attachments=("y\ud800",)),))
    with ScriptedServer(greeted(lambda _: answer)) as server:
        assert text_of(chat_answer(asked, kind=kind, url=server.url)) == "a?b"
        assert server.bodies[-1]["messages"][0]["content"] == "y?\n\nx?"


# Broken off, slow, endless.


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_that_breaks_off(kind: str) -> None:
    whole = b"".join(streamed(kind, says(kind, "It ", "adds.")))
    cut = whole[: -len(chunk(b""))]
    check(kind, lambda _: [cut], "broke off", "again", heard="It adds.")


@pytest.mark.parametrize("kind", ["openai", "llama-server", "ollama"])
def test_an_end_that_nobody_announced(kind: str) -> None:
    check(kind, lambda _: streamed(kind, says(kind, "It ")), "broke off", heard="It ")


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_in_the_middle_of_an_answer(kind: str) -> None:
    error = {"error": {"message": "out of memory", "code": 500}}
    told = line(error) if kind == "ollama" else event(error)
    check(
        kind,
        lambda _: streamed(kind, [*says(kind, "It "), told]),
        "(out of memory)",
        heard="It ",
    )


def hanging(first: Iterable[bytes]) -> Iterator[bytes]:
    """Says that, then nothing until the client is gone."""
    yield from first
    while True:
        time.sleep(0.05)
        yield b""


# Ollama may have to load the model again, so it is given as long as a load takes.
@pytest.mark.parametrize("kind", ["openai", "llama-server", "tabby"])
@pytest.mark.parametrize("first", [[], [head(content_type="text/event-stream")]])
def test_a_server_that_never_begins_is_given_up(kind: str, first: list[bytes]) -> None:
    slow = "took too long", "`timeout_ms`"
    check(kind, lambda _: hanging(first), *slow, first_ms=0, timeout_ms=TIMEOUT_MS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_hangs_in_the_middle_is_given_up(kind: str) -> None:
    begun = streamed(kind, itertools.chain(says(kind, "It "), hanging([])))
    begun = itertools.chain(itertools.islice(begun, 2), hanging([]))
    check(kind, lambda _: begun, "took too long", heard="It ", timeout_ms=TIMEOUT_MS)


@pytest.mark.parametrize("sign", [b": ping\n\n", delta(""), delta(None, role="assistant")])
def test_signs_of_life_are_no_answer(sign: bytes) -> None:
    """What a proxy sends to hold a connection open does not hold the user."""

    def pinging() -> Iterator[bytes]:
        yield delta("It ")
        while True:
            time.sleep(0.02)
            yield sign

    check(
        "openai", lambda _: stream(pinging()), "took too long", heard="It ", timeout_ms=TIMEOUT_MS
    )


@pytest.mark.parametrize("key", ["content", "reasoning_content"])
def test_an_answer_may_take_longer_than_the_timeout_while_pieces_come(key: str) -> None:
    timeout_ms, n_pieces = 3_000, 10

    def dripping() -> Iterator[bytes]:
        for _ in range(n_pieces):
            time.sleep(timeout_ms / 8_000)
            yield event({"choices": [{"delta": {key: "x"}}]})
        yield delta("y", "stop")

    with ScriptedServer(greeted(lambda _: stream(dripping()))) as server:
        pieces = chat_answer(kind="openai", url=server.url, timeout_ms=timeout_ms)
    assert text_of(pieces) == ("x" * n_pieces if key == "content" else "") + "y"
    assert pieces[-1].timings.total_ms > timeout_ms


def test_whoever_listens_slowly_is_not_the_servers_fault() -> None:
    timeout_ms = 2_000

    async def work(engine: RemoteChatEngine) -> str:
        heard = ""
        async with aclosing(engine.chat(chat_request())) as pieces:
            async for piece in pieces:
                if not heard:
                    await asyncio.sleep(timeout_ms / 1000 + 0.2)
                heard += piece.text
        return heard

    answer = greeted(lambda _: stream([*map(delta, "abc"), delta("", "stop"), DONE]))
    with ScriptedServer(answer) as server:
        assert chat_run(work, kind="openai", url=server.url, timeout_ms=timeout_ms) == "abc"


def test_an_answer_that_is_whole_need_not_be_closed() -> None:
    """A proxy may hold the connection open after the last word."""
    whole = [head(content_type="text/event-stream"), delta("It adds."), delta("", "stop")]
    with ScriptedServer(greeted(lambda _: hanging(whole))) as server:
        pieces = chat_answer(kind="openai", url=server.url, timeout_ms=3_000)
    assert (text_of(pieces), pieces[-1].finish) == ("It adds.", "stop")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "flood",
    [lambda kind: says(kind, *["x" * 1_000] * 10_000), lambda kind: says(kind, *[""] * 1_000_000)],
    ids=["text", "empty"],
)
def test_a_flood_is_cut(kind: str, flood: Callable[[str], Iterator[bytes]]) -> None:
    with ScriptedServer(greeted(lambda _: streamed(kind, flood(kind)))) as server:
        with pytest.raises(EngineError, match="far more than it was asked for"):
            chat_answer(kind=kind, url=server.url)
        assert server.hung_up.wait(PATIENCE_S)


def test_thoughts_without_end_are_a_flood_too() -> None:
    thinking = [delta(None, reasoning_content="x" * 100)] * 100  # far from too many bytes
    with (
        ScriptedServer(greeted(lambda _: stream(thinking))) as server,
        pytest.raises(EngineError, match="far more than it was asked for"),
    ):
        chat_answer(kind="openai", url=server.url)


# Letting go, and afterwards.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_cancelled", [True, False])
def test_whoever_leaves_closes_the_connection(kind: str, is_cancelled: bool) -> None:
    """Which makes the servers stop."""

    async def listen(engine: RemoteChatEngine, begun: asyncio.Event) -> None:
        async with aclosing(engine.chat(chat_request())) as pieces:
            async for _ in pieces:
                begun.set()
                if not is_cancelled:
                    return

    async def work(engine: RemoteChatEngine) -> bool:
        begun = asyncio.Event()
        task = asyncio.ensure_future(listen(engine, begun))
        await begun.wait()
        if is_cancelled:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return await asyncio.to_thread(server.hung_up.wait, PATIENCE_S)

    def endless() -> Iterator[bytes]:
        while True:
            time.sleep(0.01)
            yield from says(kind, "x")

    with ScriptedServer(greeted(lambda _: streamed(kind, endless()))) as server:
        assert chat_run(work, kind=kind, url=server.url)


def test_a_server_that_comes_back_is_used_again() -> None:
    is_up = threading.Event()

    def answer(asked: Asked) -> Iterable[bytes]:
        if not is_up.is_set():
            return reply({}, 500)
        return greeted(lambda _: stream([delta("a"), delta("", "stop")]))(asked)

    async def work(engine: RemoteChatEngine) -> list[str]:
        with pytest.raises(EngineError):
            await engine.load()
        away, n_asked = engine.status.state, len(server.asked)
        with pytest.raises(EngineError, match=r"failed \(500\)"):
            await chat_pieces(engine, chat_request())
        assert len(server.asked) == n_asked
        is_up.set()
        engine._paused_until_s = 0
        text = text_of(await chat_pieces(engine, chat_request()))
        return [away, text, engine.status.state, engine.status.message]

    with ScriptedServer(answer) as server:
        assert chat_run(work, kind="openai", url=server.url) == ["away", "a", "ready", ""]


def test_several_chats_run_at_once() -> None:
    together = threading.Barrier(3, timeout=PATIENCE_S)

    def answer(asked: Asked) -> Iterator[bytes]:
        def meeting() -> Iterator[bytes]:
            together.wait()
            yield delta(asked.body["messages"][-1]["content"].upper(), "stop")

        return stream(meeting())

    async def work(engine: RemoteChatEngine) -> list[str]:
        asks = [chat_request((ChatMessage("user", text),)) for text in "abc"]
        answers = await asyncio.gather(*(chat_pieces(engine, asked) for asked in asks))
        return [text_of(pieces) for pieces in answers]

    with ScriptedServer(greeted(answer)) as server:
        assert chat_run(work, kind="openai", url=server.url) == ["A", "B", "C"]


def test_many_are_cancelled_at_random_moments_and_the_last_is_answered() -> None:
    rng = random.Random("cancel")

    def slow(asked: Asked) -> Iterator[bytes]:
        for text in ("It ", "adds."):
            time.sleep(0.01)
            yield delta(text)
        yield delta("", "stop")

    async def work(engine: RemoteChatEngine) -> str:
        await engine.load()
        for _ in range(40):
            task: asyncio.Task[Any] = asyncio.ensure_future(chat_pieces(engine, chat_request()))
            await asyncio.sleep(rng.random() * 0.03)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        assert engine.status.state == "ready"
        return text_of(await chat_pieces(engine, chat_request()))

    with ScriptedServer(greeted(lambda asked: stream(slow(asked)))) as server:
        assert chat_run(work, kind="openai", url=server.url) == "It adds."


@pytest.mark.parametrize("kind", ["openai", "llama-server", "tabby"])
def test_an_answer_without_any_message_is_no_answer(kind: str) -> None:
    """As of a server that answers a chat as if it were a completion."""
    completion = event({"choices": [{"text": "hello", "finish_reason": "stop"}]})
    check(kind, always(stream([completion, DONE])), "no `delta`")


@pytest.mark.parametrize("kind", ["openai", "llama-server", "tabby"])
def test_a_byte_order_mark_before_the_first_event_is_none_of_the_answer(kind: str) -> None:
    said = [b"\xef\xbb\xbf", *says(kind, "It ", "adds."), ended(kind), DONE]
    with ScriptedServer(greeted(always(stream(said)))) as server:
        assert text_of(chat_answer(kind=kind, url=server.url)) == "It adds."
