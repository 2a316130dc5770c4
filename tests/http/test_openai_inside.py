"""What becomes of OpenAI's fields on their way to an engine, and of what the engine says."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tabby_lsp.domain import EngineError, Sampling, TooLong, Unusable
from tabby_lsp.engines.scripted import Line, Reply, ScriptedEngine
from tabby_lsp.talk import SAMPLING
from tests.http.telling import MAX_CHAT_TOKENS, Inside, Measurer, Teller, pieces, token

if TYPE_CHECKING:
    from pathlib import Path

    import httpx2

TEXT, CHAT, EMBEDDINGS = "/v1/completions", "/v1/chat/completions", "/v1/embeddings"
GREETING: list[dict[str, Any]] = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def teller() -> Teller:
    return Teller(pieces("one", " two"))


@pytest.fixture
def inside(teller: Teller, tmp_path: Path) -> Inside:
    return Inside({"completion": teller, "chat": teller, "embedding": Measurer()}, tmp_path)


def ask(inside: Inside, path: str, body: object = None, **headers: str) -> httpx2.Response:
    return asyncio.run(inside.ask(path, body, **headers))


def answered(inside: Inside, path: str, body: object = None, **headers: str) -> Any:
    answer = ask(inside, path, body, **headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(inside: Inside, path: str, body: object, status: int) -> Any:
    answer = ask(inside, path, body)
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert told["error"]["message"] == told["detail"] == told["message"]
    return told["error"]


def events(inside: Inside, path: str, body: object, **headers: str) -> list[Any]:
    answer = ask(inside, path, body, **headers)
    assert answer.headers["content-type"].startswith("text/event-stream"), answer.text
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


# Models.


def test_models_are_listed_by_what_they_are_for(inside: Inside) -> None:
    listed = answered(inside, "/v1/models")
    assert listed["object"] == "list"
    names = [card["id"] for card in listed["data"]]
    assert names == ["completion-model", "chat-model", "embedding-model"]
    card = answered(inside, "/v1/models/CHAT-model")
    assert card == listed["data"][1]
    assert (card["object"], card["owned_by"]) == ("model", "tabby-lsp")
    assert isinstance(card["created"], int)


def test_a_model_that_is_not_loaded_is_not_found(inside: Inside) -> None:
    asked: list[tuple[str, Any]] = [
        ("/v1/models/gpt-4", None),
        (TEXT, {"model": "gpt-4", "prompt": "a"}),
        (CHAT, {"model": "gpt-4", "messages": GREETING}),
        (EMBEDDINGS, {"model": "gpt-4", "input": "a"}),
    ]
    for path, body in asked:
        assert refused(inside, path, body, 404)["code"] == "model_not_found"


def test_null_is_as_good_as_nothing(inside: Inside, teller: Teller) -> None:
    body = {"messages": GREETING, "n": None, "max_tokens": None, "max_completion_tokens": 7}
    answered(inside, CHAT, body)
    assert teller.asked[-1].max_tokens == 7


def test_no_name_and_tabby_mean_what_is_loaded(inside: Inside) -> None:
    for name in (None, "", "tabby", "Tabby"):
        body: dict[str, Any] = {"model": name, "prompt": "a"}
        assert answered(inside, TEXT, body)["model"] == "completion-model"
        accept = {"Accept": "application/json"}
        body = {"model": name, "messages": GREETING}
        assert answered(inside, CHAT, body, **accept)["model"] == "chat-model"
        assert answered(inside, EMBEDDINGS, {"model": name, "input": "a"})["model"] == (
            "embedding-model"
        )


def test_a_model_that_is_for_something_else_is_said_to_be(inside: Inside) -> None:
    body = {"model": "completion-model", "messages": GREETING}
    assert "loaded for completion" in refused(inside, CHAT, body, 400)["message"]
    body = {"model": "embedding-model", "prompt": "a"}
    assert "loaded for embedding" in refused(inside, TEXT, body, 400)["message"]
    assert answered(inside, TEXT, {"model": "chat-model", "prompt": "a"})["model"] == "chat-model"


def test_without_a_model_it_is_501(tmp_path: Path) -> None:
    nothing = Inside({}, tmp_path)
    assert answered(nothing, "/v1/models")["data"] == []
    for path, body in (
        (TEXT, {"prompt": "a"}),
        (CHAT, {"messages": GREETING}),
        (EMBEDDINGS, {"input": "a"}),
    ):
        refused(nothing, path, body, 501)


# Text.


def test_a_text_is_continued_and_its_tokens_are_counted(inside: Inside, teller: Teller) -> None:
    answer = answered(inside, TEXT, {"prompt": "zero"})
    assert answer["object"] == "text_completion"
    assert answer["id"].startswith("cmpl-")
    assert answer["choices"] == [
        {"index": 0, "text": "one two", "logprobs": None, "finish_reason": "stop"}
    ]
    assert answer["usage"] == {
        "prompt_tokens": 7,
        "completion_tokens": 2,
        "total_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 3},
    }
    (request,) = teller.asked
    assert (request.prompt, request.max_tokens, request.stop) == ("zero", 16, ())
    assert request.sampling == SAMPLING


def test_what_reaches_the_limit_was_cut_off(inside: Inside) -> None:
    (choice,) = answered(inside, TEXT, {"prompt": "zero", "max_tokens": 2})["choices"]
    assert choice["finish_reason"] == "length"


def test_an_engine_that_says_why_it_ended_is_believed(tmp_path: Path) -> None:
    last = replace(pieces("one")[0], finish="stop")
    inside = Inside({"completion": Teller([last])}, tmp_path)
    (choice,) = answered(inside, TEXT, {"prompt": "zero", "max_tokens": 1})["choices"]
    assert choice["finish_reason"] == "stop"


def test_a_suffix_asks_for_what_is_between(inside: Inside, teller: Teller) -> None:
    for suffix in ("c", ""):
        answered(inside, TEXT, {"prompt": "a", "suffix": suffix, "stop": "\n\n"})
        request = teller.asked.pop()
        assert (request.segments.prefix, request.segments.suffix) == ("a", suffix)
        assert (request.stop, request.sampling) == (("\n\n",), Sampling())
    body = {"prompt": "a", "suffix": "c", "model": "chat-model"}
    assert "fills in nothing" in refused(inside, TEXT, body, 400)["message"]


def test_an_engine_without_text_says_so(tmp_path: Path) -> None:
    inside = Inside({"completion": ScriptedEngine([Line("a", "c", "b")])}, tmp_path)
    answer = answered(inside, TEXT, {"prompt": "a", "suffix": "c"})
    assert answer["choices"][0]["text"] == "b"
    assert "send `suffix`" in refused(inside, TEXT, {"prompt": "a"}, 501)["message"]
    assert "no token ids" in refused(inside, TEXT, {"prompt": [1], "suffix": ""}, 501)["message"]


def test_prompts_may_be_several_and_token_ids(inside: Inside, teller: Teller) -> None:
    for given, prompts in (
        (["a", "b"], ["a", "b"]),
        ([97, 98], ["ab"]),
        ([[97], [98, 99]], ["a", "bc"]),
    ):
        answer = answered(inside, TEXT, {"prompt": given})
        assert [request.prompt for request in teller.asked] == prompts
        assert [choice["index"] for choice in answer["choices"]] == list(range(len(prompts)))
        assert answer["usage"]["prompt_tokens"] == 7 * len(prompts)
        teller.asked.clear()


def test_several_answers_have_seeds_of_their_own_and_one_prompt(
    inside: Inside, teller: Teller
) -> None:
    answer = answered(inside, TEXT, {"prompt": "a", "n": 3, "seed": 5})
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    assert [request.sampling.seed for request in teller.asked] == [5, 6, 7]
    assert answer["usage"]["prompt_tokens"] == 7
    assert answer["usage"]["completion_tokens"] == 6


def test_a_stream_has_the_same_text_and_ends(inside: Inside) -> None:
    body = {"prompt": "a", "stream": True, "n": 2, "stream_options": {"include_usage": True}}
    *chunks, usage, done = events(inside, TEXT, body)
    assert done == "[DONE]"
    told = [
        (choice["index"], choice["text"], choice["finish_reason"])
        for chunk in chunks
        for choice in chunk["choices"]
    ]
    assert told == [
        (n, text, end)
        for n in (0, 1)
        for text, end in (("one", None), (" two", None), ("", "stop"))
    ]
    assert usage["choices"] == []
    assert usage["usage"]["total_tokens"] == 11
    assert len({chunk["id"] for chunk in chunks}) == 1


def test_logprobs_stand_where_their_tokens_stand(tmp_path: Path) -> None:
    half, other_half = "é".encode()[:1], "é".encode()[1:]
    control = token("<end>", -0.5, ("<end>", -0.5), ("x", float("-inf")))
    broken = [replace(token("�"), raw=half), replace(token("�"), raw=other_half)]
    first, second = pieces("aé", "b")
    says = [
        replace(first, logprobs=(token("a"), *broken)),
        replace(second, logprobs=(control, token("b"))),
    ]
    inside = Inside({"completion": Teller(says)}, tmp_path)
    (choice,) = answered(inside, TEXT, {"prompt": "", "logprobs": 2})["choices"]
    assert choice["logprobs"] == {
        "tokens": ["a", "�", "�", "<end>", "b"],
        "token_logprobs": [-1, -1, -1, -0.5, -1],
        "top_logprobs": [{}, {}, {}, {"<end>": -0.5, "x": -9999.0}, {}],
        "text_offset": [0, 1, 1, 2, 2],
    }
    streamed = events(inside, TEXT, {"prompt": "", "logprobs": 0, "stream": True})
    offsets = [chunk["choices"][0]["logprobs"]["text_offset"] for chunk in streamed[:2]]
    assert offsets == [[0, 1, 1], [2, 2]]
    assert streamed[0]["choices"][0]["logprobs"]["top_logprobs"] is None


# How tokens are chosen.


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"temperature": 0}, Sampling()),
        ({"temperature": 0.5}, Sampling(temperature=0.5)),
        ({"top_p": 0.5}, Sampling(temperature=1, top_p=0.5)),
        ({"top_k": -1}, Sampling(temperature=1)),
        ({"top_k": 5, "min_p": 0.1}, Sampling(temperature=1, top_k=5, min_p=0.1)),
        ({"seed": 3}, replace(SAMPLING, seed=3)),
        ({"seed": -1}, SAMPLING),
        ({"rep_pen": 1.5}, replace(SAMPLING, repetition_penalty=1.5)),
        (
            {"presence_penalty": 0.5, "frequency_penalty": -0.5},
            replace(SAMPLING, presence_penalty=0.5, frequency_penalty=-0.5),
        ),
        (
            {"logit_bias": {"5": 1.5}, "custom_token_bans": [6]},
            replace(SAMPLING, logit_bias=((5, 1.5), (6, -1000.0))),
        ),
        ({"json_schema": {"type": "array"}}, replace(SAMPLING, json_schema='{"type": "array"}')),
        ({"response_format": {"type": "text"}}, SAMPLING),
        (
            {"response_format": {"type": "json_object"}},
            replace(SAMPLING, json_schema='{"type":"object"}'),
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "strict": True, "schema": {"type": "null"}},
                }
            },
            replace(SAMPLING, json_schema='{"type": "null"}'),
        ),
        ({"grammar_string": "root ::= []"}, replace(SAMPLING, grammar="root ::= []")),
        ({"mirostat_mode": 2, "wat": 1, "user": "me"}, SAMPLING),
    ],
)
def test_fields_become_sampling(
    inside: Inside, teller: Teller, fields: dict[str, Any], expected: Sampling
) -> None:
    answered(inside, CHAT, {"messages": GREETING, **fields})
    assert teller.asked.pop().sampling == expected
    answered(inside, TEXT, {"prompt": "a", **fields})
    assert teller.asked.pop().sampling == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 2.1},
        {"temperature": -1},
        {"temperature": "hot"},
        {"top_p": 1.1},
        {"n": 0},
        {"n": 9},
        {"max_tokens": -1},
        {"max_tokens": 10**7},
        {"stop": ["x"] * 17},
        {"stop": [5]},
        {"seed": 2**64},
        {"presence_penalty": 3},
        {"repetition_penalty": 0},
        {"logit_bias": {"x": 1}},
        {"logit_bias": {"-1": 1}},
        {"logit_bias": {"1": 101}},
        {"logit_bias": {str(n): 1 for n in range(2000)}},
        {"json_schema": {}, "grammar_string": "x"},
        {"response_format": {"type": "json_schema"}},
        {"response_format": {"type": "xml"}},
        {"grammar_string": "x" * 70_000},
        {"stream_options": 5},
        {"model": "x" * 1000},
    ],
)
def test_what_is_out_of_range_is_refused(inside: Inside, fields: dict[str, Any]) -> None:
    assert refused(inside, TEXT, {"prompt": "a", **fields}, 400)["type"] == "invalid_request_error"
    refused(inside, CHAT, {"messages": GREETING, **fields}, 400)


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": "a", "echo": True},
        {"prompt": "a", "best_of": 3},
        {"prompt": "a", "logprobs": 6},
        {"prompt": None},
        {"prompt": []},
        {"prompt": ["a"] * 9},
        {"prompt": ["a"] * 5, "n": 2},
        {"prompt": [-1]},
        {"prompt": {"a": 1}},
    ],
)
def test_no_text_is_made_of_these(inside: Inside, fields: dict[str, Any]) -> None:
    refused(inside, TEXT, fields, 400)


def test_fields_that_ask_for_nothing_else_are_taken(inside: Inside) -> None:
    answered(
        inside, TEXT, {"prompt": "a", "echo": False, "best_of": 1, "suffix": None, "stop": None}
    )


@pytest.mark.parametrize(
    "fields",
    [{"regex_pattern": "a+"}, {"banned_strings": ["a"]}, {"min_length": 5}, {"ignore_eos": True}],
)
def test_what_cannot_be_promised_is_not(inside: Inside, fields: dict[str, Any]) -> None:
    refused(inside, CHAT, {"messages": GREETING, **fields}, 501)


# Chat.


def test_a_conversation_is_continued(inside: Inside, teller: Teller) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
        {"role": "user", "content": "Hello", "name": "me"},
        {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
    ]
    answer = answered(inside, CHAT, {"messages": messages, "max_completion_tokens": 9})
    assert answer["id"].startswith("chatcmpl-")
    assert answer["object"] == "chat.completion"
    assert answer["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "one two", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert answer["usage"]["total_tokens"] == 9
    (request,) = teller.asked
    assert [(message.role, message.content) for message in request.messages] == [
        ("system", "Be brief."),
        ("system", "Be kind."),
        ("user", "Hello"),
        ("assistant", "Hi"),
        ("user", "a\nb"),
    ]
    assert request.max_tokens == 9


def test_an_answer_without_a_limit_has_that_of_the_settings(inside: Inside, teller: Teller) -> None:
    answered(inside, CHAT, {"messages": GREETING})
    assert teller.asked[0].max_tokens == MAX_CHAT_TOKENS


@pytest.mark.parametrize(
    ("messages", "word"),
    [
        ([], "messages"),
        ([{"role": "tool", "content": "a"}], "tools"),
        ([{"role": "assistant", "content": "", "tool_calls": [{}]}, *GREETING], "tool_calls"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}], "text only"),
        ([{"role": "user", "content": None}], "content"),
        ([{"role": "king", "content": "a"}], "role"),
        ([*GREETING, {"role": "assistant", "content": "Hi"}], "last message"),
        ([{"role": "system", "content": "a"}], "last message"),
    ],
)
def test_messages_that_no_model_here_can_read_are_refused(
    inside: Inside, messages: list[Any], word: str
) -> None:
    assert word in refused(inside, CHAT, {"messages": messages}, 400)["message"]


def test_tools_are_refused_unless_none_is_to_be_called(inside: Inside) -> None:
    body = {"messages": GREETING, "tools": [{"type": "function", "function": {"name": "f"}}]}
    assert "tools" in refused(inside, CHAT, body, 400)["message"]
    answered(inside, CHAT, {**body, "tool_choice": "none"})


def test_logprobs_of_a_chat_have_bytes(tmp_path: Path) -> None:
    says = [replace(pieces("é")[0], logprobs=(token("é", -1.5, ("é", -1.5), ("e", -2.0)),))]
    inside = Inside({"chat": Teller(says)}, tmp_path)
    body = {"messages": GREETING, "logprobs": True, "top_logprobs": 1}
    (choice,) = answered(inside, CHAT, body)["choices"]
    told = {"token": "é", "logprob": -1.5, "bytes": [195, 169]}
    assert choice["logprobs"] == {"content": [{**told, "top_logprobs": [told]}], "refusal": None}
    refused(inside, CHAT, {"messages": GREETING, "top_logprobs": 1}, 400)


def test_a_stream_of_a_chat_has_every_field_of_tabbys_chunks(inside: Inside) -> None:
    body = {"messages": GREETING, "stream": True, "stream_options": {"include_usage": True}}
    first, second, third, last, usage, done = events(inside, CHAT, body)
    assert set(first) == {
        "id", "choices", "created", "model", "service_tier", "system_fingerprint", "object", "usage"
    }  # fmt: skip
    assert first["object"] == "chat.completion.chunk"
    assert first["choices"] == [
        {
            "index": 0,
            "delta": {
                "content": "",
                "function_call": None,
                "tool_calls": None,
                "role": "assistant",
                "refusal": None,
            },
            "finish_reason": None,
            "logprobs": None,
        }
    ]
    assert [chunk["choices"][0]["delta"]["content"] for chunk in (second, third)] == ["one", " two"]
    assert last["choices"][0]["finish_reason"] == "stop"
    assert (usage["choices"], usage["usage"]["completion_tokens"]) == ([], 2)
    assert done == "[DONE]"


JSON = {"Accept": "application/json"}
ANYTHING = {"Accept": "*/*"}


@pytest.mark.parametrize(
    ("path", "fields", "headers", "streams"),
    [
        (CHAT, {}, ANYTHING, False),
        (CHAT, {"model": "chat-model"}, ANYTHING, False),
        (CHAT, {"model": ""}, ANYTHING, True),
        (CHAT, {"model": "tabby"}, ANYTHING, True),
        (CHAT, {"model": ""}, JSON, False),
        (CHAT, {"model": "", "stream": False}, ANYTHING, False),
        (CHAT, {"stream": True}, JSON, True),
        (CHAT, {"model": "chat-model"}, {"Accept": "text/event-stream"}, True),
        ("/v1beta/chat/completions", {"model": "chat-model"}, JSON, True),
        ("/v1beta/chat/completions", {"stream": False}, ANYTHING, False),
    ],
)
def test_who_says_nothing_of_a_stream_gets_what_its_api_has(
    inside: Inside, path: str, fields: dict[str, Any], headers: dict[str, str], streams: bool
) -> None:
    answer = ask(inside, path, {"messages": GREETING, **fields}, **headers)
    assert answer.headers["content-type"].startswith("text/event-stream") == streams


def test_streams_end_as_the_client_can_read(inside: Inside) -> None:
    body = {"messages": GREETING, "stream": True}
    assert events(inside, CHAT, body, **{"User-Agent": "curl/8"})[-1] == "[DONE]"
    for agent in ("Go-http-client/1.1", "Node.js/v20 tabby-agent/1.9"):
        last = events(inside, CHAT, body, **{"User-Agent": agent})[-1]
        assert last["choices"][0]["finish_reason"] == "stop"
    assert events(inside, "/v1beta/chat/completions", body)[-1] != "[DONE]"


# Embeddings.


def test_texts_become_vectors_in_their_order(inside: Inside) -> None:
    answer = answered(inside, EMBEDDINGS, {"input": ["ab", "abcd"], "dimensions": 2})
    assert answer == {
        "object": "list",
        "data": [
            {"object": "embedding", "embedding": [1, 0.5], "index": 0},
            {"object": "embedding", "embedding": [2, 1], "index": 1},
        ],
        "model": "embedding-model",
        "usage": {"prompt_tokens": 6, "total_tokens": 6},
    }


def test_vectors_come_as_base64_on_request(inside: Inside) -> None:
    (data,) = answered(inside, EMBEDDINGS, {"input": "ab", "encoding_format": "base64"})["data"]
    assert struct.unpack("<2f", base64.b64decode(data["embedding"])) == (1, 0.5)


def test_no_other_vectors_are_given(inside: Inside) -> None:
    wrong: list[dict[str, Any]] = [
        {"input": "ab", "dimensions": 3},
        {"input": []},
        {"input": 5},
        {"input": ["a"] * 2049},
        {"input": "a", "encoding_format": "hex"},
    ]
    for fields in wrong:
        refused(inside, EMBEDDINGS, fields, 400)
    body = {"input": "a", "model": "chat-model"}
    assert "load an embedding model" in refused(inside, EMBEDDINGS, body, 501)["message"]
    refused(inside, EMBEDDINGS, {"input": [1, 2]}, 501)


# What engines complain of.


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (EngineError("It broke."), 503, None),
        (Unusable("The grammar is wrong."), 400, None),
        (TooLong("Too long."), 400, "context_length_exceeded"),
    ],
)
def test_a_complaint_is_a_status_also_where_a_stream_was_asked_for(
    tmp_path: Path, error: EngineError, status: int, code: str | None
) -> None:
    inside = Inside({"chat": Teller([], fails=error)}, tmp_path)
    for stream in (False, True):
        told = refused(inside, CHAT, {"messages": GREETING, "stream": stream}, status)
        assert (told["message"], told["code"]) == (str(error), code)


def test_a_scripted_chat_is_told_as_it_is(tmp_path: Path) -> None:
    inside = Inside({"chat": ScriptedEngine([Reply("Hello", "Good day")])}, tmp_path)
    answer = answered(inside, CHAT, {"messages": GREETING, "max_tokens": 4})
    assert answer["choices"][0]["message"]["content"] == "Good"
    assert answer["choices"][0]["finish_reason"] == "length"


# The document.


def test_the_document_shows_both_who_share_a_route_and_no_status_that_is_never_sent(
    inside: Inside,
) -> None:
    document = answered(inside, "/openapi.json")
    assert "ErrorBody" in document["components"]["schemas"]
    completions = document["paths"][TEXT]["post"]
    names = json.dumps(completions["requestBody"])
    assert "TabbyCompletionRequest" in names
    assert "TextCompletionRequest" in names
    for path in (TEXT, CHAT):
        told = document["paths"][path]["post"]["responses"]["200"]["content"]
        assert set(told) == {"application/json", "text/event-stream"}
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert "422" not in operation["responses"], path
            told = operation["responses"]["400"]["content"]["application/json"]["schema"]
            assert told == {"$ref": "#/components/schemas/ErrorBody"}
