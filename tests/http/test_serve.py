"""The server as a process: how it begins, and how it ends."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx2

from tests.e2e.wire import isolated_environment
from tests.http.served import PATIENCE_S, command, free_port, serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.http.served import Served


def started(home: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*flags),
        env=isolated_environment(home),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd=home,
        timeout=PATIENCE_S,
    )  # fmt: skip


def test_it_says_when_it_is_ready_and_with_which_models(served: Served) -> None:
    assert served.models == ("starter", "nonsense-chat")
    assert served.url.startswith("http://127.0.0.1:")


def test_a_taken_port_is_named_with_who_holds_it(served: Served, home: Path) -> None:
    run = started(home, "--port", served.url.rpartition(":")[2])
    assert (run.returncode, run.stdout) == (1, "")
    assert f"taken by the process {served.process.pid}" in run.stderr
    assert run.stderr.count("\n") == 1


def test_a_model_that_is_not_there_is_one_line(home: Path) -> None:
    run = started(home, "--model", str(home / "absent.gguf"), "--port", "0")
    assert run.returncode == 2  # port 0 is none
    run = started(home, "--model", str(home / "absent.gguf"), "--port", str(free_port()))
    assert (run.returncode, run.stdout) == (1, "")
    assert "there is no file" in run.stderr
    assert run.stderr.count("\n") == 1


def test_a_device_that_this_build_lacks_is_a_warning(home: Path) -> None:
    with serving(home, "--device", "vulcan", "--parallelism", "2", "--no-webserver") as server:
        assert server.json("/v1/health")["device"] == "cpu"
    assert "vulkan" in (home / "stderr").read_text()


def test_a_signal_ends_it_at_once_whatever_runs(home: Path, endless_model: Path) -> None:
    question = {"messages": [{"role": "user", "content": "def"}], "max_tokens": 30_000}
    heard = ""
    with (
        serving(home, "--chat-model", str(endless_model)) as server,
        server.http.stream(
            "POST", "/v1/chat/completions", json=question | {"stream": True}
        ) as said,
    ):
        pieces = said.iter_text()
        heard += next(pieces)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE_S) == 0
        with suppress(httpx2.TransportError):
            heard += "".join(pieces)
    assert '"finish_reason":null' in heard
    assert '"finish_reason":"' not in heard


def test_other_addresses_need_a_key(home: Path) -> None:
    with serving(home, "--host", "0.0.0.0") as server:
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        assert server.http.get(f"{url}/v1/health").status_code == 401
        (path,) = (home / ".local/share").rglob("keys.json")
        assert os.stat(path).st_mode & 0o077 == 0
        key = path.read_text().split('"')[3]
        headers = {"Authorization": f"Bearer {key}"}
        assert server.http.get(f"{url}/v1/health", headers=headers).status_code == 200
    assert key not in (home / "stderr").read_text()


def test_a_conversation_has_the_tokens_of_its_template(home: Path, chat_model: Path) -> None:
    """By the model that was loaded last, so on a server where no other test loads one."""
    with serving(home, "--chat-model", str(chat_model)) as server:
        check_tokens_of_a_conversation(server)


def check_tokens_of_a_conversation(served: Served) -> None:
    messages = [{"role": "user", "content": "a<|im_end|>"}]
    spelled = served.post("/v1/tokens/encode", {"text": messages}).json()
    body = {"tokens": spelled["tokens"], "decode_special_tokens": True}
    text = served.post("/v1/token/decode", body).json()["text"]
    assert text == "<|im_start|>user\na<|im_end|><|im_end|>\n<|im_start|>assistant\n"
    # The first of the two was said, and the second ends the turn.
    end = served.post("/v1/token/encode", {"text": "<|im_end|>", "add_bos_token": False}).json()
    assert spelled["tokens"].count(end["tokens"][0]) == 1


def test_who_sends_too_much_is_told_so(served: Served) -> None:
    """And does not find the connection closed while it sends: this client reads afterwards."""
    address = served.url.removeprefix("http://")
    for n_bytes in (1_100_000, 4_000_000, 9_000_000, 24_000_000):
        client = http.client.HTTPConnection(address, timeout=PATIENCE_S)
        body = json.dumps({"prefix": "a" * n_bytes, "suffix": "", "language": "python"})
        client.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
        answer = client.getresponse()
        assert answer.status == 413
        assert b"larger than" in answer.read()
        client.close()
