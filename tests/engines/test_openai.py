"""What a server with OpenAI's completions is sent, and what comes of its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tabby_lsp.domain import EngineError, Sampling, Segments, Snippet, Timings, Unusable
from tests.engines.asking import (
    GRAMMAR,
    SCHEMA,
    SEGMENTS,
    UNUSUAL,
    answer,
    pieces,
    request,
    run,
    token,
    told,
)
from tests.engines.scripted_server import (
    DONE,
    Asked,
    ScriptedServer,
    event,
    openai_answer,
    reply,
    said,
    stream,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tabby_lsp.engines.remote.engine import RemoteEngine


def check(expected: dict[str, Any], segments: Segments = SEGMENTS, **settings: Any) -> None:
    """The engine asks the server with this very body."""
    with ScriptedServer(openai_answer("a", " + b")) as server:
        asked = request(segments)
        assert answer(asked, kind="openai", url=server.url, **settings) == "a + b"
        assert server.bodies == [expected]


COMMON = {"model": "m", "max_tokens": 24, "temperature": 0, "stream": True}


def test_without_a_family_prefix_and_suffix_go_apart_and_snippets_as_comments() -> None:
    check(
        COMMON
        | {
            "prompt": "# Path: sums/sub.py\n# def sub(a, b):\n#     return a - b\n"
            "def add(a, b):\n    return ",
            "suffix": "\n\nprint(add(1, 2))\n",
        }
    )


def test_with_a_family_the_prompt_is_written_as_it_was_trained() -> None:
    check(
        COMMON
        | {
            "prompt": "<|repo_name|>sums\n"
            "<|file_sep|>sums/sub.py\ndef sub(a, b):\n    return a - b\n"
            "<|file_sep|>sums/add.py\n"
            "<|fim_prefix|>def add(a, b):\n    return <|fim_suffix|>\n\nprint(add(1, 2))\n"
            "<|fim_middle|>",
            "skip_special_tokens": False,
        },
        family="qwen2.5-coder",
    )


def test_an_empty_suffix_is_a_line_end() -> None:
    check(
        COMMON | {"prompt": "x = ", "suffix": "\n"},
        Segments(prefix="x = ", suffix="", snippets=(Snippet("a.css", "a"),), language="css"),
    )


def test_line_ends_are_those_that_models_know() -> None:
    crlf = Segments(prefix="a\r\nb = ", suffix="\r\nc\r\n", language="python")
    check(COMMON | {"prompt": "a\nb = ", "suffix": "\nc\n"}, crlf)


def test_stop_strings_end_the_answer_here_too() -> None:
    with ScriptedServer(openai_answer("a + b", "\nprin", "t()")) as server:
        stops = ("\n", "1", "2", "3", "4")
        settings = {"kind": "openai", "url": server.url}
        assert answer(request(stop=stops), **settings) == "a + b"
        assert server.bodies[0]["stop"] == ["\n", "1", "2", "3"]


def test_a_control_token_that_is_written_out_ends_the_answer() -> None:
    with ScriptedServer(openai_answer("a + b", "<|file_", "sep|>other.py")) as server:
        assert answer(kind="openai", url=server.url, family="Qwen2.5-Coder") == "a + b"


@pytest.mark.parametrize(
    ("url", "path"),
    [("", "/v1/completions"), ("/", "/v1/completions"), ("/v1", "/v1/completions"),
     ("/v1/", "/v1/completions"), ("/beta", "/beta/completions"),
     ("/serve/app/v1", "/serve/app/v1/completions")],
)  # fmt: skip
def test_an_address_is_what_openais_clients_take(url: str, path: str) -> None:
    with ScriptedServer(openai_answer("a")) as server:
        answer(kind="openai", url=server.url + url)
        assert server.asked[-1].path == path


def test_the_key_goes_as_a_bearer_and_no_key_goes_without() -> None:
    with ScriptedServer(openai_answer("a")) as server:
        answer(kind="openai", url=server.url, key="sk-1")
        answer(kind="openai", url=server.url)
    keys = [asked.headers.get("authorization") for asked in server.asked]
    assert keys == ["Bearer sk-1", "Bearer sk-1", None, None]


def test_the_only_model_need_not_be_named_and_one_of_many_must() -> None:
    def two(asked: Asked) -> Iterable[bytes]:
        return reply({"data": [{"id": "qwen"}, {"id": "star"}]})

    with (
        ScriptedServer(two) as server,
        pytest.raises(EngineError, match=r'not just one model: set `model`.*: "qwen", "star"'),
    ):
        answer(kind="openai", url=server.url)


def test_a_server_without_a_list_of_models_is_asked_all_the_same() -> None:
    def unlisted(asked: Asked) -> Iterable[bytes]:
        if asked.path.endswith("/models"):
            return reply({"detail": "Not Found"}, 404)
        return stream([said("a", "stop")])

    with ScriptedServer(unlisted) as server:
        assert answer(kind="openai", url=server.url, model="m") == "a"


def test_a_llama_server_leaves_the_suffix_out_without_a_word_so_we_say_it() -> None:
    def llama_server(asked: Asked) -> Iterable[bytes]:
        if asked.path.endswith("/models"):
            return reply({"data": [{"id": "m", "owned_by": "llamacpp"}]})
        return stream([said("a", "stop")])

    with ScriptedServer(llama_server) as server:
        with pytest.raises(EngineError, match='to "llama-server"'):
            answer(kind="openai", url=server.url)
        assert answer(kind="openai", url=server.url, family="Qwen2.5-Coder") == "a"


def test_an_answer_in_one_piece_is_an_answer() -> None:
    def whole(asked: Asked) -> Iterable[bytes]:
        if asked.path.endswith("/models"):
            return reply({"data": [{"id": "m"}]})
        usage = {
            "prompt_tokens": 30,
            "completion_tokens": 4,
            "prompt_tokens_details": {"cached_tokens": 28},
        }
        return reply({"choices": [{"text": "a + b", "finish_reason": "stop"}], "usage": usage})

    async def work(engine: RemoteEngine) -> tuple[str, Timings, int]:
        got = await pieces(engine, request())
        status = engine.status
        return "".join(p.text for p in got), got[-1].timings, status.n_generated_total

    with ScriptedServer(whole) as server:
        text, timings, n_generated = run(work, kind="openai", url=server.url)
    assert (text, n_generated) == ("a + b", 4)
    assert (timings.n_prompt_tokens, timings.n_reused_tokens) == (30, 28)
    assert (timings.n_evaluated_tokens, timings.n_generated_tokens) == (2, 4)
    assert timings.total_ms > 0


@pytest.mark.parametrize("reason", ["length", "stop"])
def test_why_it_ended_is_told_though_no_tokens_are_counted(reason: str) -> None:
    """Or what was cut off at `max_tokens` would be taken for the whole answer."""

    def serve(asked: Asked) -> Iterable[bytes]:
        if asked.path.endswith("/models"):
            return reply({"data": [{"id": "m"}]})
        return stream([said("a + b"), said("", reason), DONE])

    async def work(engine: RemoteEngine) -> str:
        return (await pieces(engine, request()))[-1].finish

    with ScriptedServer(serve) as server:
        assert run(work, kind="openai", url=server.url) == reason


def test_the_length_that_vllm_states_is_kept() -> None:
    def small(asked: Asked) -> Iterable[bytes]:
        if asked.path.endswith("/models"):
            return reply({"data": [{"id": "m", "max_model_len": 524}]})
        return stream([said("a", "stop"), DONE])

    long = Segments(prefix="x = 1\n" * 2_000, suffix="y = 2\n" * 2_000, language="python")
    for family in ("", "Qwen2.5-Coder"):
        with ScriptedServer(small) as server:
            answer(request(long), kind="openai", url=server.url, family=family)
            body = server.bodies[0]
        assert 1_000 < len(body["prompt"] + body.get("suffix", "")) <= 1_500 + 50
        assert "\nx = 1\n" in body["prompt"]


def test_comments_between_events_and_other_line_ends_are_no_answer() -> None:
    def pinging(asked: Asked) -> Iterable[bytes]:
        if asked.path.endswith("/models"):
            return reply({"data": [{"id": "m"}]})
        lines = [b": ping\r\n\r\n", b"event: x\r\nid: 1\r\n", said("a").replace(b"\n", b"\r\n")]
        return stream([*lines, b"retry: 3\n\n", said("", "stop"), DONE, said("b")])

    with ScriptedServer(pinging) as server:
        assert answer(kind="openai", url=server.url) == "a"


def test_a_request_reuses_the_connection_and_survives_its_idle_end() -> None:
    """uvicorn hangs up a connection at the very moment that it is used again."""

    def hanging_up(asked: Asked) -> Iterable[bytes]:
        if asked.path.endswith("/models"):
            return reply({"data": [{"id": "m"}]})
        n_posted = len(server.bodies)
        if n_posted == 2:
            raise OSError
        return reply({"choices": [{"text": f"{n_posted}", "finish_reason": "stop"}]})

    async def work(engine: RemoteEngine) -> list[str]:
        return ["".join(p.text for p in await pieces(engine, request())) for _ in range(2)]

    with ScriptedServer(hanging_up, keeps=True) as server:
        assert run(work, kind="openai", url=server.url) == ["1", "3"]
        assert server.n_connections == 2


# How it is drawn.

OPENAI_WORDS = {
    "temperature": 0.7, "top_p": 0.8, "seed": 7, "frequency_penalty": 0.1, "presence_penalty": 0.2,
}  # fmt: skip
VLLM_WORDS = {"top_k": 20, "min_p": 0.1, "repetition_penalty": 1.1}


def drawn(sampling: Sampling, *events: bytes, owner: str = "") -> dict[str, Any]:
    """What a server is asked that says "a", without prompt and suffix."""

    def serve(asked: Asked) -> Iterable[bytes]:
        if asked.path.endswith("/models"):
            return reply({"data": [{"id": "m", "owned_by": owner}]})
        return stream([*(events or [said("a")]), said("", "stop"), DONE])

    with ScriptedServer(serve) as server:
        assert answer(request(sampling=sampling), kind="openai", url=server.url) == "a"
        (body,) = server.bodies
    return {name: value for name, value in body.items() if name not in ("prompt", "suffix")}


@pytest.mark.parametrize(("owner", "more"), [("", {}), ("vllm", VLLM_WORDS)])
def test_a_completion_is_drawn_as_the_request_says(owner: str, more: dict[str, Any]) -> None:
    """A hosted server is told no more than it knows."""
    assert drawn(UNUSUAL, owner=owner) == COMMON | OPENAI_WORDS | more


def test_biases_are_those_that_openai_takes() -> None:
    biased = Sampling(logit_bias=((5, -1_000.0), (7, 2.5)))
    assert drawn(biased) == COMMON | {"logit_bias": {"5": -100.0, "7": 2.5}}


def test_vllm_keeps_to_a_json_schema_in_a_completion_too() -> None:
    shape = {"name": "answer", "schema": SCHEMA}
    asked = drawn(Sampling(json_schema='{"type": "object"}'), owner="vllm")
    assert asked == COMMON | {"response_format": {"type": "json_schema", "json_schema": shape}}


@pytest.mark.parametrize(
    ("sampling", "owner", "words"),
    [
        (Sampling(grammar=GRAMMAR), "", "keep to a grammar: leave that out"),
        (Sampling(grammar=GRAMMAR), "vllm", "keep to a grammar: leave that out"),
        (Sampling(json_schema="{}"), "", "keep to a JSON Schema: leave that out"),
    ],
)
def test_a_shape_that_a_server_would_not_keep_to_is_refused(
    sampling: Sampling, owner: str, words: str
) -> None:
    with pytest.raises(Unusable, match=words):
        drawn(sampling, owner=owner)


def with_columns(text: str, **columns: Any) -> bytes:
    return event({"choices": [{"text": text, "logprobs": columns}]})


def test_what_openai_tells_of_each_token_is_told() -> None:
    def serve(asked: Asked) -> Iterable[bytes]:
        if asked.path.endswith("/models"):
            return reply({"data": [{"id": "m"}]})
        assert asked.body["logprobs"] == 2
        first = with_columns(
            "a +", tokens=["a", " +"], token_logprobs=[-0.5, -0.25],
            top_logprobs=[{"x": -2.0, "a": -0.5}, {" +": -0.25}],
        )  # fmt: skip
        return stream([first, with_columns(" b", tokens=[" b"], token_logprobs=[-1]), DONE])

    with ScriptedServer(serve) as server:
        heard = told(Sampling(n_logprobs=2), kind="openai", url=server.url)
    assert heard == [
        ("a +", (token("a", -0.5, a=-0.5, x=-2.0), token(" +", -0.25, **{" +": -0.25}))),
        (" b", (token(" b", -1.0),)),
    ]


def test_tokens_after_the_end_are_not_told_of() -> None:
    def serve(asked: Asked) -> Iterable[bytes]:
        if asked.path.endswith("/models"):
            return reply({"data": [{"id": "m"}]})
        texts = ["a", "<|file_", "sep|>", "b"]
        logprobs = [-1.0] * 4
        return stream([with_columns("".join(texts), tokens=texts, token_logprobs=logprobs), DONE])

    settings = {"kind": "openai", "family": "Qwen2.5-Coder"}
    with ScriptedServer(serve) as server:
        heard = told(Sampling(n_logprobs=1), url=server.url, **settings)
    assert heard == [("a", (token("a", -1.0),))]


def test_a_server_that_tells_nothing_of_tokens_is_not_taken_at_its_silence() -> None:
    async def work(engine: RemoteEngine) -> str:
        with pytest.raises(Unusable, match="tells no log probabilities: leave `logprobs` out"):
            await pieces(engine, request(sampling=Sampling(n_logprobs=1)))
        assert (engine.status.state, engine.status.message) == ("ready", "")
        return "".join(piece.text for piece in await pieces(engine, request()))

    with ScriptedServer(openai_answer("a")) as server:
        assert run(work, kind="openai", url=server.url) == "a"


def test_wishes_that_are_refused_leave_the_server_to_others() -> None:
    def serve(asked: Asked) -> Iterable[bytes]:
        if asked.body and "top_p" in asked.body:
            return reply({"error": {"message": "no top_p here"}}, 400)
        return openai_answer("a")(asked)

    async def work(engine: RemoteEngine) -> str:
        with pytest.raises(Unusable, match="no top_p here"):
            await pieces(engine, request(sampling=Sampling(top_p=0.5)))
        assert engine.status.state == "ready"
        return "".join(piece.text for piece in await pieces(engine, request()))

    with ScriptedServer(serve) as server:
        assert run(work, kind="openai", url=server.url) == "a"
