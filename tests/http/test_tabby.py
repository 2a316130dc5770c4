"""Tabby's API, against the real server with the starter model."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.wire import wait_until
from tests.http.served import PATIENCE_S, serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.http.served import Served

CLASS = "class A:\n    def __init__(self, width):\n        self.width"


def complete(served: Served, **body: Any) -> Any:
    answer = served.post("/v1/completions", body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def segments(prefix: str = CLASS, suffix: str | None = "\n", **more: Any) -> dict[str, Any]:
    return {"prefix": prefix, "suffix": suffix, **more}


def test_segments_are_completed(served: Served) -> None:
    answer = complete(served, language="python", segments=segments())
    assert answer["choices"] == [{"index": 0, "text": " = width"}]
    assert re.fullmatch(r"cmpl-[0-9a-f-]{36}", answer["id"])
    assert "debug_data" not in answer


def test_its_chance_is_the_same_with_the_same_seed_and_another_with_others(
    served: Served,
) -> None:
    prefix = "import os\n\n\ndef "

    def said(**more: Any) -> str:
        body: dict[str, Any] = {"language": "python", "segments": segments(prefix), **more}
        return str(complete(served, **body)["choices"][0]["text"])

    likeliest = said()
    assert said(temperature=0, seed=5) == likeliest
    assert said(temperature=1.5, seed=5) == said(temperature=1.5, seed=5)
    assert len({said(temperature=1.5, seed=seed) for seed in range(8)}) > 2
    assert said(temperature=0.1, seed=2**64 - 1)


def test_a_prompt_as_it_is_has_its_chance_too(served: Served) -> None:
    def said(seed: int) -> str:
        debug = {"raw_prompt": "def add(first, second):\n"}
        body: dict[str, Any] = {"debug_options": debug, "temperature": 1.5, "seed": seed}
        return str(complete(served, **body)["choices"][0]["text"])

    assert len({said(seed) for seed in range(4)}) > 1
    assert said(3) == said(3)


def test_who_types_does_not_wait_for_a_text_that_is_being_written(served: Served) -> None:
    def n_written() -> int:
        metrics = served.http.get("/metrics").text
        found = re.search(r"^tabby_completion_tokens_generated_total (\S+)$", metrics, re.MULTILINE)
        assert found is not None
        return int(float(found[1]))

    # It may not end by itself.
    bias = {str(token): -100 for token in (0, 4, 5, 6)}
    text = {"prompt": "def add", "max_tokens": 900, "logit_bias": bias, "stream": True}
    with served.http.stream("POST", "/v1/completions", json=text) as said:
        pieces = said.iter_text()
        heard = next(pieces)
        answer = complete(served, language="python", segments=segments())
        n_before = n_written()
        heard += "".join(pieces)
    assert answer["choices"][0]["text"] == " = width"
    assert n_written() > n_before + 50
    assert '"finish_reason":"length"' in heard


def test_a_suffix_may_be_missing_or_null(served: Served) -> None:
    for given in ({"prefix": CLASS}, segments(suffix=None), segments(suffix="")):
        assert complete(served, language="python", segments=given)["choices"][0]["text"]


def test_windows_line_ends_come_back(served: Served) -> None:
    prefix = "def total(items):\r\n    result = 0\r\n    for item in items:\r\n"
    text = complete(served, language="python", segments=segments(prefix, "\r\n"))["choices"][0][
        "text"
    ]
    assert "\n" not in text.replace("\r\n", "")


def test_what_the_model_was_given_is_told_on_request(served: Served) -> None:
    body = {
        "language": "python",
        "segments": segments(declarations=[{"filepath": "b.py", "body": "def width(): pass\n"}]),
        "debug_options": {"return_snippets": True, "return_prompt": True},
    }
    data = complete(served, **body)["debug_data"]
    assert data["prompt"].endswith("self.width")
    assert data["snippets"] == [{"filepath": "b.py", "body": "def width(): pass\n", "score": 1.0}]


def test_snippets_with_secrets_are_left_out(served: Served) -> None:
    secret = {"filepath": "b.py", "body": 'password = "hunter2hunter2"\n'}
    hidden = {"filepath": ".env", "body": "A=1\n"}
    body = {
        "language": "python",
        "segments": segments(declarations=[secret, hidden]),
        "debug_options": {"return_snippets": True},
    }
    assert complete(served, **body)["debug_data"]["snippets"] == []


def test_unknown_fields_are_ignored(served: Served) -> None:
    assert complete(served, language="python", segments=segments(), max_tokens=5, wat=[1])


def test_a_language_that_the_model_does_not_know_has_no_text(served: Served) -> None:
    answer = complete(served, language="cobol", segments=segments())
    assert answer["choices"] == [{"index": 0, "text": ""}]


@pytest.mark.parametrize(
    "body", [{}, {"language": "python"}, {"segments": 5}, {"segments": {}}, [], "x"]
)
def test_what_is_no_request_is_refused(served: Served, body: Any) -> None:
    answer = served.post("/v1/completions", body)
    assert answer.status_code == 400
    assert answer.json()["message"]


def test_health_has_all_that_the_agents_read(served: Served) -> None:
    health = served.json("/v1/health")
    assert (health["model"], health["chat_model"]) == ("starter", "nonsense-chat")
    assert re.fullmatch(r"v\d+\.\d+\.\d+", health["version"]["git_describe"])
    assert {"build_date", "build_timestamp", "git_sha"} <= health["version"].keys()
    assert {"device", "arch", "cpu_info", "cpu_count", "cuda_devices"} <= health.keys()
    assert health["webserver"] is False
    assert served.http.post("/v1/health").json() == health


def test_settings_and_models_are_told(served: Served) -> None:
    assert served.json("/v1beta/server_setting") == {"disable_client_side_telemetry": True}
    assert served.json("/v1beta/models") == {"completion": ["starter"], "chat": ["nonsense-chat"]}


def test_metrics_are_prometheus_text(served: Served) -> None:
    complete(served, language="python", segments=segments())
    text = served.http.get("/metrics").text
    assert re.search(r'tabby_http_requests_total\{.*"/v1/completions".*\} \d+', text)
    for line in text.splitlines():
        assert re.fullmatch(
            r'# TYPE \w+ (counter|gauge)|\w+(\{(\w+="[^"]*",?)+\})? [\d.e+-]+', line
        )


def events(home: Path) -> list[dict[str, Any]]:
    files = sorted((home / ".local/state").rglob("events/*.json"))
    return [json.loads(line)["event"] for path in files for line in path.read_text().splitlines()]


def test_events_are_written_down_without_code(home: Path) -> None:
    with serving(home) as server:
        complete(server, language="python", segments=segments())
        body = {"type": "select", "completion_id": "cmpl-1", "choice_index": 0, "elapsed": 5}
        assert server.post("/v1/events?select_kind=line", body).content == b""
        assert server.post("/v1/events", {"type": "hover"}).status_code == 400
    assert events(home) == [
        {"select": {"completion_id": "cmpl-1", "choice_index": 0, "kind": "line", "elapsed": 5}}
    ]


def test_prompts_are_written_down_where_the_user_says_so(home: Path) -> None:
    config = home / "config.toml"
    config.write_text("[serve]\nlog_prompts = true\n")
    with serving(home, "--config", str(config)) as server:
        complete(server, language="python", segments=segments())
    (event,) = events(home)
    assert event["completion"]["segments"]["prefix"] == CLASS


def test_a_configured_repository_helps(home: Path) -> None:
    root = home / "shop"
    root.mkdir()
    (root / "prices.py").write_text("def price_of_everything(cart):\n    return cart.total()\n")
    tabby = home / "tabby"
    tabby.mkdir()
    (tabby / "config.toml").write_text(f'[[repositories]]\nname = "x"\ngit_url = "file://{root}"\n')
    prefix = "def price(cart):\n    # everything\n    total = price_of_everything("
    body: dict[str, Any] = {
        "language": "python",
        "segments": segments(prefix, filepath="cart.py", git_url="git@host:me/shop.git"),
        "debug_options": {"return_snippets": True},
    }
    with serving(home, TABBY_ROOT=str(tabby)) as server:

        def snippets() -> list[dict[str, Any]]:
            chosen: list[dict[str, Any]] = complete(server, **body)["debug_data"]["snippets"]
            return chosen

        # What is read too late for one request is there for the next.
        assert wait_until(lambda: bool(snippets()), PATIENCE_S)
        found = snippets()
        body["segments"]["filepath"] = "../../etc/passwd"
        nothing = snippets()
    assert [snippet["filepath"] for snippet in found] == ["prices.py"]
    assert nothing == []
