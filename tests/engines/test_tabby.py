"""What a Tabby server is sent, and what comes of its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tabby_lsp.domain import EngineError, Sampling, Segments, Unusable
from tests.engines.asking import GRAMMAR, SEGMENTS, UNUSUAL, answer, request
from tests.engines.scripted_server import Asked, ScriptedServer, reply

if TYPE_CHECKING:
    from collections.abc import Iterable

HEALTH = {"model": "StarCoder-1B", "device": "cuda", "version": {"git_describe": "v0.32.0"}}


def tabby(text: str = "a + b", health: object = HEALTH, *, by_post: bool = False) -> Any:
    def serve(asked: Asked) -> Iterable[bytes]:
        if asked.path == "/v1/health":
            return reply(health, 405 if by_post and asked.method == "GET" else 200)
        return reply({"id": "cmpl-1", "choices": [{"index": 0, "text": text}], "mode": "standard"})

    return serve


def check(expected: dict[str, Any], segments: Segments) -> None:
    """The engine asks Tabby with this very body."""
    with ScriptedServer(tabby()) as server:
        assert answer(request(segments), kind="tabby", url=server.url, key="auth_1") == "a + b"
        assert [asked.path for asked in server.asked] == ["/v1/health", "/v1/completions"]
        assert server.bodies == [expected]
        assert {asked.headers["authorization"] for asked in server.asked} == {"Bearer auth_1"}


def test_segments_go_as_they_are() -> None:
    check(
        {
            "language": "python",
            "segments": {
                "prefix": "def add(a, b):\n    return ",
                "suffix": "\n\nprint(add(1, 2))\n",
                "filepath": "sums/add.py",
                "relevant_snippets_from_recently_opened_files": [
                    {
                        "filepath": "sums/sub.py",
                        "body": "def sub(a, b):\n    return a - b\n",
                        "score": 1.0,
                    }
                ],
            },
        },
        SEGMENTS,
    )
    raw = Segments(prefix="x\r\n<|fim_suffix|>", suffix="", language="css")
    check({"language": "css", "segments": {"prefix": raw.prefix, "suffix": ""}}, raw)


def test_an_answer_in_one_piece_is_stopped_where_it_should() -> None:
    with ScriptedServer(tabby("a + b\nprint(")) as server:
        assert answer(request(stop=("\n",)), kind="tabby", url=server.url) == "a + b"


def test_older_versions_want_their_health_asked_for_by_post() -> None:
    with ScriptedServer(tabby(by_post=True)) as server:
        assert answer(kind="tabby", url=server.url) == "a + b"


@pytest.mark.parametrize("health", [{}, [], None, {"model": None}, {"chat_model": "x"}])
def test_a_server_without_a_model_for_completion_says_how_to_start_one(health: object) -> None:
    with (
        ScriptedServer(tabby(health=health)) as server,
        pytest.raises(EngineError, match="tabby serve --model NAME"),
    ):
        answer(kind="tabby", url=server.url)


def test_no_choices_are_an_empty_answer() -> None:
    def nothing(asked: Asked) -> Iterable[bytes]:
        return reply(HEALTH if asked.path == "/v1/health" else {"id": "x", "choices": []})

    with ScriptedServer(nothing) as server:
        assert answer(kind="tabby", url=server.url) == ""


def test_tabby_is_told_of_chance_what_it_knows() -> None:
    with ScriptedServer(tabby()) as server:
        answer(request(sampling=UNUSUAL), kind="tabby", url=server.url)
        (body,) = server.bodies
    assert body.keys() == {"language", "segments", "temperature", "seed"}
    assert (body["temperature"], body["seed"]) == (0.7, 7)


@pytest.mark.parametrize(
    ("sampling", "word"),
    [
        (Sampling(grammar=GRAMMAR), "grammar"),
        (Sampling(json_schema="{}"), "JSON Schema"),
        (Sampling(logit_bias=((5, 1.0),)), "`logit_bias`"),
        (Sampling(n_logprobs=1), "`logprobs`"),
    ],
)
def test_what_tabby_would_not_keep_is_refused(sampling: Sampling, word: str) -> None:
    with (
        ScriptedServer(tabby()) as server,
        pytest.raises(Unusable, match=f"{word}.*: leave that out, or choose another engine"),
    ):
        answer(request(sampling=sampling), kind="tabby", url=server.url)
