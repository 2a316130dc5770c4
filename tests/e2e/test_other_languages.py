"""In a language that the model does not know it stays silent, and says once what would help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.clients import VSCODE, initialize_params
from tests.e2e.wire import Json, start

if TYPE_CHECKING:
    from pathlib import Path

END: Json = {"line": 0, "character": 8}


def test_it_says_once_what_to_pull(home: Path) -> None:
    with start(home) as client:
        client.initialize(initialize_params(VSCODE, root=home))
        for name, language in (("a", "go"), ("b", "go"), ("c", "go")):
            client.open(f"untitled:{name}", "x := 1 +\n", language=language)
            assert client.complete(f"untitled:{name}", END) == []
        reasons = {decision["reason"] for decision in client.inspect()["decisions"]}
        state = client.engine_state()
        (said,) = [
            message["params"]["message"]
            for message in client.notifications
            if message["method"] == "window/showMessage"
        ]

    assert reasons == {"language-unknown-to-model"}
    assert "knows python only" in said
    assert "tabby-lsp models pull Qwen2.5-Coder-0.5B" in said
    assert state == "unloaded"


def test_prose_is_no_reason_to_speak(home: Path) -> None:
    with start(home) as client:
        client.initialize(initialize_params(VSCODE, root=home))
        client.open("untitled:a", "Dear all\n", language="plaintext")
        assert client.complete("untitled:a", END) == []
        methods = [message["method"] for message in client.notifications]

    assert "window/showMessage" not in methods
