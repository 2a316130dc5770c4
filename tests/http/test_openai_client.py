"""OpenAI's own Python package, against the real server with the starter and the chat model."""

from __future__ import annotations

import json
import re
import socket
from typing import TYPE_CHECKING, Any

import openai
import pytest

from tests.http.served import PATIENCE_S, serving
from tests.models.vector_model import WIDTH, write_vector_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from openai.types.chat import ChatCompletionUserMessageParam

    from tests.http.served import Served

LOOP = "def total(items):\n    result = 0\n    for item in items:\n"
GREETING: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "def"}]
# With these the nonsense model writes until its context is full.
ENDLESS: dict[str, Any] = {"messages": GREETING, "temperature": 0, "max_tokens": 4000}


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{served.url}/v1", api_key="any", max_retries=0, timeout=PATIENCE_S
    ) as client:
        yield client


def test_it_finds_the_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["starter", "nonsense-chat"]
    assert client.models.retrieve("Starter").id == "starter"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-4")
    assert caught.value.code == "model_not_found"


# Text.


def test_it_fills_in_the_middle(client: openai.OpenAI) -> None:
    answer = client.completions.create(
        model="starter", prompt=LOOP, suffix="\n    return result\n", max_tokens=20, stop="\n"
    )
    (choice,) = answer.choices
    assert choice.text.strip()
    assert "\n" not in choice.text
    assert choice.finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0


@pytest.mark.parametrize("model", ["starter", "nonsense-chat"])
def test_it_continues_a_text_as_it_would_alone(client: openai.OpenAI, model: str) -> None:
    answer = client.completions.create(model=model, prompt=LOOP, max_tokens=12, temperature=0)
    (choice,) = answer.choices
    assert choice.text
    assert choice.finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 12
    chunks = client.completions.create(
        model=model, prompt=LOOP, max_tokens=12, temperature=0, stream=True
    )
    assert "".join(chunk.choices[0].text for chunk in chunks) == choice.text


def test_its_tokens_are_told_with_what_else_was_likely(client: openai.OpenAI) -> None:
    (choice,) = client.completions.create(
        model="", prompt=LOOP, max_tokens=8, temperature=0, logprobs=3
    ).choices
    told = choice.logprobs
    assert told is not None
    assert told.tokens is not None and told.token_logprobs is not None
    assert told.top_logprobs is not None and told.text_offset is not None
    assert len(told.tokens) == len(told.token_logprobs) == len(told.top_logprobs) == 8
    for token, logprob, others in zip(
        told.tokens, told.token_logprobs, told.top_logprobs, strict=True
    ):
        assert len(others) == 3
        # At a temperature of 0 it is the likeliest.
        assert (token, logprob) == next(iter(others.items()))
    assert told.text_offset == sorted(told.text_offset)


def test_a_seed_makes_an_answer_the_same_again(client: openai.OpenAI) -> None:
    def drawn(seed: int) -> list[str | None]:
        choices = client.chat.completions.create(
            model="", messages=GREETING, temperature=1, seed=seed, n=2, max_tokens=12
        ).choices
        return [choice.message.content for choice in choices]

    first, second = drawn(5)
    assert drawn(5) == [first, second]
    assert first != second
    assert drawn(6)[0] == second


def test_a_bias_keeps_a_token_away(client: openai.OpenAI, served: Served) -> None:
    body = {"prompt": LOOP, "temperature": 0, "max_tokens": 1}
    text = served.post("/v1/completions", body).json()["choices"][0]["text"]
    banned = list(range(2000, 8192))
    body = {**body, "banned_tokens": banned[:1000]}
    assert served.post("/v1/completions", body).status_code == 200
    grammar = {"grammar_string": f"root ::= {json.dumps(text + '!')}"}
    answer = client.completions.create(model="", prompt=LOOP, max_tokens=20, extra_body=grammar)
    assert answer.choices[0].text == text + "!"


