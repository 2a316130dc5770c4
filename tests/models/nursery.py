"""Real processes that run `tabby-lsp`, forked from one that has imported everything.

Run as a program it is that one: it reads commands as lines of JSON and answers in the same way.
A child can be told to kill itself, by SIGKILL, at a given line of `tabby_lsp/models/`.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

    from tabby_lsp.models.catalog import Entry

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended; negative for a signal, as subprocess has it."""

    status: int
    said: str
    n_lines: int  # of tabby_lsp/models/, where they were counted


class Nursery:
    """The parent of all children; `environment` is everybody's."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.models.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=environment | {"PYTHONPATH": str(ROOT)},
            text=True,
        )

    def start(
        self,
        home: Path,
        *arguments: str,
        catalog: list[Entry],
        count_lines: bool = False,
        kill_at_line: int = 0,
        max_file_bytes: int = 0,
    ) -> int:
        """Begin to run `tabby-lsp` with these arguments in this home; the process id."""
        home.mkdir(parents=True, exist_ok=True)
        wanted = "\n".join(map(_as_toml, catalog))
        file = home / "catalog.toml"
        if not file.exists() or file.read_text("utf-8") != wanted:  # a child may be reading it
            file.write_text(wanted, "utf-8")
        return self._ask(
            do="start",
            home=str(home),
            arguments=arguments,
            count_lines=count_lines,
            kill_at_line=kill_at_line,
            max_file_bytes=max_file_bytes,
        )

    def end(self, home: Path, pid: int) -> Ended:
        """Wait for a child."""
        status = os.waitstatus_to_exitcode(self._ask(do="wait", pid=pid))
        counted = home / f"{pid}.lines"
        n_lines = int(counted.read_text()) if counted.exists() else 0
        return Ended(status, (home / f"{pid}.said").read_text(), n_lines)

    def run(self, home: Path, *arguments: str, **more: Any) -> Ended:
        """Both."""
        return self.end(home, self.start(home, *arguments, **more))

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()

    def _ask(self, **command: object) -> int:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def _as_toml(entry: Entry) -> str:
    keys = ("name", "role", "repository", "file", "sha256", "licence")
    return "[[model]]\n" + "".join(f'{key} = "{getattr(entry, key)}"\n' for key in keys)


# The program.


def _serve() -> None:
    import httpx2

    import tabby_lsp.commands.models  # noqa: F401 - the children have it then
    from tabby_lsp import cli

    httpx2.Client().close()

    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "start":
            pid = os.fork()
            if pid == 0:
                _be_a_child(command, cli.main)
            answer = pid
        else:
            answer = os.waitpid(command["pid"], 0)[1]
        os.write(1, f"{answer}\n".encode())


def _be_a_child(command: dict[str, Any], main: Any) -> None:
    home = Path(command["home"])
    said = os.open(home / f"{os.getpid()}.said", os.O_WRONLY | os.O_CREAT)
    os.dup2(said, 1)
    os.dup2(said, 2)
    os.environ |= {
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CONFIG_HOME": str(home / "config"),
    }
    from tabby_lsp.models import catalog

    catalog.CATALOG = home / "catalog.toml"
    status = 70
    try:
        if command["max_file_bytes"]:
            limit = command["max_file_bytes"]
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        lines = _Lines(command["kill_at_line"])
        if command["count_lines"] or command["kill_at_line"]:
            sys.settrace(lines.trace)
        status = main(command["arguments"])
        sys.settrace(None)
        if command["count_lines"]:
            (home / f"{os.getpid()}.lines").write_text(str(lines.n_lines))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class _Lines:
    """Counts the lines of tabby_lsp/models/ that run, and kills the process at one of them."""

    def __init__(self, kill_at_line: int) -> None:
        self.n_lines = 0
        self._kill_at_line = kill_at_line

    def trace(self, frame: FrameType, event: str, argument: object) -> Any:
        is_ours = "tabby_lsp/models/" in frame.f_code.co_filename.replace(os.sep, "/")
        if is_ours and event == "line":
            self.n_lines += 1
            if self.n_lines == self._kill_at_line:
                os.kill(os.getpid(), signal.SIGKILL)
        return self.trace if is_ours else None


if __name__ == "__main__":
    _serve()
