"""The real tabby-agent 1.5.0 as the plugins for Vim and Emacs start it, in both of its languages.

In the first it is a language server; in the second each line is `[id, {"func", "args"}]` one way
and `[id, result]` or `[0, event]` the other.
"""

from __future__ import annotations

import json
import subprocess
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from tests.e2e.wire import REPOSITORY, Client, isolated_environment, start, wait_until

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

PATIENCE_S = 25.0  # less than the 30 s after which the agent looks for its server by itself

_CLIENTS = REPOSITORY / "build" / "clients"


def command(*flags: str) -> list[str]:
    """How it is started; fails where it has not been fetched."""
    node = _CLIENTS / "node"
    assert node.exists(), "tabby-agent is not there: `make build/clients/node` fetches it."
    program = _CLIENTS / "node_modules" / "tabby-agent" / "dist" / "cli.js"
    return [node.read_text("utf-8"), str(program), *flags]


def as_language_server(home: Path, url: str, token: str = "") -> Client:
    """Started as editors do; there it reads its server from a file only."""
    folder = home / ".tabby-client" / "agent"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(
        f"[server]\nendpoint = {json.dumps(url)}\ntoken = {json.dumps(token)}\n"
        "[anonymousUsageTracking]\ndisable = true\n"
    )
    return start(home, command=command("--lsp", "--stdio"))


@dataclass(slots=True)
class Agent:
    """One that reads lines; leaving it ends it."""

    process: subprocess.Popen[str]
    url: str
    token: str
    statuses: list[str] = field(default_factory=list)  # as it told of them, oldest first
    _answers: dict[int, Any] = field(default_factory=dict)
    _n_asked: int = 0

    @classmethod
    def started(cls, home: Path, url: str, token: str = "") -> Self:
        """A process that is told on entering where its server is."""
        process = subprocess.Popen(
            command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=home,
            env=isolated_environment(home),
        )
        agent = cls(process, url, token)
        threading.Thread(target=agent._read, daemon=True).start()
        return agent

    def __enter__(self) -> Self:
        config = {
            "server": {"endpoint": self.url, "token": self.token},
            "anonymousUsageTracking": {"disable": True},
        }
        assert self.call("initialize", {"config": config}) is True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdin
        self.process.stdin.close()

    def call(self, function: str, *arguments: object) -> Any:
        """What it answers."""
        self._n_asked += 1
        asked = self._n_asked
        assert self.process.stdin
        self.process.stdin.write(json.dumps([asked, {"func": function, "args": arguments}]) + "\n")
        self.process.stdin.flush()
        assert wait_until(lambda: asked in self._answers, PATIENCE_S), f"no answer to {function}"
        return self._answers.pop(asked)

    def complete(self, text: str) -> Any:
        """What it suggests at the end of a Python file, asked for by hand."""
        request = {
            "filepath": "/x/a.py",
            "language": "python",
            "text": text,
            "position": len(text),
            "manually": True,
        }
        return self.call("provideCompletions", request)

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as lines:
            for line in lines:
                asked, told = json.loads(line)
                if asked:
                    self._answers[asked] = told
                elif told["event"] == "statusChanged":
                    self.statuses.append(told["status"])
