"""A client in Go that sends what go-tabbyapi sends, and reads as strictly (tests/http/go)."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from tests.http.served import PATIENCE_S, serving

_SOURCE = Path(__file__).parent / "go"
_GO = Path(sysconfig.get_path("scripts")) / ("go.exe" if os.name == "nt" else "go")
_BUILD_TIMEOUT_S = 300  # the first time, Go compiles its own library

# What is answered with no more than a reason, and the status of it.
REFUSED = {
    "Models.Download": 403,
    "Models.GetEmbedding": 503,
    "Models.LoadEmbedding": 400,
    "Models.UnloadEmbedding": 503,
    "Lora.Load": 501,
    "Lora.Unload": 501,
    "Templates.Switch": 501,
    "Templates.Unload": 501,
    "Sampling.Switch": 501,
    "Sampling.Unload": 501,
    "Embeddings.Create": 501,
}
N_CALLS = 31


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """The program, built by the Go of the test extra without a network."""
    program = tmp_path_factory.mktemp("go") / "client"
    # Kept from run to run: an unchanged program is built in a second.
    cache = request.config.cache.mkdir("go-build") if request.config.cache else program.parent
    offline = {"GOTOOLCHAIN": "local", "GOPROXY": "off", "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"}
    folders = {"GOCACHE": str(cache), "GOPATH": str(program.parent / "path"), "GOENV": "off"}
    built = subprocess.run(
        [_GO, "build", "-o", program, "."],
        cwd=_SOURCE,
        env=os.environ | offline | folders,
        capture_output=True,
        text=True,
        check=False,
        timeout=_BUILD_TIMEOUT_S,
    )
    assert built.returncode == 0, built.stderr
    return program


def asked(client: Path, url: str, header: str = "", key: str = "") -> dict[str, Any]:
    """What became of each call, by its name in go-tabbyapi."""
    done = subprocess.run(
        [client, url, "nonsense-chat", header, key],
        capture_output=True, text=True, check=True, timeout=PATIENCE_S,
    )  # fmt: skip
    outcomes: dict[str, Any] = json.loads(done.stdout)
    assert len(outcomes) == N_CALLS
    return outcomes


@pytest.mark.timeout(_BUILD_TIMEOUT_S + 300)
def test_every_call_is_answered_so_that_the_client_takes_it(
    client: Path, home: Path, chat_model: Path
) -> None:
    # A server of its own: the last call unloads a model.
    with serving(home, "--chat-model", str(chat_model)) as server:
        outcomes = asked(client, server.url)
    assert {name: each["error"] for name, each in outcomes.items() if "error" in each} == {}
    refused = {name: each["status"] for name, each in outcomes.items() if each["status"] != 200}
    assert refused == REFUSED
    assert all(outcomes[name]["message"] for name in REFUSED)
    assert outcomes["Models.Download"]["code"] == "permission_error"
    assert outcomes["Lora.Load"]["code"] == "server_error"
    check_answers({name: each["answer"] for name, each in outcomes.items() if "answer" in each})
    # The line that a load is answered with has no end, so that its stream is at its end at once.
    assert "events" not in outcomes["Models.LoadStream"]
    for stream in ("Completions.CreateStream", "Chat.CreateStream"):
        assert outcomes[stream]["events"] > 1


def check_answers(answers: dict[str, Any]) -> None:
    assert answers["Health.Check"] == {"status": "ok", "issues": []}
    assert answers["Auth.GetPermission"] == {"permission": "admin"}
    assert [each["id"] for each in answers["Models.List"]["data"]] == ["starter", "nonsense-chat"]
    assert answers["Models.Load"]["status"] == "finished"
    assert answers["Models.Get"]["id"] == "nonsense-chat"
    assert "<|im_start|>" in answers["Models.GetProps"]["chat_template"]
    assert answers["Templates.List"]["data"] == ["nonsense-chat"]
    assert answers["Tokens.Encode"]["length"] == len(answers["Tokens.Encode"]["tokens"]) > 1
    assert answers["Tokens.Decode"]["text"]
    for name in ("Completions.CreateStream", "Chat.CreateStream"):
        assert answers[name]["model"]


@pytest.mark.timeout(_BUILD_TIMEOUT_S + 300)
def test_each_of_the_three_headers_is_taken(client: Path, home: Path, chat_model: Path) -> None:
    with serving(home, "--host", "0.0.0.0", "--chat-model", str(chat_model)) as server:
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        (path,) = (home / ".local/share").rglob("keys.json")
        keys = json.loads(path.read_text())

        without = asked(client, url)
        assert {each["status"] for each in without.values()} == {401}
        assert {each["code"] for each in without.values()} == {"authentication_error"}

        for header in ("X-API-Key", "Authorization"):
            outcomes = asked(client, url, header, keys["api"])
            assert outcomes["Auth.GetPermission"]["answer"] == {"permission": "api"}
            assert outcomes["Chat.CreateStream"]["status"] == 200
            for name in ("Models.Load", "Models.Unload", "Models.Download", "Lora.Load"):
                assert (outcomes[name]["status"], outcomes[name]["code"]) == (
                    403,
                    "permission_error",
                )

        outcomes = asked(client, url, "X-Admin-Key", keys["admin"])
        assert outcomes["Auth.GetPermission"]["answer"] == {"permission": "admin"}
        assert {name: e["status"] for name, e in outcomes.items() if e["status"] != 200} == REFUSED
