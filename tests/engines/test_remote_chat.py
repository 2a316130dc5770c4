"""What each kind of server is sent in a chat, and what comes of its answers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tabby_lsp.domain import ChatMessage, EngineError, Sampling, TokenLogprobs, Unusable
from tests.engines.asking import (
    GRAMMAR,
    SCHEMA,
    UNUSUAL,
    chat_answer,
    chat_pieces,
    chat_request,
    chat_run,
    shown,
    text_of,
    token,
)
from tests.engines.scripted_server import (
    DONE,
    Asked,
    ScriptedServer,
    delta,
    event,
    line,
    reply,
    stream,
)
from tests.engines.scripted_server import chat_answer as openai_chat

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tabby_lsp.engines.remote.engine import RemoteChatEngine

MESSAGES = [
    {"role": "system", "content": "Be short."},
    {"role": "user", "content": "What does add do?"},
]
COMMON = {"messages": MESSAGES, "max_tokens": 64, "temperature": 0.0, "stream": True}
HEALTH = {"chat_model": "Qwen2-1.5B-Instruct", "device": "cuda"}
LINES = "application/x-ndjson"
OLLAMA_END = {
    "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop",
    "prompt_eval_count": 40, "prompt_eval_duration": 5_000_000,
    "eval_count": 4, "eval_duration": 8_000_000,
}  # fmt: skip
TIMINGS = {
    "cache_n": 40, "prompt_n": 2, "prompt_ms": 3.5, "predicted_n": 3, "predicted_ms": 9.25,
}  # fmt: skip


def models_then(*answer: bytes, **model: object) -> Any:
    """A server with OpenAI's list of one model, which answers everything else with these events."""

    def serve(asked: Asked) -> Iterable[bytes]:
        if asked.path.endswith("/models"):
            return reply({"data": [{"id": "m"} | model]})
        return stream(answer)

    return serve


def ollama(
    *said: dict[str, Any],
    can: tuple[str, ...] | None = ("completion",),
    end: dict[str, Any] = OLLAMA_END,
) -> Any:
    def serve(asked: Asked) -> Iterable[bytes]:
        match asked.path:
            case "/api/tags":
                return reply({"models": [{"name": "qwen3:8b"}]})
            case "/api/show":
                return reply({"capabilities": list(can)} if can else {})
            case "/api/generate":
                return reply({"done": True, "done_reason": "load", "response": ""})
        messages = [line({"message": message, "done": False}) for message in said]
        return stream([*messages, line(end)], LINES)

    return serve


def llama_server(asked: Asked) -> Iterable[bytes]:
    if asked.path == "/props":
        settings = {"n_ctx": 1024}
        return reply({"default_generation_settings": settings, "model_path": "/models/chat.gguf"})
    choices: list[object] = []
    end = event({"choices": choices, "timings": TIMINGS})
    return stream([delta("It "), delta("adds."), delta(None, "stop"), end, DONE])


def tabby(*answer: bytes, old: bool = False, health: object = HEALTH) -> Any:
    def serve(asked: Asked) -> Iterable[bytes]:
        if asked.path == "/v1/health":
            return reply(health)
        if old and asked.path != "/v1beta/chat/completions":
            return reply({}, 404)
        return stream(answer or [delta("It "), b": ping\n\n", delta("adds.")])

    return serve


def crowd(n: int) -> tuple[ChatMessage, ...]:
    """A conversation of so many turns, each of 200 bytes."""
    sides = ("user", "assistant")
    return tuple(ChatMessage(sides[k % 2], f"{k} " + "x" * 198) for k in range(n))  # type: ignore[arg-type]


# OpenAI's.


def test_a_chat_is_one_question_to_openais_chat_completions() -> None:
    with ScriptedServer(openai_chat("It ", "adds.")) as server:
        pieces = chat_answer(kind="openai", url=server.url, key="sk-1")
        assert [asked.path for asked in server.asked] == ["/v1/models", "/v1/chat/completions"]
        assert server.bodies == [COMMON | {"model": "m"}]
        assert {asked.headers["authorization"] for asked in server.asked} == {"Bearer sk-1"}
    assert text_of(pieces) == "It adds."
    assert pieces[-1].finish == "stop"


