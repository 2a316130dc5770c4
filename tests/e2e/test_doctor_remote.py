"""`doctor` and `complete` with a model that a server runs."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.e2e.wire import isolated_environment
from tests.engines.scripted_server import ScriptedServer, openai_answer, reply

if TYPE_CHECKING:
    from pathlib import Path

KEY = "sk-canary-5f3a"


def ran(home: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    config = home / "config.toml"
    config.write_text(
        f'engine = "gpu"\n[engines.gpu]\nkind = "openai"\nurl = "{url}"\napi_key = "{KEY}"\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "tabby_lsp", *arguments, "--config", str(config)],
        env=isolated_environment(home), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert KEY not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def verdicts(done: subprocess.CompletedProcess[str]) -> dict[str, tuple[str, str]]:
    return {each["name"]: (each["verdict"], each["detail"]) for each in json.loads(done.stdout)}


def test_doctor_asks_the_server_for_a_completion(home: Path) -> None:
    with ScriptedServer(openai_answer("a + b")) as server:
        done = ran(home, server.url, "doctor", "--json")
    found = verdicts(done)
    assert found["engine"] == ("OK", f"gpu: openai at {server.url}")
    assert found["completion"][0] == "OK"
    assert "`return a + b`" in found["completion"][1]
    assert found["servers here"][0] == "OK"
    assert done.returncode == 0


def test_doctor_fails_with_the_sentence_where_the_server_does(home: Path) -> None:
    with ScriptedServer(lambda _: reply({"error": "no"}, 401)) as server:
        done = ran(home, server.url, "doctor", "--json")
    verdict, detail = verdicts(done)["completion"]
    assert (verdict, done.returncode) == ("FAIL", 1)
    assert "the key is not the right one" in detail


def test_doctor_warns_of_a_line_that_others_can_read(home: Path) -> None:
    done = ran(home, "http://192.0.2.1:9", "doctor")
    assert "WARN  engine: your code and the key travel to it in the clear" in done.stdout
    assert "FAIL  completion: There is no answer from http://192.0.2.1:9/v1" in done.stdout


def test_complete_asks_the_server_too(home: Path) -> None:
    code = home / "add.py"
    code.write_text("def add(a, b):\n    return \n")
    with ScriptedServer(openai_answer("a + b\n")) as server:
        done = ran(home, server.url, "complete", f"{code}:2:12")
    assert (done.stdout, done.returncode) == ("a + b\n", 0)
    done = ran(home, "http://127.0.0.1:1", "complete", f"{code}:2:12")
    assert done.returncode == 1
    assert "start the server there" in done.stderr