# Chat.


def test_it_chats(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="nonsense-chat", messages=GREETING, max_tokens=8, temperature=0
    )
    (choice,) = answer.choices
    assert choice.message.content
    assert choice.finish_reason == "length"
    chunks = client.chat.completions.create(
        model="nonsense-chat",
        messages=GREETING,
        max_tokens=8,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    *parts, last = chunks
    text = "".join(part.choices[0].delta.content or "" for part in parts)
    assert text == choice.message.content
    assert last.usage is not None and answer.usage is not None
    assert last.usage.total_tokens == answer.usage.total_tokens


def test_its_own_way_of_following_a_stream_works(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model="",
        messages=GREETING,
        max_tokens=50,
        temperature=0,
        extra_body={"grammar_string": 'root ::= "a" [b-z]'},
    ) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert re.fullmatch("a[b-z]", final.choices[0].message.content or "")


def test_an_answer_keeps_to_a_schema(client: openai.OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"size": {"enum": ["small", "large"]}, "is_new": {"type": "boolean"}},
        "required": ["size", "is_new"],
        "additionalProperties": False,
    }
    answer = client.chat.completions.create(
        model="",
        messages=GREETING,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "thing", "strict": True, "schema": schema},
        },
    )
    told = json.loads(answer.choices[0].message.content or "")
    assert set(told) == {"size", "is_new"}
    assert told["size"] in ("small", "large")
    assert isinstance(told["is_new"], bool)


def test_a_conversation_that_is_too_long_loses_its_beginning(client: openai.OpenAI) -> None:
    long: ChatCompletionUserMessageParam = {"role": "user", "content": "word " * 6_000}
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="", messages=[long], max_tokens=4)
    assert caught.value.code == "context_length_exceeded"
    answer = client.chat.completions.create(
        model="",
        messages=[long, {"role": "assistant", "content": "So?"}, *GREETING],
        max_tokens=4,
    )
    assert answer.usage is not None
    assert answer.usage.prompt_tokens < 4096


# Embeddings.


def test_texts_become_vectors_of_the_embedding_model(home: Path) -> None:
    model = write_vector_model(home / "vectors.gguf")
    config = home / "config.toml"
    config.write_text(f"[serve]\nembedding_model = {json.dumps(str(model))}\n")
    with serving(home, "--config", str(config)) as server:
        with openai.OpenAI(
            base_url=f"{server.url}/v1", api_key="any", max_retries=0, timeout=PATIENCE_S
        ) as client:
            assert [each.id for each in client.models.list()] == ["starter", "vectors"]
            # The package asks for base64 where nothing is said, and for numbers where they are.
            packed = client.embeddings.create(model="", input=["def add", "class a"])
            plain = client.embeddings.create(
                model="Vectors", input=["def add", "class a"], encoding_format="float"
            )
            assert plain.usage.prompt_tokens > 2
            with pytest.raises(openai.BadRequestError, match=f"{WIDTH} dimensions"):
                client.embeddings.create(model="", input="a", dimensions=WIDTH + 1)
            with pytest.raises(openai.BadRequestError, match="no token 9999"):
                client.embeddings.create(model="", input=[9999])
            with pytest.raises(openai.APIStatusError, match="starter gives no vectors"):
                client.embeddings.create(model="starter", input="a")
    for mine, same in zip(plain.data, packed.data, strict=True):
        assert len(mine.embedding) == WIDTH
        assert mine.embedding == pytest.approx(same.embedding, abs=1e-6)
        assert sum(value * value for value in mine.embedding) == pytest.approx(1)
    assert plain.data[0].embedding != pytest.approx(plain.data[1].embedding, abs=1e-3)


