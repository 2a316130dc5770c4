"""A very small editor for the terminal: it speaks LSP to a real server and types one key at a time.

For `demo`; an editor's plugin is in `editors/`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

_BEGINS_S = 10.0


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What the server offered at the cursor, and what it took."""

    text: str  # "" where there is none
    replaced: int  # UTF-16 units right of the cursor
    wait_ms: float  # from the key to the answer
    decision: dict[str, Any]


class Editor:
    """One document in one server; a context manager that ends the server."""

    def __init__(self, arguments: Sequence[str], path: str) -> None:
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tabby_lsp", "--stdio", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self.uri = Path(path).absolute().as_uri()
        self._version = 0
        self._n_requests = 0
        self.text = ""

    def __enter__(self) -> Editor:
        completion = {"enabled": True, "disabled_languages": []}
        settings = {"stats": {"enabled": False}, "completion": completion}
        params: dict[str, Any] = {"processId": os.getpid(), "rootUri": None, "capabilities": {}}
        self.request("initialize", {**params, "initializationOptions": settings})
        self.notify("initialized", {})
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def open(self, text: str) -> None:
        """Open the document, and wait until the model that it needs is there or has failed."""
        self.text, self._version = text, 1
        item = {"uri": self.uri, "languageId": "python", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})
        begins_s = time.monotonic() + _BEGINS_S
        while (state := self.engine()["state"]) in ("unloaded", "loading"):
            if state == "unloaded" and time.monotonic() > begins_s:
                raise RuntimeError(
                    "the server does not load the model: it may be one that does not know Python; "
                    "`tabby-lsp doctor` says which it is"
                )
            time.sleep(0.01)

    def engine(self) -> dict[str, Any]:
        """What `tabby.status` says of the engine."""
        status = self.request("workspace/executeCommand", {"command": "tabby.status"})
        engine: dict[str, Any] = status["engine"]
        return engine

    def insert(self, text: str) -> None:
        """Put text at the end of the document."""
        self._version += 1
        end = _position(self.text)
        change = {"range": {"start": end, "end": end}, "text": text}
        document = {"uri": self.uri, "version": self._version}
        self.notify(
            "textDocument/didChange", {"textDocument": document, "contentChanges": [change]}
        )
        self.text += text

    def suggestion(self) -> Suggestion:
        """Ask as an editor does after a key, at the end of the document."""
        started_s = time.perf_counter()
        params = {
            "textDocument": {"uri": self.uri},
            "position": _position(self.text),
            "context": {"triggerKind": 2},
        }
        answer = self.request("textDocument/inlineCompletion", params)
        wait_ms = (time.perf_counter() - started_s) * 1000
        inspect = {"command": "tabby.inspect", "arguments": [{"n": 1}]}
        decision = self.request("workspace/executeCommand", inspect)["decisions"][-1]
        for item in answer["items"]:
            span = item["range"]["end"]["character"] - item["range"]["start"]["character"]
            return Suggestion(item["insertText"], span, wait_ms, decision)
        return Suggestion("", 0, wait_ms, decision)

    def request(self, method: str, params: object) -> Any:
        """The result of a request. Raises RuntimeError when the server refuses or has ended."""
        self._n_requests += 1
        self._send({"id": self._n_requests, "method": method, "params": params})
        while True:
            message = self._receive()
            if message.get("id") == self._n_requests and "method" not in message:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return message["result"]

    def notify(self, method: str, params: object) -> None:
        self._send({"method": method, "params": params})

    def _send(self, message: dict[str, object]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        stream = self._process.stdout
        assert stream is not None
        n_bytes = 0
        while line := stream.readline().strip():
            n_bytes = int(line.partition(b":")[2])
        if not n_bytes:
            self._errors.seek(0)
            last_words = self._errors.read().decode("utf-8", "replace")[-2000:]
            raise RuntimeError(f"the language server has ended.\n{last_words}")
        message: dict[str, Any] = json.loads(stream.read(n_bytes))
        return message


def _position(text: str) -> dict[str, int]:
    """The end of a text, in UTF-16 units."""
    last_line = text.rpartition("\n")[2]
    return {"line": text.count("\n"), "character": len(last_line.encode("utf-16-le")) // 2}
