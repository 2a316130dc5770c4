"""The menu of a real Neovim: what pops up, and what accepting it puts into the buffer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.nvim.driver import Line, Neovim
from tests.e2e.nvim.opened import editing
from tests.e2e.wire import wait_until

if TYPE_CHECKING:
    from pathlib import Path

# Neovim's own menu in place of ghost text, which is what people have who use another plugin for it.
MENU = """
require('tabby_lsp').setup({ automatic = false })
vim.opt.completeopt = 'menuone,noselect'
vim.lsp.config('tabby_lsp', { init_options = { completion = { menu = 'always' } } })
vim.api.nvim_create_autocmd('LspAttach', {
  callback = function(event)
    vim.lsp.completion.enable(true, event.data.client_id, event.buf, { autotrigger = true })
  end,
})
"""

SOON_S, N_QUESTIONS = 2.0, 60
TOTAL = "\n        for item in items:\n            x = '${\\\\}'\n        return x"


def entries(neovim: Neovim) -> list[dict[str, Any]]:
    shown: dict[str, Any] = neovim.lua("return vim.fn.complete_info({ 'items', 'pum_visible' })")
    return list(shown["items"]) if shown["pum_visible"] else []


def wait_for_entry(neovim: Neovim, label: str = "") -> str:
    """The label of the one entry, which has to be this one where one is given.

    On a machine that does other things too it may come too late for its key; the next question has
    it from the cache.
    """
    for _ in range(N_QUESTIONS):
        if wait_until(lambda: bool(entries(neovim)), SOON_S):
            break
        neovim.lua("vim.lsp.completion.get()")
    (entry,) = entries(neovim)
    assert entry["abbr"] == label or not label
    return str(entry["abbr"])


def test_an_entry_pops_up_at_a_trigger_and_is_accepted_whole(home: Path) -> None:
    with editing(home, "items║\n", [Line("items.", "append(a + b)")], MENU) as neovim:
        neovim.type(".")
        wait_for_entry(neovim, "append(a + b)")
        neovim.type("<C-n><C-y>")
        neovim.wait_for_text("items.append(a + b)\n")


@pytest.mark.parametrize("tabs", [False, True])
def test_several_lines_stand_as_the_model_said(tabs: bool, home: Path) -> None:
    before = "class A:\n    def total(self, items):"
    text = TOTAL.replace("    ", "\t") if tabs else TOTAL
    before = before.replace("    ", "\t") if tabs else before
    # Neovim's own settings for Python put blanks in the place of every tab.
    own_tabs = "vim.g.python_recommended_style = 0" if tabs else ""
    with editing(home, f"{before}║\n", [Line("items):", text)], MENU + own_tabs) as neovim:
        neovim.lua("vim.lsp.completion.get()")
        wait_for_entry(neovim, "for item in items:…")
        neovim.type("<C-n><C-y>")
        neovim.wait_for_text(f"{before}{text}\n")


def test_typing_on_keeps_the_entry_and_the_command_is_run_once(home: Path) -> None:
    note = "_G.n = 0 vim.lsp.commands['tabby.didAccept'] = function() _G.n = _G.n + 1 end"
    with editing(home, "items║\n", [Line("items.", "append(a + b)")], MENU + note) as neovim:
        neovim.type(".")
        wait_for_entry(neovim, "append(a + b)")
        for key in "app":
            neovim.type(key)
            wait_for_entry(neovim, "append(a + b)")
        neovim.type("<C-n><C-y>")
        neovim.wait_for_text("items.append(a + b)\n")
        neovim.wait_for_lua("return _G.n", 1)


def test_what_stands_right_of_the_cursor_is_not_doubled(home: Path) -> None:
    with editing(home, "print║)\n", [Line("print(", "'ß漢😀')", ")")], MENU) as neovim:
        neovim.type("(")
        wait_for_entry(neovim, "'ß漢😀'")
        neovim.type("<C-n><C-y>")
        neovim.wait_for_text("print('ß漢😀')\n")


def test_a_file_with_crlf_gets_no_carriage_return(home: Path) -> None:
    script = [Line("items):", TOTAL.replace("\n", "\r\n"))]
    with editing(home, "    def total(items):║\r\n", script, MENU) as neovim:
        neovim.lua("vim.lsp.completion.get()")
        wait_for_entry(neovim, "for item in items:…")
        neovim.type("<C-n><C-y>")
        neovim.wait_for_text(f"    def total(items):{TOTAL}\n")


def test_the_starter_model_stands_in_the_menu(home: Path) -> None:
    source = "class Point:\n    def __init__(self, x, y):\n        self.x = x\n        self║\n"
    with editing(home, source, after=MENU) as neovim:
        neovim.type(".")
        label = wait_for_entry(neovim)
        neovim.type("<C-n><C-y>")
        neovim.wait_for_text(source.replace("║", "." + label))