def test_without_an_embedding_model_the_named_one_is_pooled(home: Path, chat_model: Path) -> None:
    with serving(home, "--chat-model", str(chat_model)) as server:
        with openai.OpenAI(
            base_url=f"{server.url}/v1", api_key="any", max_retries=0, timeout=PATIENCE_S
        ) as client:
            twice, other = (
                client.embeddings.create(model=name, input=["def add(a, b):", "import os"])
                for name in ("starter", "nonsense-chat")
            )
            again = client.embeddings.create(model="starter", input="import os")
            assert [each.id for each in client.models.list()] == ["starter", "nonsense-chat"]
            with pytest.raises(openai.NotFoundError):
                client.embeddings.create(model="absent", input="a")
    assert (twice.model, other.model) == ("starter", "nonsense-chat")
    assert again.data[0].embedding == pytest.approx(twice.data[1].embedding, abs=1e-5)
    assert again.data[0].embedding != pytest.approx(twice.data[0].embedding, abs=1e-2)


# Errors.


def test_errors_are_the_packages_own(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="gpt-4", messages=GREETING)
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError, match="less than or equal to 2"):
        client.chat.completions.create(model="", messages=GREETING, temperature=3)
    with pytest.raises(openai.BadRequestError, match="echo"):
        client.completions.create(model="", prompt="a", echo=True)
    with pytest.raises(openai.APIStatusError, match="embedding_model") as absent:
        client.embeddings.create(model="", input="a")
    assert absent.value.status_code == 501


@pytest.mark.parametrize(
    "body",
    [
        b'{"prompt": "a", "temperature": NaN}',
        b'{"prompt": "a", "top_p": 1e999}',
        b'{"prompt": "a", "seed": 1' + b"0" * 5000 + b"}",
        b'{"prompt": "\\ud800"}',
        b'{"prompt": "a", "stop": "\\ud800"}',
        b'{"prompt": "a", "grammar_string": "\\ud800"}',
        b'{"prompt": "a", "json_schema": {"const": "\\ud800"}}',
        b'{"prompt": "a", "grammar_string": "root := "}',
        b'{"prompt": "a", "logit_bias": {"99999999": 1}}',
        b'{"prompt": "a"',
        b'{"prompt": "\xff"}',
    ],
)
def test_what_no_engine_can_take_is_the_requests_fault(served: Served, body: bytes) -> None:
    kind = {"Content-Type": "application/json"}
    answer = served.http.post("/v1/completions", content=body, headers=kind)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"


# A client that leaves.


def counted(served: Served, name: str) -> int:
    found = re.search(rf"^{name} (\S+)$", served.http.get("/metrics").text, re.MULTILINE)
    assert found is not None
    return int(float(found[1]))


def check_it_stopped(served: Served, n_before: int) -> None:
    """Nobody is answered any more, and far less was written than was asked for."""
    while any(counted(served, f"tabby_chat_requests_{each}") for each in ("running", "waiting")):
        pass
    n_after = counted(served, "tabby_chat_tokens_generated_total")
    assert n_after - n_before < ENDLESS["max_tokens"] / 2
    body = {"messages": GREETING, "max_tokens": 1}
    assert served.post("/v1/chat/completions", body).status_code == 200
    # The model answers one after the other, so whatever still ran would have been counted. It may
    # have said another word before it noticed.
    assert counted(served, "tabby_chat_tokens_generated_total") <= n_after + 2


def test_a_stream_that_is_closed_stops_the_engine(client: openai.OpenAI, served: Served) -> None:
    n_before = counted(served, "tabby_chat_tokens_generated_total")
    with client.chat.completions.create(model="", stream=True, **ENDLESS) as stream:
        for _ in range(3):
            assert next(stream).choices
    check_it_stopped(served, n_before)


def test_a_client_that_hangs_up_before_an_answer_stops_the_engine(served: Served) -> None:
    n_before = counted(served, "tabby_chat_tokens_generated_total")
    body = json.dumps(ENDLESS).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    port = int(served.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head.encode() + body)
        while counted(served, "tabby_chat_tokens_generated_total") == n_before:
            pass
    check_it_stopped(served, n_before)
