"""Neovim as the tests find it: a Python file, insert mode, and a server of one kind or the other.

Invariant: a test that ends well has seen nothing on the message area.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.e2e.nvim.driver import PATIENCE_S, Line, Neovim, Reply, put_server_on_path
from tests.e2e.wire import REPOSITORY, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PUPPET = REPOSITORY / "tests" / "e2e" / "nvim" / "puppet.lua"


@contextmanager
def editing(
    home: Path, text: str, script: Sequence[Line | Reply] | None = None, after: str = ""
) -> Iterator[Neovim]:
    """Neovim in insert mode at `║`, its server ready; without a script the real model answers."""
    put_server_on_path(home, script)
    with opened(home, text, after) as neovim:
        neovim.wait_for_server()
        yield neovim


@contextmanager
def at_a_puppet(home: Path, text: str) -> Iterator[Neovim]:
    """Neovim in insert mode at `║`, with a server that answers on `puppet.answer(...)`."""
    with opened(home, text, f"puppet = dofile('{PUPPET}')") as neovim:
        yield neovim


@contextmanager
def opened(home: Path, text: str, after: str = "") -> Iterator[Neovim]:
    """Neovim in insert mode at `║`, which in the end must have said nothing."""
    before, _, behind = text.partition("║")
    file = home / "demo.py"
    file.write_text(before + behind, "utf-8")
    with Neovim(home, file, after) as neovim:
        neovim.insert_at(before)
        yield neovim
        assert neovim.messages == ""


def answer(
    neovim: Neovim, number: int, text: str | bool | None, error: object | None = None
) -> None:
    """Let the puppet answer the question of this number as soon as it is asked; see puppet.lua."""
    wait_for_question(neovim, number)
    neovim.lua("puppet.answer(...)", number, text, error)


def wait_for_question(neovim: Neovim, number: int) -> None:
    assert wait_until(lambda: neovim.lua("return #puppet.questions") >= number, PATIENCE_S)


def wait_for_ghost(neovim: Neovim, row: int) -> str:
    """The row as it is drawn, as soon as there is ghost text on it."""
    deadline_s = time.monotonic() + PATIENCE_S
    while "├" not in (drawn := neovim.screen[row]) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert "├" in drawn
    return drawn
