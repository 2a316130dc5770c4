"""The chat in a real Neovim: what stands in its window, and what is changed in the buffer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.nvim.driver import PATIENCE_S, Neovim, Reply, put_server_on_path
from tests.e2e.nvim.opened import editing, opened
from tests.e2e.wire import wait_until
from tests.models.chat_model import write_chat_model

if TYPE_CHECKING:
    from pathlib import Path

CODE = "def total(prices):\n\tresult = 0  # 🙂\n\treturn result\n"
ANSWER = "```python\ndef total(prices):\n    return sum(prices)\n```"


def conversation(neovim: Neovim) -> str:
    """What stands in the window of the chat; "" while there is none."""
    text: str = neovim.lua(
        "local bufnr = vim.fn.bufnr('tabby-lsp chat')\n"
        "if bufnr < 0 then return '' end\n"
        "return table.concat(vim.api.nvim_buf_get_lines(bufnr, 0, -1, true), '\\n')"
    )
    return text


def wait_for_conversation(neovim: Neovim, text: str) -> None:
    assert wait_until(lambda: conversation(neovim) == text, PATIENCE_S), conversation(neovim)


def test_an_answer_is_written_in_a_window_beside_the_code(home: Path) -> None:
    with editing(home, f"║{CODE}", [Reply("what is it", "It *adds*.\n\nIt is slow.")]) as neovim:
        neovim.type("<Esc>:TabbyLspChat what is it<CR>")
        wait_for_conversation(neovim, "**what is it**\n\nIt *adds*.\n\nIt is slow.")
        assert neovim.text == CODE


def test_the_conversation_goes_on(home: Path) -> None:
    with editing(home, f"║{CODE}", [Reply("one", "first"), Reply("two", "second")]) as neovim:
        neovim.type("<Esc>:TabbyLspChat one<CR>")
        wait_for_conversation(neovim, "**one**\n\nfirst")
        neovim.type(":TabbyLspChat two<CR>")
        wait_for_conversation(neovim, "**one**\n\nfirst\n\n**two**\n\nsecond")


def test_the_lines_of_a_range_are_what_it_is_about(home: Path) -> None:
    replies = [Reply("```python\n\tresult = 0  # 🙂\n```", "the second line")]
    with editing(home, f"║{CODE}", replies) as neovim:
        neovim.type("<Esc>:2TabbyLspChat what is it<CR>")
        wait_for_conversation(neovim, "**what is it**\n\nthe second line")


def test_an_answer_can_be_stopped(home: Path) -> None:
    model = write_chat_model(home / "endless.gguf", n_ctx=32_768, has_end=False)
    put_server_on_path(home)
    (home / "config.toml").write_text(f"[chat]\nmodel = '{model}'\nmax_tokens = 30000\n")
    with opened(home, f"║{CODE}") as neovim:
        neovim.wait_for_server()
        neovim.type("<Esc>:TabbyLspChat def test_one<CR>")
        assert wait_until(lambda: len(conversation(neovim)) > 200, PATIENCE_S)
        neovim.lua("require('tabby_lsp.chat').stop()")
        assert wait_until(lambda: conversation(neovim).endswith("*(stopped)*"), PATIENCE_S)


def test_an_error_stands_where_the_answer_would(home: Path) -> None:
    with editing(home, f"║{CODE}", []) as neovim:
        neovim.type("<Esc>:TabbyLspChat hello<CR>")
        assert wait_until(lambda: "> The script has no answer" in conversation(neovim), PATIENCE_S)


def test_a_window_that_was_deleted_comes_back_as_a_scratch_buffer(home: Path) -> None:
    with editing(home, f"║{CODE}", [Reply("one", "first"), Reply("two", "second")]) as neovim:
        neovim.type("<Esc>:TabbyLspChat one<CR>")
        wait_for_conversation(neovim, "**one**\n\nfirst")
        neovim.type("<C-w>l:bdelete<CR>:TabbyLspChat two<CR>")
        wait_for_conversation(neovim, "**two**\n\nsecond")
        assert neovim.lua("return vim.bo[vim.fn.bufnr('tabby-lsp chat')].buftype") == "nofile"
        neovim.lua("vim.cmd('messages clear')")


def test_lines_are_changed_in_one_step(home: Path) -> None:
    with editing(home, f"║{CODE}x = 1\n", [Reply("use sum", ANSWER)]) as neovim:
        neovim.type("<Esc>:1,3TabbyLspEdit use sum<CR>")
        neovim.wait_for_text("def total(prices):\n\treturn sum(prices)\nx = 1\n")
        neovim.type("u")
        neovim.wait_for_text(f"{CODE}x = 1\n")
        neovim.lua("vim.cmd('messages clear')")


def test_a_code_action_documents_the_function_round_the_cursor(home: Path) -> None:
    documented = '```python\ndef total(prices):\n\t"""Adds."""\n\treturn 0\n```'
    with editing(home, f"║{CODE}x = 1\n", [Reply("documentation", documented)]) as neovim:
        neovim.type("<Esc>j")
        neovim.lua(
            "vim.lsp.buf.code_action({ apply = true, filter = function(action)\n"
            "  return action.title:find('Document') ~= nil\nend })"
        )
        neovim.wait_for_text('def total(prices):\n\t"""Adds."""\n\treturn 0\nx = 1\n')
        neovim.lua("vim.cmd('messages clear')")