@pytest.mark.parametrize(("owner", "is_asked"), [("vllm", True), ("llamacpp", True), ("", False)])
def test_the_cost_is_asked_for_where_that_does_no_harm(owner: str, is_asked: bool) -> None:
    """Mistral's servers refuse a request with `stream_options`."""
    with ScriptedServer(openai_chat("a", owner=owner)) as server:
        chat_answer(kind="openai", url=server.url)
        expected = {"include_usage": True} if is_asked else None
        assert server.bodies[0].get("stream_options") == expected


def test_the_cost_comes_after_the_end() -> None:
    usage = {
        "prompt_tokens": 30,
        "completion_tokens": 4,
        "prompt_tokens_details": {"cached_tokens": 28},
    }
    last = event({"choices": [], "usage": usage})

    async def work(engine: RemoteChatEngine) -> tuple[Any, Any]:
        return (await chat_pieces(engine, chat_request()))[-1], engine.status

    with ScriptedServer(models_then(delta("a"), delta("", "stop"), last, DONE)) as server:
        piece, status = chat_run(work, kind="openai", url=server.url)
    timings = piece.timings
    assert (timings.n_prompt_tokens, timings.n_reused_tokens) == (30, 28)
    assert (timings.n_evaluated_tokens, timings.n_generated_tokens) == (2, 4)
    assert timings.total_ms > 0
    assert (status.n_evaluated_total, status.n_generated_total) == (2, 4)
    assert (status.state, status.model, status.is_remote) == ("ready", "m", True)


def test_an_answer_in_one_piece_is_an_answer() -> None:
    def whole(asked: Asked) -> Iterable[bytes]:
        if asked.path.endswith("/models"):
            return reply({"data": [{"id": "m"}]})
        message = {"role": "assistant", "content": "It adds."}
        usage = {"prompt_tokens": 30, "completion_tokens": 4}
        return reply({"choices": [{"message": message, "finish_reason": "length"}], "usage": usage})

    with ScriptedServer(whole) as server:
        pieces = chat_answer(kind="openai", url=server.url)
    assert text_of(pieces) == "It adds."
    assert pieces[-1].finish == "length"
    assert pieces[-1].timings.n_generated_tokens == 4


def test_a_model_that_only_chats_is_greeted_as_one() -> None:
    """A llama-server's `/v1` would not do for completion."""
    with ScriptedServer(openai_chat("a", owner="llamacpp")) as server:
        assert text_of(chat_answer(kind="openai", url=server.url)) == "a"


@pytest.mark.parametrize("n_ctx", [0, 1000])
def test_a_conversation_is_cropped_to_what_the_server_or_the_settings_say(n_ctx: int) -> None:
    with ScriptedServer(models_then(delta("a", "stop"), DONE, max_model_len=500)) as server:
        asked = chat_request(crowd(21))
        chat_answer(asked, kind="openai", url=server.url, n_ctx=n_ctx)
        messages = server.bodies[0]["messages"]
    n_bytes = sum(len(message["content"]) for message in messages)
    n_room = (n_ctx or 500) - 64
    assert n_room < n_bytes < n_room * 2.5
    # The first question says what it is all about, and the last one is to be answered.
    assert (messages[0]["content"][:2], messages[-1]["content"][:3]) == ("0 ", "20 ")
    assert [message["role"] for message in messages] == ["user", *["assistant", "user"] * (
        len(messages) // 2
    )]  # fmt: skip


def test_a_conversation_for_which_there_is_no_room_is_no_fault_of_the_servers() -> None:
    async def work(engine: RemoteChatEngine) -> str:
        with pytest.raises(EngineError, match="larger `n_ctx`"):
            await chat_pieces(engine, chat_request())
        return engine.status.state

    with ScriptedServer(models_then(DONE, max_model_len=64)) as server:
        assert chat_run(work, kind="openai", url=server.url) == "ready"
        assert server.bodies == []


