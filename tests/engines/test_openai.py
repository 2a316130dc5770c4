"""What a server with OpenAI's completions is sent, and what comes of its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tabby_lsp.domain import EngineError, Segments, Snippet, Timings
from tests.engines.asking import SEGMENTS, answer, pieces, request, run
from tests.engines.scripted_server import (
    DONE,
    Asked,
    ScriptedServer,
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
