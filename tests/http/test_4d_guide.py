"""The two calls that the guide of the 4D component prints, as it prints them."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.http.served import PATIENCE_S

if TYPE_CHECKING:
    from tests.http.served import Served

COMPLETION = r"""{
    "language": "python",
    "segments": {
      "prefix": "def fibonacci(n):\n    \"\"\"Return the nth fibonacci number.\"\"\""
    },
    "max_tokens": 64,
    "temperature": 0.1
  }"""

CHAT = """{
    "model": "tabby",
    "messages": [
      {
        "role": "user",
        "content": "Write a Python function for fibonacci."
      }
    ],
    "max_tokens": 64,
    "temperature": 0.1
  }"""


def curl(served: Served, path: str, body: str) -> str:
    """What is printed; where there is no curl, httpx2 sends what it would."""
    headers = {"Content-Type": "application/json", "Authorization": "Bearer auth_..."}
    if shutil.which("curl") is None:
        agent = {"Accept": "*/*", "User-Agent": "curl/8"}
        return served.http.post(path, content=body, headers=headers | agent).text
    flags = [flag for name, value in headers.items() for flag in ("-H", f"{name}: {value}")]
    command = ["curl", "--silent", "--noproxy", "*", f"{served.url}{path}", *flags, "-d", body]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=PATIENCE_S
    ).stdout


def test_the_first_call_completes_and_ignores_what_tabby_ignores(served: Served) -> None:
    """By chance, as its temperature has it: one answer in six is nothing worth showing."""
    texts: list[str] = []
    while len(texts) < 8 and not any(texts):
        answer = json.loads(curl(served, "/v1/completions", COMPLETION))
        assert list(answer) == ["id", "choices", "mode"]
        assert answer["mode"] == "standard"
        (choice,) = answer["choices"]
        assert choice["index"] == 0
        texts.append(choice["text"])
    assert texts[-1].startswith("\n    ")


@pytest.mark.parametrize("model", ["tabby", ""])
def test_the_second_call_streams_though_it_does_not_ask_for_it(served: Served, model: str) -> None:
    body = CHAT.replace('"model": "tabby"', f'"model": "{model}"')
    *events, done, end = curl(served, "/v1/chat/completions", body).split("\n\n")
    assert (done, end) == ("data: [DONE]", "")
    chunks: list[dict[str, Any]] = [json.loads(event.removeprefix("data: ")) for event in events]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0]["role"] == "assistant"
    assert "".join(delta["content"] or "" for delta in deltas)
    assert chunks[-1]["choices"][0]["finish_reason"] in ("stop", "length")
