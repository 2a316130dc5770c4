"""The language server as a client of our own HTTP server, as of a Tabby server elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.clients import VSCODE, initialize_params
from tests.e2e.wire import PATIENCE_S, start, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.http.served import Served

CODE = "class A:\n    def __init__(self, width):\n        self.width\n"


def test_ghost_text_comes_from_the_http_server(served: Served, home: Path) -> None:
    folder = home / ".config" / "tabby-lsp"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(
        f'engine = "own"\n[engines.own]\nkind = "tabby"\nurl = "{served.url}"\n'
    )
    with start(home) as client:
        client.initialize(initialize_params(VSCODE))
        client.open("untitled:a", CODE)
        assert wait_until(lambda: client.engine_state() == "ready", PATIENCE_S)
        items = client.complete("untitled:a", {"line": 2, "character": 18})
        assert [item["insertText"] for item in items] == [" = width"]
        assert client.execute("tabby.status")["engine"]["model"] == "starter"
