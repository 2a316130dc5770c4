"""What llama-server is sent: token ids where the family is known, else /infill; and its answers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tabby_lsp.domain import EngineError, Sampling, Segments, Timings
from tabby_lsp.engines.remote.token_prompt import BYTE_LEVEL, SENTENCEPIECE
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
from tests.engines.scripted_server import Asked, ScriptedServer, event, reply, stream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tabby_lsp.engines.remote.engine import RemoteEngine

QWEN = {
    "<|fim_prefix|>": 900_001, "<|fim_middle|>": 900_002, "<|fim_suffix|>": 900_003,
    "<|fim_pad|>": 900_004, "<|repo_name|>": 900_005, "<|file_sep|>": 900_006,
    "<|im_start|>": 900_007,
}  # fmt: skip
STARCODER = {
    "<fim_prefix>": 900_001, "<fim_middle>": 900_002, "<fim_suffix>": 900_003,
    "<fim_pad>": 900_004, "<filename>": 900_005,
}  # fmt: skip
TIMINGS = {
    "cache_n": 40, "prompt_n": 2, "prompt_ms": 3.5, "predicted_n": 3, "predicted_ms": 9.25,
}  # fmt: skip


def spelled(tokens: list[int], vocabulary: dict[str, int]) -> str:
    """Token ids as text: letters have their code points, control tokens their names."""
    names = {number: text for text, number in vocabulary.items()}
    return "".join(names.get(token) or chr(token) for token in tokens)


def llama_server(
    *said: dict[str, Any],
    vocabulary: dict[str, int],
    bos: tuple[int, ...] = (),
    n_ctx: int = 4096,
    vocabulary_kind: int | None = None,
) -> Any:
    """A llama-server whose tokenizer makes a token of each letter.

    Of SentencePiece's kind it puts a blank before each text, as those do.
    """

    def tokenize(body: dict[str, Any]) -> Iterable[bytes]:
        text = body["content"]
        if body.get("with_pieces"):
            assert body["parse_special"] is True
            pieces: list[Any] = [{"id": ord(c), "piece": c} for c in "<|>"]
            pieces += [{"id": 7, "piece": [0xF0, 0x9F]}]
            pieces += [{"id": n, "piece": t} for t, n in vocabulary.items() if t in text]
            return reply({"tokens": pieces})
        if body.get("add_special"):
            return reply({"tokens": list(bos)})
        assert body["parse_special"] is False
        blank = " " if vocabulary_kind == SENTENCEPIECE else ""
        return reply({"tokens": list(map(ord, blank + text))})

    def serve(asked: Asked) -> Iterable[bytes]:
        match asked.path:
            case "/props":
                settings = {"n_ctx": n_ctx}
                props = {"default_generation_settings": settings, "total_slots": 4}
                return reply(props | {"model_path": "/models/qwen.gguf", "model_alias": ""})
            case "/v1/models":
                if vocabulary_kind is None:
                    return reply({"error": {"code": 404, "message": "File Not Found"}}, 404)
                return reply({"data": [{"id": "m", "meta": {"vocab_type": vocabulary_kind}}]})
            case "/tokenize":
                return tokenize(asked.body)
        return stream(map(event, said))

    return serve


ANSWER = (
    {"content": "a", "tokens": [97], "stop": False, "timings": TIMINGS | {"predicted_n": 1}},
    {"content": " + b", "tokens": [43, 98], "stop": False, "timings": TIMINGS},
    {"content": "", "tokens": [], "stop": True, "timings": TIMINGS},
)
COMMON = {
    "n_predict": 24, "temperature": 0, "stream": True, "cache_prompt": True,
    "id_slot": os.getpid() % 4, "timings_per_token": True, "return_tokens": True,
}  # fmt: skip


def asked_of(server: ScriptedServer) -> dict[str, Any]:
    """What it was asked at last, without what is the same each time."""
    body: dict[str, Any] = server.bodies[-1]
    assert COMMON.items() <= body.items()
    return {"path": server.asked[-1].path} | {k: v for k, v in body.items() if k not in COMMON}


@pytest.mark.parametrize("family", ["", "Qwen2.5-Coder"])
def test_a_family_that_its_tokens_tell_gets_token_ids(family: str) -> None:
    with ScriptedServer(llama_server(*ANSWER, vocabulary=QWEN)) as server:
        assert answer(kind="llama-server", url=server.url, family=family) == "a + b"
        asked = asked_of(server)
    assert asked.keys() == {"path", "prompt"}
    assert asked["path"] == "/completion"
    assert spelled(asked["prompt"], QWEN) == (
        "<|repo_name|>sums\n<|file_sep|>sums/sub.py\ndef sub(a, b):\n    return a - b\n"
        "<|file_sep|>sums/add.py\n<|fim_prefix|>def add(a, b):\n    return "
        "<|fim_suffix|>\n\nprint(add(1, 2))\n<|fim_middle|>"
    )


def test_control_tokens_in_a_text_are_letters_there() -> None:
    text = "s = '<|fim_middle|>"
    with ScriptedServer(llama_server(*ANSWER, vocabulary=QWEN)) as server:
        answer(request(Segments(prefix=text, suffix="'\n")), kind="llama-server", url=server.url)
        prompt = asked_of(server)["prompt"]
    assert prompt == [900_001, *map(ord, text), 900_003, *map(ord, "'\n"), 900_002]


def test_what_the_model_reads_first_stands_first() -> None:
    with ScriptedServer(llama_server(*ANSWER, vocabulary=QWEN, bos=(5,))) as server:
        answer(kind="llama-server", url=server.url)
        assert asked_of(server)["prompt"][:2] == [5, 900_005]


def test_families_with_the_same_tokens_are_left_to_infill() -> None:
    with ScriptedServer(llama_server(*ANSWER, vocabulary=STARCODER)) as server:
        assert answer(kind="llama-server", url=server.url) == "a + b"
        assert asked_of(server) == {
            "path": "/infill",
            "input_prefix": "def add(a, b):\n",
            "prompt": "    return ",
            "input_suffix": "\n\nprint(add(1, 2))\n",
            "input_extra": [
                {"filename": "sums/sub.py", "text": "def sub(a, b):\n    return a - b\n"}
            ],
        }


def test_control_tokens_on_the_line_are_kept_from_the_field_where_they_would_be_read() -> None:
    segments = Segments(prefix="a\r\nb = '<fim_middle>", suffix="'\r\n")
    with ScriptedServer(llama_server(*ANSWER, vocabulary=STARCODER)) as server:
        answer(request(segments), kind="llama-server", url=server.url)
        assert asked_of(server) == {
            "path": "/infill",
            "input_prefix": "a\nb = '<fim_middle>",
            "prompt": "",
            "input_suffix": "'\n",
            "input_extra": [],
        }


def test_a_family_that_is_named_decides_among_those_with_the_same_tokens() -> None:
    with ScriptedServer(llama_server(*ANSWER, vocabulary=STARCODER)) as server:
        answer(kind="llama-server", url=server.url, family="Mellum")
        prompt = spelled(asked_of(server)["prompt"], STARCODER)
    assert prompt == (
        "<filename>sums/sub.py\ndef sub(a, b):\n    return a - b\n<filename>sums/add.py\n"
        "<fim_suffix>\n\nprint(add(1, 2))\n<fim_prefix>def add(a, b):\n    return <fim_middle>"
    )


def test_a_family_whose_tokens_the_model_lacks_is_refused() -> None:
    with (
        ScriptedServer(llama_server(vocabulary=STARCODER)) as server,
        pytest.raises(EngineError, match=r"has no <\|fim_prefix\|>, so it is not of the family"),
    ):
        answer(kind="llama-server", url=server.url, family="Qwen2.5-Coder")


def test_what_it_tells_of_the_cost_is_told() -> None:
    async def work(engine: RemoteEngine) -> tuple[Timings, int, int, str]:
        timings = (await pieces(engine, request()))[-1].timings
        status = engine.status
        return timings, status.n_evaluated_total, status.n_generated_total, status.model

    with ScriptedServer(llama_server(*ANSWER, vocabulary=QWEN)) as server:
        timings, n_evaluated, n_generated, model = run(work, kind="llama-server", url=server.url)
    assert (timings.n_prompt_tokens, timings.n_reused_tokens) == (42, 40)
    assert (timings.n_evaluated_tokens, timings.n_generated_tokens) == (2, 3)
    assert (timings.prefill_ms, timings.decode_ms) == (3.5, 9.25)
    assert (n_evaluated, n_generated, model) == (2, 3, "qwen.gguf")


def test_an_end_token_that_llama_cpp_does_not_know_ends_the_answer() -> None:
    said = (
        {"content": "a", "tokens": [97], "stop": False},
        {"content": "", "tokens": [900_006], "stop": False},
        {"content": "other.py", "tokens": [98], "stop": False},
    )
    with ScriptedServer(llama_server(*said, vocabulary=QWEN)) as server:
        assert answer(kind="llama-server", url=server.url) == "a"


def test_only_what_is_new_is_tokenized_again() -> None:
    async def work(engine: RemoteEngine) -> list[int]:
        counts = []
        for typed in ("a", "a ", "a +"):
            before = len(server.asked)
            segments = Segments(prefix=SEGMENTS.prefix + typed, suffix=SEGMENTS.suffix, path="x.py")
            await pieces(engine, request(segments))
            counts.append(len(server.asked) - before)
        return counts

    with ScriptedServer(llama_server(*ANSWER, vocabulary=QWEN)) as server:
        # Greeting, suffix, path and prefix at first; then the prefix, and the question itself.
        assert run(work, kind="llama-server", url=server.url) == [8, 2, 2]


def test_of_a_long_text_only_its_end_is_tokenized_again() -> None:
    """Also where it is cut, which takes the tokens of several beginnings of it."""
    above = "".join(f"name_{n} = {n}\nother\n" for n in range(500))

    async def work(engine: RemoteEngine) -> list[list[int]]:
        sizes = []
        for typed in ("a", "a ", "a +"):
            before = len(server.asked)
            await pieces(engine, request(Segments(prefix=above + typed, suffix="\n", path="x.py")))
            tokenized = [each for each in server.asked[before:] if each.path == "/tokenize"]
            sizes.append([len(each.body["content"]) for each in tokenized])
            prompts.append(server.bodies[-1]["prompt"])
        return sizes

    prompts: list[list[int]] = []
    kind = llama_server(*ANSWER, vocabulary=QWEN, vocabulary_kind=BYTE_LEVEL)
    with ScriptedServer(kind) as server:
        _, *later = run(work, kind="llama-server", url=server.url)
    assert [len(sizes) for sizes in later] == [1, 1]
    assert max(size for sizes in later for size in sizes) < 500
    with ScriptedServer(llama_server(*ANSWER, vocabulary=QWEN)) as server:
        for typed, prompt in zip(("a", "a ", "a +"), prompts, strict=True):
            asked = request(Segments(prefix=above + typed, suffix="\n", path="x.py"))
            answer(asked, kind="llama-server", url=server.url)
            assert asked_of(server)["prompt"] == prompt


def test_the_blank_that_sentencepiece_puts_before_a_text_is_no_text() -> None:
    kind = llama_server(*ANSWER, vocabulary=QWEN, vocabulary_kind=SENTENCEPIECE)
    with ScriptedServer(kind) as server:
        answer(request(Segments(prefix="ab", suffix="c")), kind="llama-server", url=server.url)
        prompt = asked_of(server)["prompt"]
    assert spelled(prompt, QWEN) == "<|fim_prefix|>ab<|fim_suffix|>c<|fim_middle|>"


def test_a_prompt_has_room_in_the_servers_context() -> None:
    long = Segments(prefix="x = 1\n" * 3_000, suffix="y = 2\n" * 3_000, path="x.py")
    with ScriptedServer(llama_server(*ANSWER, vocabulary=QWEN, n_ctx=600)) as server:
        answer(request(long), kind="llama-server", url=server.url)
        prompt = asked_of(server)["prompt"]
    assert 100 < len(prompt) <= 600 - 24


def test_what_infill_gets_has_room_in_the_servers_context_too() -> None:
    """The server itself cuts at its batch: 2048 tokens, though a slot may hold 1024."""
    long = Segments(prefix="x = 1\n" * 3_000 + "y", suffix="y = 2\n" * 3_000, path="x.py")
    with ScriptedServer(llama_server(*ANSWER, vocabulary=STARCODER, n_ctx=1024)) as server:
        answer(request(long), kind="llama-server", url=server.url)
        asked = asked_of(server)
    n_prefix, n_suffix = len(asked["input_prefix"]), len(asked["input_suffix"])
    assert 500 <= n_suffix < n_prefix
    assert 1_500 < n_prefix + n_suffix <= 2 * (1_024 - 24)
    assert asked["prompt"] == "y"


@pytest.mark.parametrize("tokens", [None, 5, ["a"], [1.5], [True], {"0": 1}])
def test_a_tokenizer_that_lies_is_a_fault(tokens: object) -> None:
    def lying(asked: Asked) -> Iterable[bytes]:
        if asked.path == "/tokenize" and asked.body.get("parse_special") is False:
            return reply({"tokens": tokens})
        return llama_server(*ANSWER, vocabulary=QWEN)(asked)  # type: ignore[no-any-return]

    with ScriptedServer(lying) as server, pytest.raises(EngineError, match="no `tokens`"):
        answer(kind="llama-server", url=server.url)


def test_a_server_that_loads_its_model_is_asked_again() -> None:
    loading = {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}
    with (
        ScriptedServer(lambda _: reply(loading, 503)) as server,
        pytest.raises(EngineError, match=r"is not ready \(503: Loading model\): it is asked again"),
    ):
        answer(kind="llama-server", url=server.url)


def test_what_comes_after_the_end_is_no_part_of_the_answer() -> None:
    more = {"content": "more", "tokens": [109], "stop": False, "timings": TIMINGS}
    serve = llama_server(*ANSWER, more, vocabulary={})
    with ScriptedServer(serve) as server:
        assert answer(kind="llama-server", url=server.url) == "a + b"


# How it is drawn.


def drawn(sampling: Sampling, vocabulary: dict[str, int] = QWEN) -> dict[str, Any]:
    """What a server is asked that says "a + b", without the prompt."""
    with ScriptedServer(llama_server(*ANSWER, vocabulary=vocabulary)) as server:
        asked = request(sampling=sampling, stop=tuple("12345"))
        assert answer(asked, kind="llama-server", url=server.url) == "a + b"
        body = server.bodies[-1]
    assert body.pop("stop") == [*"12345"]
    names = ("prompt", "input_prefix", "input_suffix", "input_extra")
    return {name: value for name, value in body.items() if name not in names}


@pytest.mark.parametrize("vocabulary", [QWEN, STARCODER])
def test_a_completion_is_drawn_as_the_request_says(vocabulary: dict[str, int]) -> None:
    assert drawn(UNUSUAL, vocabulary) == COMMON | {
        "temperature": 0.7, "top_k": 20, "top_p": 0.8, "min_p": 0.1, "seed": 7,
        "frequency_penalty": 0.1, "presence_penalty": 0.2, "repeat_penalty": 1.1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sampling", "more"),
    [
        (Sampling(grammar=GRAMMAR), {"grammar": GRAMMAR}),
        (Sampling(json_schema='{"type": "object"}'), {"json_schema": SCHEMA}),
        (
            Sampling(logit_bias=((5, -1_000.0), (7, 2.5))),
            {"logit_bias": [[5, -1_000.0], [7, 2.5]]},
        ),
    ],
)
def test_what_is_promised_of_an_answer_is_asked_for(
    sampling: Sampling, more: dict[str, Any]
) -> None:
    assert drawn(sampling) == COMMON | more


def test_what_it_tells_of_each_token_is_told() -> None:
    def probable(text: str, logprob: float, **more: Any) -> dict[str, Any]:
        return {"id": 1, "token": text, "bytes": [*text.encode()], "logprob": logprob} | more

    first = probable("a", -0.5, top_logprobs=[probable("a", -0.5), probable("x", -2.0)])
    said = (
        # The text of a token that may begin a stop string comes with the next one.
        ANSWER[0] | {"content": "", "completion_probabilities": [first]},
        ANSWER[1] | {"content": "a + b", "completion_probabilities": [probable(" + b", -1)]},
        ANSWER[2],
    )
    with ScriptedServer(llama_server(*said, vocabulary=QWEN)) as server:
        heard = told(Sampling(n_logprobs=2), kind="llama-server", url=server.url)
        assert asked_of(server)["n_probs"] == 2
    assert heard == [("a + b", (token("a", -0.5, a=-0.5, x=-2.0), token(" + b", -1.0)))]