def test_an_answer_leaves_room_for_its_question() -> None:
    with ScriptedServer(models_then(delta("a", "stop"), max_model_len=500)) as server:
        chat_answer(chat_request(max_tokens=4_000), kind="openai", url=server.url)
        assert server.bodies[0]["max_tokens"] == 250
        assert server.bodies[0]["messages"] == MESSAGES


# How it is said.

SHAPED = replace(UNUSUAL, json_schema='{"type": "object"}')
OPENAI_WORDS = {
    "temperature": 0.7, "top_p": 0.8, "seed": 7, "frequency_penalty": 0.1, "presence_penalty": 0.2,
    "stop": ["a", "b", "c", "d"],
    "response_format": {
        "type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA},
    },
}  # fmt: skip
STOPS = ("a", "b", "c", "d", "e")


@pytest.mark.parametrize(
    ("owner", "more"), [("", {}), ("vllm", {"top_k": 20, "min_p": 0.1, "repetition_penalty": 1.1})]
)
def test_a_hosted_server_is_told_no_more_than_it_knows(owner: str, more: dict[str, Any]) -> None:
    with ScriptedServer(openai_chat("It", owner=owner)) as server:
        asked = chat_request(sampling=SHAPED, stop=STOPS)
        chat_answer(asked, kind="openai", url=server.url)
        (body,) = server.bodies
    body.pop("stream_options", None)
    assert body == COMMON | {"model": "m"} | OPENAI_WORDS | more


def test_llama_server_is_told_everything_in_its_words() -> None:
    with ScriptedServer(llama_server) as server:
        sampling = replace(SHAPED, grammar=GRAMMAR)
        asked = chat_request(sampling=sampling, stop=STOPS)
        chat_answer(asked, kind="llama-server", url=server.url)
        more = {"top_k": 20, "min_p": 0.1, "repeat_penalty": 1.1, "grammar": GRAMMAR}
        assert server.bodies == [COMMON | OPENAI_WORDS | more | {"cache_prompt": True}]


def test_ollama_is_told_everything_in_its_words() -> None:
    with ScriptedServer(ollama({"content": "x"})) as server:
        asked = chat_request(sampling=SHAPED, stop=STOPS)
        chat_answer(asked, kind="ollama", url=server.url)
        body = server.bodies[-1]
    assert body["format"] == SCHEMA
    assert body["options"] == {
        "temperature": 0.7, "top_k": 20, "top_p": 0.8, "min_p": 0.1, "seed": 7,
        "frequency_penalty": 0.1, "presence_penalty": 0.2, "repeat_penalty": 1.1,
        "stop": list(STOPS), "num_predict": 64,
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["openai", "ollama", "tabby"])
def test_a_grammar_that_a_server_would_not_keep_to_is_refused(kind: str) -> None:
    servers = {"openai": openai_chat("a"), "ollama": ollama(), "tabby": tabby()}
    asked = chat_request(sampling=Sampling(grammar=GRAMMAR))
    with (
        ScriptedServer(servers[kind]) as server,
        pytest.raises(Unusable, match="Only a llama-server and the built-in engine"),
    ):
        chat_answer(asked, kind=kind, url=server.url)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("openai", {"5": -100.0, "7": 2.5}), ("tabby", {"5": -100.0, "7": 2.5}),
     ("llama-server", [[5, -1_000.0], [7, 2.5]])],
)  # fmt: skip
def test_biases_are_passed_on(kind: str, expected: object) -> None:
    servers = {"openai": openai_chat("a"), "tabby": tabby(), "llama-server": llama_server}
    asked = chat_request(sampling=Sampling(logit_bias=((5, -1_000.0), (7, 2.5))))
    with ScriptedServer(servers[kind]) as server:
        chat_answer(asked, kind=kind, url=server.url)
        assert server.bodies[-1]["logit_bias"] == expected


def test_biases_that_ollama_would_leave_out_are_refused() -> None:
    asked = chat_request(sampling=Sampling(logit_bias=((5, 1.0),)))
    with (
        ScriptedServer(ollama()) as server,
        pytest.raises(Unusable, match=r"knows `logit_bias`.*: leave that out"),
    ):
        chat_answer(asked, kind="ollama", url=server.url)


