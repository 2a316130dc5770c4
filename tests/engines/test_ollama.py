"""What Ollama is sent, and what comes of its answers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tabby_lsp.domain import EngineError, Sampling, Segments, Timings, Unusable
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
from tests.engines.scripted_server import Asked, ScriptedServer, line, reply, stream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tabby_lsp.engines.remote.engine import RemoteEngine

MODEL = "qwen2.5-coder:1.5b-base"
LINES = "application/x-ndjson"
END = {
    "response": "", "done": True, "done_reason": "stop", "context": [1, 2, 3],
    "prompt_eval_count": 40, "prompt_eval_duration": 5_000_000,
    "eval_count": 4, "eval_duration": 8_000_000,
}  # fmt: skip


def ollama(
    *texts: str,
    names: tuple[str, ...] = (MODEL,),
    can: tuple[str, ...] | None = ("insert",),
    end: dict[str, Any] = END,
) -> Any:
    """An Ollama with these models, which says this."""

    def serve(asked: Asked) -> Iterable[bytes]:
        match asked.path:
            case "/api/tags":
                return reply({"models": [{"name": name} for name in names]})
            case "/api/show" if asked.body["model"] in names:
                shown: dict[str, object] = {"details": {}, "model_info": {}}
                return reply(shown | ({"capabilities": list(can)} if can else {}))
            case "/api/generate" if not asked.body["stream"]:
                return reply({"done": True, "done_reason": "load", "response": ""})
            case "/api/generate":
                said = [line({"response": text, "done": False}) for text in texts]
                return stream([*said, line(end)], LINES)
        return reply({"error": f"model '{asked.body['model']}' not found"}, 404)

    return serve


def check(expected: dict[str, Any], segments: Segments = SEGMENTS, **settings: Any) -> None:
    """The engine asks Ollama with this very body, after it had it load the model."""
    with ScriptedServer(ollama("a", " + b")) as server:
        settings = {"kind": "ollama", "url": server.url, "model": MODEL} | settings
        assert answer(request(segments, stop=("\n\n",)), **settings) == "a + b"
        show, load, asked = server.bodies
    assert show == {"model": MODEL}
    assert load == {"model": MODEL, "stream": False, "options": {}}
    options = {"temperature": 0, "num_predict": 24, "stop": ["\n\n"]}
    assert asked == {"model": MODEL, "stream": True, "options": options} | expected


def test_without_a_family_the_model_is_asked_to_insert() -> None:
    check(
        {
            "prompt": "# Path: sums/sub.py\n# def sub(a, b):\n#     return a - b\n"
            "def add(a, b):\n    return ",
            "suffix": "\n\nprint(add(1, 2))\n",
        }
    )


def test_an_empty_suffix_would_make_it_a_chat() -> None:
    check({"prompt": "x = ", "suffix": "\n"}, Segments(prefix="x = ", suffix=""))


def test_with_a_family_the_prompt_is_raw() -> None:
    check(
        {
            "prompt": "<repo_name>sums<file_sep>sums/sub.py\ndef sub(a, b):\n    return a - b\n"
            "<file_sep><fim_prefix>sums/add.py\ndef add(a, b):\n    return "
            "<fim_suffix>\n\nprint(add(1, 2))\n<fim_middle>",
            "raw": True,
        },
        family="StarCoder2",
    )


def test_a_context_is_asked_for_where_the_settings_name_one() -> None:
    with ScriptedServer(ollama("a")) as server:
        answer(kind="ollama", url=server.url, n_ctx=16_384)
        _, load, asked = server.bodies
    assert load["options"] == {"num_ctx": 16_384}
    assert asked["options"]["num_ctx"] == 16_384


@pytest.mark.parametrize(
    ("more", "n_reused"),
    [({}, 0), ({"prompt_eval_cached_count": 38}, 38), ({"prompt_eval_cached_count": 99}, 40)],
)
def test_what_it_tells_of_the_cost_is_told(more: dict[str, int], n_reused: int) -> None:
    """Older versions do not tell which part of the prompt their cache held."""

    async def work(engine: RemoteEngine) -> tuple[Timings, int]:
        timings = (await pieces(engine, request()))[-1].timings
        return timings, engine.status.n_evaluated_total

    with ScriptedServer(ollama("a", end=END | more)) as server:
        timings, n_evaluated_total = run(work, kind="ollama", url=server.url)
    assert (timings.n_generated_tokens, timings.prefill_ms, timings.decode_ms) == (4, 5.0, 8.0)
    assert (timings.n_prompt_tokens, timings.n_reused_tokens) == (40, n_reused)
    assert timings.n_evaluated_tokens == n_evaluated_total == 40 - n_reused


@pytest.mark.parametrize(
    ("names", "can", "settings", "words"),
    [
        (("a", "b"), ("insert",), {}, 'not just one model: set `model`.*: "a", "b"'),
        (("a",), ("insert",), {"model": "c"}, 'no model "c": set `model`.*: "a"'),
        ((MODEL,), ("completion",), {"model": MODEL}, "cannot fill in the middle"),
    ],
)
def test_a_model_that_will_not_do_is_refused_with_those_that_might(
    names: tuple[str, ...], can: tuple[str, ...], settings: dict[str, Any], words: str
) -> None:
    with (
        ScriptedServer(ollama("x", names=names, can=can)) as server,
        pytest.raises(EngineError, match=words),
    ):
        answer(kind="ollama", url=server.url, **settings)


@pytest.mark.parametrize("settings", [{"family": "Qwen2.5-Coder"}, {}])
def test_a_model_of_which_nothing_is_known_is_asked(settings: dict[str, Any]) -> None:
    can = ("completion",) if settings else None
    with ScriptedServer(ollama("x", can=can)) as server:
        assert answer(kind="ollama", url=server.url, **settings) == "x"


def test_an_error_in_the_middle_is_a_fault() -> None:
    def failing(asked: Asked) -> Iterable[bytes]:
        if asked.path == "/api/generate" and asked.body["stream"]:
            return stream([line({"response": "a"}), line({"error": "out of memory"})], LINES)
        return ollama()(asked)  # type: ignore[no-any-return]

    with ScriptedServer(failing) as server, pytest.raises(EngineError, match=r"\(out of memory\)"):
        answer(kind="ollama", url=server.url)


def test_control_tokens_that_are_written_out_end_the_answer() -> None:
    with ScriptedServer(ollama("a + b", "<file_s", "ep>c.py")) as server:
        assert answer(kind="ollama", url=server.url, family="StarCoder2") == "a + b"


def test_what_comes_after_the_end_is_no_part_of_the_answer() -> None:
    def serve(asked: Asked) -> Iterable[bytes]:
        if asked.path == "/api/generate" and asked.body["stream"]:
            more = line({"response": "more", "done": False})
            return stream([line({"response": "a", "done": False}), line(END), more, more], LINES)
        usual: Iterable[bytes] = ollama("a")(asked)
        return usual

    with ScriptedServer(serve) as server:
        assert answer(kind="ollama", url=server.url, model=MODEL) == "a"


# How it is drawn.


def test_a_completion_is_drawn_as_the_request_says() -> None:
    sampling = replace(UNUSUAL, json_schema='{"type": "object"}')
    with ScriptedServer(ollama("a")) as server:
        answer(request(sampling=sampling), kind="ollama", url=server.url)
        asked = server.bodies[-1]
    assert asked["format"] == SCHEMA
    assert asked["options"] == {
        "temperature": 0.7, "top_k": 20, "top_p": 0.8, "min_p": 0.1, "seed": 7,
        "frequency_penalty": 0.1, "presence_penalty": 0.2, "repeat_penalty": 1.1,
        "num_predict": 24,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sampling", "words"),
    [
        (Sampling(grammar=GRAMMAR), "keep to a grammar: leave that out"),
        (Sampling(logit_bias=((5, 1.0),)), "knows `logit_bias`.*: leave that out"),
    ],
)
def test_what_it_would_not_keep_is_refused(sampling: Sampling, words: str) -> None:
    with ScriptedServer(ollama("a")) as server, pytest.raises(Unusable, match=words):
        answer(request(sampling=sampling), kind="ollama", url=server.url)


def test_what_it_tells_of_each_token_is_told() -> None:
    def serve(asked: Asked) -> Iterable[bytes]:
        if asked.path == "/api/generate" and asked.body["stream"]:
            assert (asked.body["logprobs"], asked.body["top_logprobs"]) == (True, 2)
            entry = {"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "x", "logprob": -2}]}
            return stream([line({"response": "a", "logprobs": [entry]}), line(END)], LINES)
        usual: Iterable[bytes] = ollama("a")(asked)
        return usual

    with ScriptedServer(serve) as server:
        heard = told(Sampling(n_logprobs=2), kind="ollama", url=server.url)
    assert heard == [("a", (token("a", -0.5, x=-2.0),))]


def test_a_version_that_tells_nothing_of_tokens_says_so() -> None:
    with (
        ScriptedServer(ollama("a")) as server,
        pytest.raises(Unusable, match="tells no log probabilities: leave `logprobs` out"),
    ):
        told(Sampling(n_logprobs=1), kind="ollama", url=server.url)
