"""What each key has cost is told, however many keys a visit to a file has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.keystrokes.language_server import LanguageServer

if TYPE_CHECKING:
    from pathlib import Path

# The server remembers a thousand.
N_KEYS = 1_250


def test_more_keys_than_the_server_remembers_are_told(tmp_path: Path) -> None:
    server = LanguageServer(tmp_path, "")
    text, path = "a" * N_KEYS, str(tmp_path / "a.py")
    try:
        server.open(path, text)
        for cursor in range(N_KEYS):
            server.ask(path, text, cursor)
        assert len(server.costs()) == N_KEYS
        assert server.costs() == []
    finally:
        server.close()
