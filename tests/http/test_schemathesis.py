"""Every route, asked with what its own description allows and forbids, by schemathesis."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.http.served import PATIENCE_S, serving

CONFIG = Path(__file__).with_name("schemathesis.toml")

# Of the checks that it knows, those that hold for every API. 501 and 503 are allowed in CONFIG.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)


def test_every_route_answers_as_it_is_described(home: Path, chat_model: Path) -> None:
    # Nothing that is made up here should be looked for on the hub.
    with serving(home, "--chat-model", str(chat_model), HF_HUB_OFFLINE="1") as server:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG)),
                *("run", f"{server.url}/openapi.json", "--checks", ",".join(CHECKS)),
                # As many for each route; what is found is printed with the curl that shows it.
                *("--max-examples", "15", "--seed", "1", "--phases", "examples,fuzzing"),
                *("--generation-database", "none", "--no-color"),
                # Machines that do other things too answer late.
                *("--request-timeout", "120", "--suppress-health-check", "too_slow"),
            ],
            cwd=home,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        routes = server.json("/openapi.json")["paths"].values()
        log = (home / "stderr").read_text()
    assert done.returncode == 0, done.stdout + done.stderr
    tested = re.search(r"Tested: (\d+)", done.stdout)
    assert tested is not None
    assert int(tested[1]) == sum(len(methods) for methods in routes)
    assert "fault of tabby-lsp" not in log