def entry(text: str, logprob: float, *others: dict[str, Any]) -> dict[str, Any]:
    """A token as OpenAI's chat and Ollama tell of it."""
    found = {"token": text, "logprob": logprob, "bytes": [*text.encode()]}
    return found | {"top_logprobs": list(others)}


def told_delta(text: str, *entries: dict[str, Any], **more: object) -> bytes:
    choice = {"delta": {"content": text} | more, "logprobs": {"content": list(entries)}}
    return event({"choices": [choice]})


def told(*said: bytes) -> list[tuple[str, tuple[TokenLogprobs, ...]]]:
    """The pieces of a chat and their tokens."""
    asked = chat_request(sampling=Sampling(n_logprobs=2))
    with ScriptedServer(models_then(*said, delta("", "stop"), DONE)) as server:
        heard = chat_answer(asked, kind="openai", url=server.url)
        (body,) = server.bodies
    assert (body["logprobs"], body["top_logprobs"]) == (True, 2)
    return shown(heard)


def test_what_a_server_tells_of_each_token_is_told() -> None:
    first = told_delta("It", entry("It", -0.5, entry("It", -0.5), entry("We", -2.0)))
    assert told(delta("", role="assistant"), first, told_delta(" adds", entry(" adds", -1))) == [
        ("It", (token("It", -0.5, It=-0.5, We=-2.0),)),
        (" adds", (token(" adds", -1.0),)),
    ]


def test_tokens_of_thoughts_are_not_told_of() -> None:
    apart = told_delta("", entry("Hm", -1), reasoning_content="Hm")
    assert told(apart, told_delta("It", entry("It", -2))) == [("It", (token("It", -2.0),))]
    within = [told_delta("<th", entry("<th", -1)), told_delta("ink>Hm", entry("ink>Hm", -1))]
    merged = told_delta("</think>\n\nIt", entry("</think>", -1), entry("\n\n", -1), entry("It", -2))
    assert told(*within, merged) == [("It", (token("It", -2.0),))]
    # What only looked like the beginning of one is part of the answer.
    other = [told_delta("<th", entry("<th", -1)), told_delta("is", entry("is", -2))]
    assert told(*other) == [("<this", (token("<th", -1.0), token("is", -2.0)))]


def test_what_ollama_tells_of_each_token_is_told() -> None:
    def serve(asked: Asked) -> Iterable[bytes]:
        if asked.path != "/api/chat":
            usual: Iterable[bytes] = ollama()(asked)
            return usual
        assert (asked.body["logprobs"], asked.body["top_logprobs"]) == (True, 2)
        said = {"message": {"content": "It"}, "done": False, "logprobs": [entry("It", -0.5)]}
        return stream([line(said), line(OLLAMA_END)], LINES)

    asked = chat_request(sampling=Sampling(n_logprobs=2))
    with ScriptedServer(serve) as server:
        heard = chat_answer(asked, kind="ollama", url=server.url)
    assert shown(heard) == [("It", (token("It", -0.5),))]


@pytest.mark.parametrize("kind", ["openai", "ollama", "tabby", "llama-server"])
def test_a_server_that_tells_nothing_of_tokens_is_not_taken_at_its_silence(kind: str) -> None:
    said = {"content": "a"}
    servers: dict[str, Any] = {
        "openai": openai_chat("a"), "ollama": ollama(said), "tabby": tabby(),
        "llama-server": llama_server,
    }  # fmt: skip

    async def work(engine: RemoteChatEngine) -> str:
        with pytest.raises(Unusable, match="tells no log probabilities: leave `logprobs` out"):
            await chat_pieces(engine, chat_request(sampling=Sampling(n_logprobs=1)))
        return engine.status.state

    with ScriptedServer(servers[kind]) as server:
        assert chat_run(work, kind=kind, url=server.url) == "ready"


def test_stop_strings_end_the_answer_here_too() -> None:
    with ScriptedServer(openai_chat("It ad", "ds. E", "ND more")) as server:
        pieces = chat_answer(chat_request(stop=("END",)), kind="openai", url=server.url)
    assert (text_of(pieces), pieces[-1].finish) == ("It adds. ", "stop")


