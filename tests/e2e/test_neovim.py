"""Ghost text in a real Neovim: what the screen shows, what the keys put into the buffer, and `u`.

`║` is the cursor, `├…┤` ghost text as it is drawn; each test also says nothing on the message area.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.nvim.driver import PATIENCE_S, Line, Neovim, put_server_on_path
from tests.e2e.nvim.opened import (
    answer,
    at_a_puppet,
    editing,
    opened,
    wait_for_ghost,
    wait_for_question,
)
from tests.e2e.wire import wait_until

if TYPE_CHECKING:
    from pathlib import Path

SORTED = Line("names = ", "sorted(names, key=len)")
TOTAL = Line(
    "def total(items):\n    ",
    "result = 0\n    for item in items:\n        result += item\n    return result",
)
CONDITION = Line("print(", "x) if x else None", suffix=")")

UNDO = "<Esc>:silent undo<CR>"  # `u`, without its line on the message area

# Long enough that nothing seen afterwards is an answer of the server.
NEVER_ASK_AGAIN = "require('tabby_lsp').setup({ debounce_ms = 3600000 })"
LAST_REASON = """
local client = vim.lsp.get_clients({ name = 'tabby_lsp' })[1]
local params = { command = 'tabby.inspect', arguments = { { n = 1 } } }
local answer = client:request_sync('workspace/executeCommand', params, 5000)
local decision = answer and answer.result and answer.result.decisions[1]
return decision and decision.reason or ''
"""
# For what must not come: longer than an answer takes.
A_WHILE_S = 0.3


def test_the_starter_models_text_is_seen_accepted_and_undone_in_one_step(home: Path) -> None:
    source = "class Point:\n    def __init__(self, x, y):\n        self.x = x\n        self║\n"
    typed = source.replace("║", ".")
    with editing(home, source) as neovim:
        neovim.type(".")
        drawn = wait_for_ghost(neovim, row=3)
        before, ghost = drawn.rstrip("┤").split("║├")
        assert before == "        self."
        assert ghost.strip()
        assert neovim.text == typed
        neovim.type("<Tab>")
        neovim.wait_for_text(typed.replace("self.\n", f"self.{ghost}\n"))
        neovim.type(UNDO)
        neovim.wait_for_text(typed)


def test_who_types_while_the_server_starts_is_answered_when_it_is_there(home: Path) -> None:
    put_server_on_path(home, [SORTED])
    with opened(home, "║\n") as neovim:
        neovim.type("first = 1<CR>names = ")
        neovim.wait_for_server()
        neovim.wait_for_screen("first = 1", "names = ║├sorted(names, key=len)┤")


def test_several_lines_are_drawn_below_and_accepted_whole(home: Path) -> None:
    with editing(home, "def total(items):║\n\nprint(total)\n", [TOTAL]) as neovim:
        neovim.type("<CR>")
        neovim.wait_for_screen(
            "def total(items):",
            "    ║├result = 0┤",
            "├    for item in items:┤",
            "├        result += item┤",
            "├    return result┤",
            "",
            "print(total)",
        )
        before = "def total(items):\n    \n\nprint(total)\n"
        assert neovim.text == before
        neovim.type("<Tab>")
        neovim.wait_for_text(f"{TOTAL.prefix}{TOTAL.text}\n\nprint(total)\n")
        neovim.wait_for_screen(*f"{TOTAL.prefix}{TOTAL.text}║\n\nprint(total)".splitlines())
        neovim.type(UNDO)
        neovim.wait_for_text(before)


def test_a_word_and_a_line_are_steps_of_their_own(home: Path) -> None:
    with editing(home, "def total(items):║\n", [TOTAL]) as neovim:
        neovim.type("<CR>")
        neovim.wait_for_screen("def total(items):", "    ║├result = 0┤", "├    for item in items:┤")
        neovim.lua(NEVER_ASK_AGAIN)
        for key, *rows in (
            ("<M-Right>", "    result║├ = 0┤", "├    for item in items:┤"),
            ("<M-Right>", "    result =║├ 0┤", "├    for item in items:┤"),
            ("<M-Down>", "    result = 0║", "├    for item in items:┤"),
            ("<M-Down>", "    result = 0", "    for item in items:║", "├        result += item┤"),
            ("<M-Right>", "    result = 0", "    for item in items:", "        result║├ += item┤"),
        ):
            neovim.type(key)
            neovim.wait_for_screen("def total(items):", *rows)
        for text in ("result = 0\n    for item in items:", "result = 0", "result =", "result", ""):
            neovim.type(UNDO)
            neovim.wait_for_text(f"def total(items):\n    {text}\n")


def test_typing_along_keeps_the_rest_and_anything_else_removes_it(home: Path) -> None:
    with editing(home, "names =║\n", [SORTED]) as neovim:
        neovim.type(" ")
        neovim.wait_for_screen("names = ║├sorted(names, key=len)┤")
        neovim.lua(NEVER_ASK_AGAIN)
        neovim.type("so")
        neovim.wait_for_screen("names = so║├rted(names, key=len)┤")
        neovim.type("<BS>")
        neovim.wait_for_screen("names = s║├orted(names, key=len)┤")
        neovim.type("e")
        neovim.wait_for_screen("names = se║")


def test_a_key_and_tab_at_once_accept_what_is_left(home: Path) -> None:
    """Neovim tells of typed keys only when no other key is waiting (neovim#36529)."""
    with editing(home, "names =║\n", [SORTED]) as neovim:
        neovim.type(" ")
        neovim.wait_for_screen("names = ║├sorted(names, key=len)┤")
        neovim.type("sor<Tab>  # done")
        neovim.wait_for_text("names = sorted(names, key=len)  # done\n")
        neovim.type(UNDO)
        neovim.wait_for_text("names = sorted(names, key=len)\n")
        neovim.type(UNDO)
        neovim.wait_for_text("names = sor\n")


def test_another_answer_is_shown_in_its_place_and_kept_while_typing(home: Path) -> None:
    script = [SORTED, Line("names = ", "set(names)"), Line("names = ", "sorted(names)")]
    with editing(home, "names =║\n", script) as neovim:
        neovim.type(" ")
        neovim.wait_for_screen("names = ║├sorted(names, key=len)┤")
        for key, ghost in (
            ("<M-]>", "set(names)"),
            ("<M-]>", "sorted(names)"),
            ("<M-]>", "sorted(names, key=len)"),
            ("<M-[>", "sorted(names)"),
        ):
            neovim.type(key)
            neovim.wait_for_screen(f"names = ║├{ghost}┤")
        neovim.type("s")
        neovim.wait_for_screen("names = s║├orted(names)┤")
        time.sleep(A_WHILE_S)
        assert neovim.screen[0] == "names = s║├orted(names)┤"
        neovim.type("<Tab>")
        neovim.wait_for_text("names = sorted(names)\n")


def test_dismissing_lasts_until_the_next_change(home: Path) -> None:
    with editing(home, "names =║\n", [SORTED]) as neovim:
        neovim.type(" ")
        neovim.wait_for_screen("names = ║├sorted(names, key=len)┤")
        neovim.type("<C-]>")
        neovim.wait_for_screen("names = ║")
        time.sleep(A_WHILE_S)
        assert neovim.screen[0] == "names = ║"
        neovim.type("s")
        neovim.wait_for_screen("names = s║├orted(names, key=len)┤")
        neovim.type("<Esc>")
        neovim.wait_for_screen("names = ║s")


def test_text_right_of_the_cursor_is_replaced_where_the_range_covers_it(home: Path) -> None:
    with editing(home, "print║)\n", [CONDITION]) as neovim:
        neovim.type("(")
        neovim.wait_for_screen("print(║├x┤)├ if x else None┤")
        neovim.type("<Tab>")
        neovim.wait_for_text("print(x) if x else None\n")
        neovim.type(UNDO)
        neovim.wait_for_text("print()\n")


def test_nothing_is_offered_unasked_before_code_but_on_asking(home: Path) -> None:
    script = [Line("names = ", "sorted(", suffix="people)")]
    with editing(home, "names =║people)\n", script) as neovim:
        neovim.type(" ")
        time.sleep(A_WHILE_S)
        assert neovim.screen[0] == "names = ║people)"
        neovim.type(r"<M-\>")
        neovim.wait_for_screen("names = ║├sorted(┤people)")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_wide_characters_and_tabs_stand_in_their_columns(encoding: str, home: Path) -> None:
    # Without the tab, which a model is given as four blanks.
    script = [Line('n = ("日本😀", ', '"語",\t1) if x else 0', suffix=")")]
    capabilities = f"general = {{ positionEncodings = {{ '{encoding}' }} }}"
    after = f"vim.lsp.config('tabby_lsp', {{ capabilities = {{ {capabilities} }} }})"
    with editing(home, 'if x:\n\tn = ("日本😀",║)\n', script, after) as neovim:
        neovim.type(" ")
        neovim.wait_for_screen("if x:", '    n = ("日本😀", ║├"語",    1┤)├ if x else 0┤')
        neovim.type("<Tab>")
        neovim.wait_for_text('if x:\n\tn = ("日本😀", "語",\t1) if x else 0\n')
        neovim.wait_for_screen("if x:", '    n = ("日本😀", "語",    1) if x else 0║')


def test_accepting_all_runs_the_items_command_once(home: Path) -> None:
    note = "_G.commands = {} vim.lsp.commands['tabby.didAccept'] = function(command)"
    after = f"{note} table.insert(commands, command.arguments[1]) end"
    with editing(home, "names =║\n", [SORTED], after) as neovim:
        neovim.type(" ")
        neovim.wait_for_screen("names = ║├sorted(names, key=len)┤")
        neovim.type("<M-Right>")
        neovim.wait_for_screen("names = sorted║├(names, key=len)┤")
        assert neovim.lua("return #commands") == 0
        neovim.type("<Tab>")
        neovim.wait_for_screen("names = sorted(names, key=len)║")
        neovim.wait_for_lua("return #commands", 1)


@pytest.mark.parametrize(
    ("mapping", "text"),
    [
        ("", "name    "),
        (
            "vim.keymap.set('i', '<Tab>', function() return '-mine' end, { expr = true })",
            "name-mine",
        ),
        ("vim.cmd([[imap <Tab> <F5>]]) vim.cmd([[inoremap <F5> -mine]])", "name-mine"),
        (
            "vim.api.nvim_create_autocmd('FileType', { callback = function()"
            " vim.keymap.set('i', '<Tab>', '-mine', { buffer = true }) end })",
            "name-mine",
        ),
    ],
    ids=["none", "function", "remap", "buffer"],
)
def test_tab_does_what_it_did_where_nothing_is_shown(mapping: str, text: str, home: Path) -> None:
    with editing(home, "name║\n", [Line("", "")], f"vim.o.expandtab = true {mapping}") as neovim:
        neovim.type("<Tab>")
        neovim.wait_for_text(f"{text}\n")


def test_switched_off_it_is_silent_until_asked(home: Path) -> None:
    with editing(home, "names =║\n", [SORTED]) as neovim:
        assert neovim.lua("return require('tabby_lsp').toggle()") is False
        neovim.type(" ")
        time.sleep(A_WHILE_S)
        assert neovim.screen[0] == "names = ║"
        neovim.type(r"<M-\>")
        neovim.wait_for_screen("names = ║├sorted(names, key=len)┤")
        assert neovim.lua("return require('tabby_lsp').toggle()") is True
        neovim.wait_for_screen("names = ║├sorted(names, key=len)┤")


def test_a_selected_entry_of_the_menu_has_the_place_and_the_key(home: Path) -> None:
    with at_a_puppet(home, "║\n\nnames = natural = 1\n") as neovim:
        neovim.type("na")
        answer(neovim, 1, "tive = 2")
        neovim.wait_for_screen("na║├tive = 2┤")
        neovim.type("<C-n>")
        neovim.wait_for_screen("names║", "names")
        time.sleep(A_WHILE_S)
        assert neovim.lua("return #puppet.questions") == 1
        assert neovim.screen[0] == "names║"
        neovim.type("<Tab>")
        neovim.wait_for_text("names   \n\nnames = natural = 1\n")


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
@pytest.mark.parametrize("second_key", ["b", r"<M-\>"])
def test_only_the_answer_to_the_newest_question_counts(
    order: tuple[int, int], second_key: str, home: Path
) -> None:
    with at_a_puppet(home, "║\n") as neovim:
        neovim.type("a")
        wait_for_question(neovim, 1)
        neovim.type(second_key)
        wait_for_question(neovim, 2)
        for number in order:
            answer(neovim, number, f" answer {number}")
        assert "├ answer 2┤" in neovim.screen[0]


def test_a_question_is_cancelled_as_soon_as_it_is_out_of_date(home: Path) -> None:
    with at_a_puppet(home, "║\n") as neovim:
        neovim.type("a")
        wait_for_question(neovim, 1)
        neovim.lua(NEVER_ASK_AGAIN)
        neovim.type("b")
        neovim.wait_for_screen("ab║")
        assert neovim.lua("return puppet.n_cancelled") == 1


def test_an_answer_about_another_text_shows_nothing(home: Path) -> None:
    with at_a_puppet(home, "║\n") as neovim:
        neovim.type("a")
        wait_for_question(neovim, 1)
        change = "vim.api.nvim_buf_set_lines(0, 1, 1, true, { 'below' })"
        neovim.lua(f"{change} puppet.answer(1, ' = 1')")
        assert neovim.screen[:2] == ["a║", "below"]


def test_an_empty_list_clears_while_null_and_an_error_leave_what_is_shown(home: Path) -> None:
    with at_a_puppet(home, "║\n") as neovim:
        neovim.type("a")
        answer(neovim, 1, "bcde")
        neovim.wait_for_screen("a║├bcde┤")
        neovim.type("b")
        answer(neovim, 2, None)
        assert neovim.screen[0] == "ab║├cde┤"
        neovim.type("c")
        answer(neovim, 3, None, {"code": -32603, "message": "no"})
        assert neovim.screen[0] == "abc║├de┤"
        neovim.type(r"<M-\>")
        answer(neovim, 4, False)
        assert neovim.screen[0] == "abc║"
        assert neovim.lua("return puppet.kinds()") == [2, 2, 2, 1]


def test_taking_back_what_was_typed_along_shows_it_again_at_once(home: Path) -> None:
    with at_a_puppet(home, "║\n") as neovim:
        neovim.type("a")
        answer(neovim, 1, "bcd")
        neovim.type("b")
        answer(neovim, 2, "cd")
        neovim.wait_for_screen("ab║├cd┤")
        neovim.type("<BS>")
        neovim.wait_for_screen("a║├bcd┤")


def test_an_answer_after_insert_mode_shows_nothing(home: Path) -> None:
    with at_a_puppet(home, "║\n") as neovim:
        neovim.type("a")
        wait_for_question(neovim, 1)
        neovim.type("<Esc>")
        answer(neovim, 1, "bc")
        assert neovim.screen[0] == "║a"


@pytest.mark.parametrize(
    ("line", "text", "replaced", "rows"),
    [
        # What the text ends with may stand there already.
        ("print(║);", "a, b)", ")", ["print(║├a, b┤);"]),
        # What stands right of the cursor will stand after the last line.
        (
            "call(║); // x",
            "\n\ta,\n\tb\n",
            "",
            ["call(║", "├        a,┤", "├        b┤", "); // x"],
        ),
        ("call(║); // x", "a,\n  b)", ")", ["call(║├a,┤", "├  b)┤; // x"]),
        ("call(║)  ", "\n  a\n", "", ["call(║", "├  a┤", ")"]),
        # What is replaced and does not stand in the text is covered.
        ("say(║old); x", "new", "old", ["say(║├new┤); x"]),
        ("say(║older); x", "new", "older", ["say(║├new┤); x"]),
        # Tabs end where they will end in the buffer.
        ("a\t日本║", "\tb\n\tc", "", ["a       日本║├    b┤", "├        c┤"]),
    ],
)
def test_the_screen_looks_as_the_buffer_will_look(
    line: str, text: str, replaced: str, rows: list[str], home: Path
) -> None:
    left, right = line.split("║")
    file = home / "demo.txt"
    file.write_text(f"{left}{right}\n", "utf-8")
    rest = {"row": 0, "col": len(left.encode()), "text": text, "replaced": replaced}
    rest["beyond"] = right.removeprefix(replaced)
    with Neovim(home, file) as neovim:
        neovim.insert_at(left)
        neovim.lua("require('tabby_lsp.draw').show(0, ...)", rest)
        neovim.wait_for_screen(*rows, "~")


def test_lines_below_the_window_are_counted(home: Path) -> None:
    with at_a_puppet(home, "\n" * 30 + "║\n") as neovim:
        neovim.type("a")
        answer(neovim, 1, "b\nc\nd")
        neovim.wait_for_screen(*[""] * 13, "a║├b (2 more below)┤")


def test_a_file_with_crlf_gets_no_carriage_return_into_its_lines(home: Path) -> None:
    script = [Line("def total(items):\r\n    ", TOTAL.text.replace("\n", "\r\n"))]
    with editing(home, "def total(items):║\r\n", script) as neovim:
        neovim.type("<CR>")
        neovim.wait_for_screen("def total(items):", "    ║├result = 0┤", "├    for item in items:┤")
        neovim.type("<Tab>")
        neovim.wait_for_text(f"{TOTAL.prefix}{TOTAL.text}\n")


def test_the_health_page_names_the_model_and_the_reason_of_the_last_answer(home: Path) -> None:
    with editing(home, "names =║people)\n", [SORTED]) as neovim:
        neovim.type(" ")
        neovim.wait_for_lua(LAST_REASON, "code-after-cursor")
        neovim.type("<Esc>:silent checkhealth tabby_lsp<CR>")
        assert wait_until(lambda: "code-after-cursor" in neovim.text, PATIENCE_S)
        assert "model scripted: ready" in neovim.text
        assert "ERROR" not in neovim.text
