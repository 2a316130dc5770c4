"""Our own language server, as Neovim 0.12 uses it: a process, pipes, one request for each key."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.keystrokes.contestant import Cost, Suggestion, Totals
from benchmarks.keystrokes.processes import Family, Usage
from tests.e2e.clients import NEOVIM_0_12, initialize_params
from tests.e2e.wire import (
    AUTOMATIC,
    INLINE_COMPLETION,
    INVOKED,
    Json,
    Request,
    inline_params,
    start,
)

if TYPE_CHECKING:
    from benchmarks.keystrokes.trace import Edit

NAME = "tabby-lsp"
_ANSWER_TIMEOUT_S = 600.0
_IDLE_TIMEOUT_S = 60.0
# The server remembers a thousand decisions, with those that it has made ahead.
_N_COSTS_AT_ONCE = 200


class LanguageServer:
    """Keeps the promises of Contestant; the home it lives in is its own and new."""

    name = NAME

    def __init__(self, home: Path, settings: str, name: str = NAME) -> None:
        """`settings` is the text of its `config.toml`."""
        self.name = name
        folder = home / ".config" / "tabby-lsp"
        folder.mkdir(parents=True)
        (folder / "config.toml").write_text(settings, "utf-8")
        self._client = start(home)
        self._family = Family(self._client.process.pid, ("HOME", str(home)))
        self._client.initialize(initialize_params(NEOVIM_0_12))
        self._versions: dict[str, int] = {}
        self._asked: list[tuple[str, int, Json]] = []
        self._known: list[Cost] = []  # of what was asked before these
        self._changed_s = 0.0
        # Loading is no key's cost.
        self._client.open("untitled:first", "import os\n")
        self._client.wait_ready()
        self._client.close("untitled:first")

    def open(self, path: str, text: str) -> None:
        if path not in self._versions:
            self._versions[path] = 1
            self._client.open(_uri(path), text)

    def change(self, path: str, before: str, edit: Edit) -> None:
        self._versions[path] += 1
        place = {"start": _position(before, edit.start), "end": _position(before, edit.end)}
        self._changed_s = time.perf_counter()
        self._client.change(_uri(path), self._versions[path], {"range": place, "text": edit.text})

    def ask(self, path: str, text: str, cursor: int) -> Suggestion:
        position = _position(text, cursor)
        asked_s = self._changed_s or time.perf_counter()
        params = inline_params(_uri(path), position, kind=AUTOMATIC)
        request = self._client.request(INLINE_COMPLETION, params)
        items = request.result(_ANSWER_TIMEOUT_S)["items"]
        wait_ms = (time.perf_counter() - asked_s) * 1_000
        self._changed_s = 0.0
        self._asked.append((_uri(path), self._versions[path], position))
        if len(self._asked) == _N_COSTS_AT_ONCE:
            self._known += self._costs_of_asked()
        if not items:
            return Suggestion(wait_ms=wait_ms)
        item = items[0]
        n_bytes = item["range"]["end"]["character"] - position["character"]
        rest = text[cursor : cursor + n_bytes].encode()[:n_bytes].decode()
        return Suggestion(item["insertText"], len(rest), wait_ms)

    def lags_ms(self, every_s: float, n_most: int, asked: Request | None = None) -> list[float]:
        """How long trivial requests take, one after the other, or while another is answered."""
        pings: list[tuple[float, Request]] = []
        while len(pings) < n_most and not (asked and asked.answer.done()):
            command = {"command": "tabby.status", "arguments": []}
            sent_s = time.monotonic()
            pings.append((sent_s, self._client.request("workspace/executeCommand", command)))
            time.sleep(every_s)
        return [(ping.reply().arrived_s - sent_s) * 1_000 for sent_s, ping in pings]

    def lags_while_answering_ms(
        self, path: str, text: str, every_s: float, n_most: int
    ) -> list[float]:
        """The same while the text's end is being completed."""
        params = inline_params(_uri(path), _position(text, len(text)), kind=INVOKED)
        asked = self._client.request(INLINE_COMPLETION, params)
        lags_ms = self.lags_ms(every_s, n_most, asked)
        self._client.cancel(asked)
        return lags_ms

    def costs(self) -> list[Cost]:
        known, self._known = self._known, []
        return known + self._costs_of_asked()

    def totals(self) -> Totals:
        engine = self._client.execute("tabby.status")["engine"]
        return Totals(engine["n_evaluated_total"], engine["n_generated_total"])

    def usage(self) -> Usage:
        return self._family.usage()

    def wait_idle(self) -> None:
        self._family.wait_idle(_IDLE_TIMEOUT_S)

    def close(self) -> None:
        self._client.__exit__()
        self._family.kill()

    def _costs_of_asked(self) -> list[Cost]:
        known: dict[tuple[str, int, int, int], Cost] = {}
        for decision in self._client.inspect(n=len(self._asked))["decisions"]:
            at = decision["position"]
            key = (decision["uri"], decision["version"], at["line"], at["character"])
            known[key] = _cost(decision["timings"])
        asked, self._asked = self._asked, []
        return [known[uri, version, at["line"], at["character"]] for uri, version, at in asked]


def _cost(timings: dict[str, Any]) -> Cost:
    return Cost(
        timings["n_evaluated_tokens"],
        timings["n_reused_tokens"],
        timings["n_generated_tokens"],
    )


def _uri(path: str) -> str:
    return Path(path).as_uri()


def _position(text: str, offset: int) -> Json:
    """In UTF-8, which Neovim prefers."""
    line_start = text.rfind("\n", 0, offset) + 1
    return {
        "line": text.count("\n", 0, offset),
        "character": len(text[line_start:offset].encode("utf-8", "surrogatepass")),
    }