@pytest.mark.parametrize(
    "control",
    ["<|im_start|>system", "<|im_end|>", "[INST]", "<start_of_turn>", "<｜User｜>", "</s>"],  # noqa: RUF001
)
def test_control_tokens_in_what_is_said_are_broken(control: str) -> None:
    messages = (
        ChatMessage("user", f"a {control}", attachments=(f"b {control}",)),
        ChatMessage("assistant", f"c {control}"),
        ChatMessage("user", control),
    )
    with ScriptedServer(openai_chat("a")) as server:
        chat_answer(chat_request(messages), kind="openai", url=server.url)
        sent = [message["content"] for message in server.bodies[0]["messages"]]
    broken = f"{control[0]} {control[1:]}"
    assert sent == [f"b {broken}\n\na {broken}", f"c {broken}", broken]


# What a model says to itself.


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
def test_reasoning_apart_is_no_part_of_the_answer(key: str) -> None:
    thinking = [delta(None, **{key: "Hm"}), delta("", **{key: ", well."})]
    answer = models_then(*thinking, delta("It adds."), delta(None, "stop"), DONE)
    with ScriptedServer(answer) as server:
        pieces = chat_answer(kind="openai", url=server.url)
    assert text_of(pieces) == "It adds."


def test_reasoning_in_the_text_is_no_part_of_the_answer() -> None:
    with ScriptedServer(openai_chat("\n<th", "ink>Hm</", "think>", "\n\n", "It adds.")) as server:
        assert text_of(chat_answer(kind="openai", url=server.url)) == "It adds."


def test_reasoning_in_parts_is_no_part_of_the_answer() -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}
    said = [{"type": "text", "text": "It "}]
    answer = models_then(delta([thought]), delta(said), delta("adds."), delta("", "stop"))
    with ScriptedServer(answer) as server:
        assert text_of(chat_answer(kind="openai", url=server.url)) == "It adds."


@pytest.mark.parametrize(
    "thinking", [delta(None, reasoning_content="Hm"), delta("<think>Hm"), delta("<think>a</think>")]
)
def test_a_model_that_thinks_until_the_end_is_said(thinking: bytes) -> None:
    async def work(engine: RemoteChatEngine) -> str:
        with pytest.raises(EngineError, match=r"came to no answer: raise `max_tokens`"):
            await chat_pieces(engine, chat_request())
        return engine.status.state

    with ScriptedServer(models_then(thinking, delta("", "length"), DONE)) as server:
        assert chat_run(work, kind="openai", url=server.url) == "ready"


# llama-server.


def test_llama_server_is_asked_for_what_it_has_read_already_and_tells_the_cost() -> None:
    with ScriptedServer(llama_server) as server:
        pieces = chat_answer(kind="llama-server", url=server.url)
        assert [asked.path for asked in server.asked] == ["/props", "/v1/chat/completions"]
        assert server.bodies == [COMMON | {"cache_prompt": True}]
    assert text_of(pieces) == "It adds."
    timings = pieces[-1].timings
    assert (timings.n_prompt_tokens, timings.n_reused_tokens) == (42, 40)
    assert (timings.prefill_ms, timings.decode_ms) == (3.5, 9.25)
    assert (timings.n_evaluated_tokens, timings.n_generated_tokens) == (2, 3)


def test_llama_server_says_how_much_it_holds_and_what_its_model_is() -> None:
    async def work(engine: RemoteChatEngine) -> str:
        before = engine.status
        assert (before.state, before.model) == ("unloaded", "gpu")
        await engine.load()
        await chat_pieces(engine, chat_request(crowd(41)))
        return engine.status.model

    with ScriptedServer(llama_server) as server:
        assert chat_run(work, kind="llama-server", url=server.url) == "chat.gguf"
        sent = server.bodies[0]["messages"]
    assert 960 < sum(len(message["content"]) for message in sent) < 960 * 2.5


def test_a_model_of_llama_server_may_be_named() -> None:
    with ScriptedServer(llama_server) as server:
        chat_answer(kind="llama-server", url=server.url, model="qwen")
        assert server.bodies[0]["model"] == "qwen"


