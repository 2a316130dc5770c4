"""What became of suggestions is counted without code, and `tabby-lsp stats` shows it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.e2e.clients import VSCODE, initialize_params
from tests.e2e.questions import constructor
from tests.e2e.wire import PATIENCE_S, Client, isolated_environment, start

if TYPE_CHECKING:
    from pathlib import Path


def stats(home: Path) -> list[str]:
    """The words of the table's row for Python; none where there is no such row."""
    command = [sys.executable, "-m", "tabby_lsp", "stats"]
    run = subprocess.run(
        command, env=isolated_environment(home), capture_output=True, text=True, check=True
    )
    rows = [line.split() for line in run.stdout.splitlines()]
    return next((row for row in rows if row[:1] == ["python"]), [])


def suggestion(client: Client) -> tuple[str, str]:
    """Ask where any Python model has an answer; the item's text and id."""
    text, position = constructor("Counted")
    client.open("untitled:counted", text)
    client.wait_ready()
    (item, *_) = client.complete("untitled:counted", position)
    return item["insertText"], item["command"]["arguments"][0]


def insert(client: Client, text: str, *, version: int, character: int = 19) -> None:
    place = {"line": 3, "character": character}
    change = {"range": {"start": place, "end": place}, "text": text}
    client.change("untitled:counted", version, change)


def run(home: Path, *, accept: bool) -> list[str]:
    with start(home) as client:
        client.initialize(initialize_params(VSCODE, root=home))
        text, suggestion_id = suggestion(client)
        insert(client, text if accept else "@", version=2)
        if accept:
            client.execute("tabby.didAccept", suggestion_id)
        client.close("untitled:counted")
        client.call("shutdown")
        client.notify("exit")
        assert client.wait_ended(PATIENCE_S) == 0
    return stats(home)


def test_an_accepted_suggestion_is_counted(home: Path) -> None:
    # language, shown, accepted, in part, typed along, dismissed
    assert run(home, accept=True)[:6] == ["python", "1", "1", "0", "0", "0"]


def test_a_dismissed_suggestion_is_counted(home: Path) -> None:
    assert run(home, accept=False)[:6] == ["python", "1", "0", "0", "0", "1"]


def test_no_code_is_in_the_file(home: Path) -> None:
    run(home, accept=True)
    (path,) = home.rglob("suggestions.jsonl")
    content = path.read_text()

    assert content.count("\n") == 1
    assert "height" not in content
    assert "counted" not in content.lower()


def test_without_any_there_is_a_sentence(home: Path) -> None:
    assert stats(home) == []