# Ollama.


@pytest.mark.parametrize(
    ("can", "more"),
    [(("completion", "thinking"), {"think": False}), (("completion",), {}), (None, {})],
)
def test_ollama_is_asked_by_its_own_chat(can: tuple[str, ...] | None, more: dict[str, Any]) -> None:
    said = [{"content": "It "}, {"content": "adds."}]
    with ScriptedServer(ollama(*said, can=can)) as server:
        pieces = chat_answer(kind="ollama", url=server.url, n_ctx=8192)
        assert [asked.path for asked in server.asked][-2:] == ["/api/generate", "/api/chat"]
        _, load, asked = server.bodies
    assert load == {"model": "qwen3:8b", "stream": False, "options": {"num_ctx": 8192}}
    options = {"temperature": 0.0, "num_predict": 64, "num_ctx": 8192}
    common = {"model": "qwen3:8b", "messages": MESSAGES, "stream": True, "options": options}
    assert asked == common | more
    assert (text_of(pieces), pieces[-1].finish) == ("It adds.", "stop")
    timings = pieces[-1].timings
    assert (timings.n_generated_tokens, timings.prefill_ms, timings.decode_ms) == (4, 5.0, 8.0)
    assert (timings.n_prompt_tokens, timings.n_evaluated_tokens) == (40, 40)


def test_ollama_keeps_its_context_where_the_settings_name_none() -> None:
    with ScriptedServer(ollama({"content": "a"})) as server:
        chat_answer(kind="ollama", url=server.url)
        assert "num_ctx" not in server.bodies[-1]["options"]


@pytest.mark.parametrize("reason", ["stop", "length", ""])
def test_why_ollama_ended_is_told_where_it_tells(reason: str) -> None:
    """Older versions do not; what is cut off there is known by its tokens."""
    end = OLLAMA_END | {"done_reason": reason or None}
    with ScriptedServer(ollama({"content": "a"}, end=end)) as server:
        assert chat_answer(kind="ollama", url=server.url)[-1].finish == reason


def test_what_ollamas_model_thinks_is_no_part_of_the_answer() -> None:
    said = [{"content": "", "thinking": "Hm"}, {"content": "It adds."}]
    with ScriptedServer(ollama(*said)) as server:
        assert text_of(chat_answer(kind="ollama", url=server.url)) == "It adds."


def test_a_model_of_ollamas_that_cannot_chat_is_refused() -> None:
    with (
        ScriptedServer(ollama(can=("embedding",))) as server,
        pytest.raises(EngineError, match='"qwen3:8b" cannot chat in Ollama: set `model`'),
    ):
        chat_answer(kind="ollama", url=server.url)


# Tabby.


@pytest.mark.parametrize("old", [False, True])
def test_a_tabby_server_is_asked_at_both_of_its_places(old: bool) -> None:
    with ScriptedServer(tabby(old=old)) as server:
        pieces = chat_answer(kind="tabby", url=server.url, key="auth_1")
        assert server.bodies[-1] == COMMON | {"model": ""}
        at = ["/v1/chat/completions", *["/v1beta/chat/completions"] * old]
        assert [asked.path for asked in server.asked] == ["/v1/health", *at]
    assert text_of(pieces) == "It adds."


@pytest.mark.parametrize("health", [{"model": "StarCoder-1B"}, {"chat_model": None}, [], None])
def test_a_tabby_server_without_a_chat_model_says_how_to_start_one(health: object) -> None:
    with (
        ScriptedServer(tabby(health=health)) as server,
        pytest.raises(EngineError, match="has no chat model: start it as `tabby serve --chat-mod"),
    ):
        chat_answer(kind="tabby", url=server.url)


def test_a_tabby_server_that_has_lost_its_chat_model_says_the_same() -> None:
    def lost(asked: Asked) -> Iterable[bytes]:
        return reply(HEALTH) if asked.path == "/v1/health" else reply(None, 501)

    with (
        ScriptedServer(lost) as server,
        pytest.raises(EngineError, match="This Tabby server has no chat model"),
    ):
        chat_answer(kind="tabby", url=server.url)
