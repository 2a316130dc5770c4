"""What is shown of what the model said, as whole documents before and after."""

from __future__ import annotations

import pytest

from tabby_lsp.completion.postprocess import postprocess
from tabby_lsp.completion.trigger import scope
from tabby_lsp.domain import Completion
from tests.completion.drawn import parse


def check(said: str, shown: str, language: str = "python") -> None:
    """The model says ├…┤ in `said`; shown is ├…┤ in `shown`, or nothing where that has a `║`."""
    before, after = parse(said), parse(shown)
    assert (before.prefix, before.suffix) == (after.prefix, after.suffix)
    cursor = before.cursor(language)
    expected = Completion(text=after.text, replaced=after.replaced) if after.text else None
    assert postprocess(before.text, cursor, scope(cursor)) == expected


def test_a_plain_answer_goes_through() -> None:
    check("x = ├foo(a, b)┤\n", "x = ├foo(a, b)┤\n")
    check("x = foo(a├)┤\n", "x = foo(a├)┤\n")
    check("if a├:┤\n", "if a├:┤\n")


def test_nothing_visible_is_nothing() -> None:
    check("x = ├  ┤\n", "x = ║\n")
    check("x = ├┤\n", "x = ║\n")
    check("def f():\n    ├\n\n┤\n", "def f():\n    ║\n")
    check("foo(a,├ ┤b)\n", "foo(a,║b)\n")


class TestLine:
    """A line is kept on its line."""

    def test_ends_at_its_end(self) -> None:
        check("x = ├1\ny = 2┤\n", "x = ├1┤\n")

    def test_is_nothing_where_a_new_line_is_wanted(self) -> None:
        check("x = 1├\ny = 2┤\n", "x = 1║\n")

    def test_begins_on_the_cursor_s_line(self) -> None:
        check("import os\n\n├\n\ndef f():\n    pass┤\n", "import os\n\n├def f():┤\n")

    def test_has_no_whitespace_at_its_end(self) -> None:
        check("x = ├1  \t┤\n", "x = ├1┤\n")


class TestIndentation:
    """llama.vscode #72, tabby #3330, copilot.el #179, minuet #68: wrong indentation."""

    def test_is_not_said_twice(self) -> None:
        check("def f():\n    x = 1\n    ├    return x┤\n", "def f():\n    x = 1\n    ├return x┤\n")
        check("if a:\n    ├\n    b()┤\n", "if a:\n    ├b()┤\n")

    def test_said_twice_in_all_lines_is_taken_from_all(self) -> None:
        check(
            "if a:\n    ├    b()\n        c()\n            d()┤\n",
            "if a:\n    ├b()\n    c()\n        d()┤\n",
        )

    def test_comes_with_the_text_where_the_editor_has_put_none(self) -> None:
        check("def f():\n├    return x┤\n", "def f():\n├    return x┤\n")
        check("def f():\n    x = 1\n├        return x┤\n", "def f():\n    x = 1\n├    return x┤\n")

    def test_less_than_the_cursor_s_is_for_another_place(self) -> None:
        check("def f():\n    x = 1\n    ├\ndef g():┤\n", "def f():\n    x = 1\n    ║\n")

    def test_keeps_tabs(self) -> None:
        check(
            "if a:\n\tb()\n\nif c:├\n    d()\n    if e:\n        f()┤\n",
            "if a:\n\tb()\n\nif c:├\n\td()\n\tif e:\n\t\tf()┤\n",
        )
        check("if a:\n\tb()\n\t├    c()┤\n", "if a:\n\tb()\n\t├c()┤\n")

    def test_has_no_tabs_among_blanks(self) -> None:
        check("if a:\n    b()\n\nif c:├\n    d()\n\te()┤\n", "if a:\n    b()\n\nif c:├\n    d()┤\n")

    def test_has_no_second_blank_before_the_text(self) -> None:
        check("x = ├ 1┤\n", "x = ├1┤\n")
        check("x =├ 1┤\n", "x =├ 1┤\n")
        check("x = 1 ├ # one┤\n", "x = 1 ├ # one┤\n")


class TestClosers:
    """copilot.lua #43, #215, #322, copilot-cmp #41, minuet #7: doubled by autopairs."""

    def test_that_stand_there_are_not_said_again(self) -> None:
        check("foo(├a, b)┤)\n", "foo(├a, b┤)\n")
        check('print("├hello")┤")\n', 'print("├hello┤")\n')
        check("x = [1, ├2, 3]┤]\n", "x = [1, ├2, 3┤]\n")
        check("def f(├a, b):┤):\n", "def f(├a, b┤):\n")
        check("foo( ├a )┤ )\n", "foo( ├a┤ )\n")
        check('f"{├a}┤}"\n', 'f"{├a┤}"\n')
        check('f"{├a}"┤}"\n', 'f"{├a┤}"\n')
        check('    """├Return it."""┤"""\n', '    """├Return it.┤"""\n')
        check("if (a├ == 1) {┤) {\n", "if (a├ == 1┤) {\n", "javascript")
        check("fn f<'a>(x: &├'a str)┤)\n", "fn f<'a>(x: &├'a str┤)\n", "rust")

    def test_of_the_text_s_own_brackets_stay(self) -> None:
        check("foo(├bar(a)┤)\n", "foo(├bar(a)┤)\n")
        check('print("├a" + "b┤")\n', 'print("├a" + "b┤")\n')
        check('f"{├d[0]} {e┤}"\n', 'f"{├d[0]} {e┤}"\n')
        check("foo(├x).bar(┤)\n", "foo(├x).bar(┤)\n")
        check("foo(├x).bar()┤)\n", "foo(├x).bar(┤)\n")
        check("foo(bar(├a)┤)\n", "foo(bar(├a)┤)\n")
        check("foo(\n    a├, f(b)┤)\n", "foo(\n    a├, f(b)┤)\n")

    def test_that_the_text_opens_for_the_rest_are_taken_from_it(self) -> None:
        check("self.├register(hooks)┤)\n", "self.├register(hooks┤)\n")

    def test_that_the_text_goes_past_are_replaced(self) -> None:
        check("foo(├a).bar┤)\n", "foo(├a).bar┤)╣\n")
        check("def f(├a, b) -> int:┤)\n", "def f(├a, b) -> int:┤)╣\n")
        check("def f(├a) -> int:┤):\n", "def f(├a) -> int:┤):╣\n")
        check('print("├hello", x)┤")\n', 'print("├hello", x)┤")╣\n')

    def test_on_a_line_of_their_own_are_replaced(self) -> None:
        check("foo(├\n    a,\n    b,\n)┤)\n", "foo(├\n    a,\n    b,\n)┤)╣\n")
        check("if (a) {├\n  b();\n}┤}\n", "if (a) {├\n  b();\n}┤}╣\n", "javascript")

    def test_alone_say_nothing(self) -> None:
        check("foo(├)┤)\n", "foo(║)\n")

    def test_that_do_not_fit_the_rest_are_not_shown(self) -> None:
        check("foo(├x = [┤)\n", "foo(║)\n")

    def test_are_not_put_behind_a_comment(self) -> None:
        check("foo(├a  # note┤)\n", "foo(├a┤)\n")
        check("foo(├\n    a,\n    b  # note┤)\n", "foo(├\n    a,\n    b┤)\n")

    def test_separators_that_stand_there_are_not_said_again(self) -> None:
        check("x = {1: ├2,┤,\n", "x = {1: ├2┤,\n")
        check("a = ├b;┤;\n", "a = ├b┤;\n", "javascript")


class TestCodeOnTheRight:
    """An answer in the middle of a line fits in there, or is not shown."""

    def test_is_not_said_again(self) -> None:
        check("foo(├a, b, c)┤b, c)\n", "foo(├a, ┤b, c)\n")
        check("foo(├a, b, c)\nbar()┤b, c)\n", "foo(├a, ┤b, c)\n")
        check("x = ├1  # one┤  # one\n", "x = ├1┤  # one\n")
        check("foo(├a) + bar(b, c)┤) + bar(b, c)\n", "foo(├a┤) + bar(b, c)\n")

    def test_is_replaced_where_the_text_has_it_inside(self) -> None:
        check("x = ├bar(foo(a))┤foo(a)\n", "x = ├bar(foo(a))┤foo(a)╣\n")

    def test_stays_where_the_text_leads_to_it(self) -> None:
        check("x = ├a + ┤b\n", "x = ├a + ┤b\n")
        check("self.├user_┤name = 1\n", "self.├user_┤name = 1\n")
        check("├self.┤name = 1\n", "├self.┤name = 1\n")

    def test_is_nothing_for_uneven_brackets(self) -> None:
        check("foo(├a)┤b)\n", "foo(║b)\n")
        check("x = ├foo(┤b\n", "x = ║b\n")

    def test_is_nothing_to_run_into(self) -> None:
        check("├x = 1┤def f():\n", "║def f():\n")
        check("x = ├foo(a)┤b\n", "x = ║b\n")
        check('return├ parts┤"-".join(x)\n', 'return║"-".join(x)\n')


class TestRepetition:
    """vscode-copilot-release #5828, #6415, #11402: text that repeats itself or its neighbours."""

    def test_of_the_line_below_is_not_shown(self) -> None:
        check(
            "def f():\n    x = 1\n    ├return x┤\n    return x\n",
            "def f():\n    x = 1\n    ║\n    return x\n",
        )
        check("    ret├urn x┤\n\n    return x\n", "    ret║\n\n    return x\n")

    def test_of_the_line_below_in_another_block_is_an_answer(self) -> None:
        check(
            "if a:\n    b()\n    ├return x┤\nreturn x\n",
            "if a:\n    b()\n    ├return x┤\nreturn x\n",
        )

    def test_of_the_line_above_is_not_shown(self) -> None:
        check("x = foo(a)\n├x = foo(a)┤\n", "x = foo(a)\n║\n")

    def test_of_the_rest_of_the_line_is_not_shown(self) -> None:
        check("foo(├a, b)┤a, b)\n", "foo(║a, b)\n")

    def test_within_a_line_is_not_shown(self) -> None:
        check("x = [├0, 0, 0, 0, 0, 0, 0, 0, ┤\n", "x = [║\n")
        check(f"x = ├{'self.consider(' * 5}┤\n", "x = ║\n")
        check(f"x = ├{'(' * 30}┤\n", "x = ║\n")

    def test_is_no_fault_of_a_ruler_or_a_list(self) -> None:
        check(f"# ├{'-' * 70}┤\n", f"# ├{'-' * 70}┤\n")
        check("x = ├[0, 0, 0, 0, 0, 0, 0]┤\n", "x = ├[0, 0, 0, 0, 0, 0, 0]┤\n")

    def test_of_lines_is_said_once(self) -> None:
        check(
            "if a:├\n    b()\n    c()\n    b()\n    c()\n    b()\n    c()┤\n",
            "if a:├\n    b()\n    c()┤\n",
        )


class TestBlock:
    """A block has the lines that belong to it, and whole ones."""

    def test_ends_with_its_indentation(self) -> None:
        check(
            "def f():\n    ├x = 1\n    return x\n\n\ndef g():\n    pass┤\n",
            "def f():\n    ├x = 1\n    return x┤\n",
        )

    def test_ends_before_a_header_without_its_body(self) -> None:
        check("def f():├\n    x = 1\n    if x:┤\n", "def f():├\n    x = 1┤\n")

    def test_ends_before_a_call_that_is_cut(self) -> None:
        check("def f():├\n    x = 1\n    g(\n        x,┤\n", "def f():├\n    x = 1┤\n")

    def test_ends_before_a_string_that_is_cut(self) -> None:
        check(
            'def f():├\n    x = 1\n    y = """\n    text┤\n',
            "def f():├\n    x = 1┤\n",
        )

    def test_ends_before_the_closer_below(self) -> None:
        check(
            "if (a) {\n  ├b();\n  c();\n}┤\n}\n",
            "if (a) {\n  ├b();\n  c();┤\n}\n",
            "javascript",
        )

    def test_has_no_whitespace_at_line_ends(self) -> None:
        check(
            "def f():├  \n    x = 1 \n  \n    return x\t\n┤\n",
            "def f():├\n    x = 1\n\n    return x┤\n",
        )


class TestLeaks:
    """minuet #20, #129, QwenCoder #94, continue #2330, #8569: sentinels and fences."""

    @pytest.mark.parametrize(
        "piece",
        [
            "<|fim_middle|>",
            "<|endoftext|>",
            "<|im_end|>",
            "<file_sep>",
            "<fim_suffix>",
            "<fim-prefix>",
            "<[fim-suffix]>",
            "<\uff5cfim▁hole\uff5c>",
            "▁<EOT>",
            "<gh_stars>",
            "<issue_start>",
            "<end_of_turn>",
            "\ufffd",
            "\ud83d",
            "\x1b",
            "<|fim_mid",
            "<fim_pre",
        ],
    )
    def test_end_the_text(self, piece: str) -> None:
        check(f"x = ├1{piece}┤\n", "x = ├1┤\n")

    def test_of_a_path_end_the_text(self) -> None:
        check("x = ├1\n<filename>a.py┤\n", "x = ├1┤\n")

    def test_alone_are_nothing(self) -> None:
        check("x = ├<|endoftext|>y┤\n", "x = ║\n")
        check("x = ├<think>\nWell┤\n", "x = ║\n")

    def test_of_fences_are_unwrapped(self) -> None:
        check("x = ├```python\nfoo()\n```\nThis calls┤\n", "x = ├foo()┤\n")
        check("def f():\n    ├```\nreturn 1\n```┤\n", "def f():\n    ├return 1┤\n")
        check("x = ├```┤\n", "x = ║\n")

    def test_are_not_the_document_s_own_fences(self) -> None:
        check("├```python┤\n", "├```python┤\n", "markdown")
        check('"""\n```\nx\n├```┤\n"""\n', '"""\n```\nx\n├```┤\n"""\n')

    def test_are_not_signs_that_people_write(self) -> None:
        check("x = d[├SUFFIX]┤\n", "x = d[├SUFFIX]┤\n")
        check('"usage: f <├filename> <s>┤"\n', '"usage: f <├filename> <s>┤"\n')
        check("x ├<| f┤\n", "x ├<| f┤\n", "fsharp")


class TestLineEnds:
    """tabby #3279, continue #3591: documents with CRLF."""

    def test_are_the_document_s(self) -> None:
        check(
            "if a:\r\n    b()\r\n\r\nif c:├\n    d()\n    e()┤\r\n",
            "if a:\r\n    b()\r\n\r\nif c:├\r\n    d()\r\n    e()┤\r\n",
        )
        check("if a:├\r\n    b()\r    c()┤\n", "if a:├\n    b()\n    c()┤\n")

    def test_do_not_hide_what_stands_below(self) -> None:
        check(
            "def f():\r\n    ├return x┤\r\n    return x\r\n",
            "def f():\r\n    ║\r\n    return x\r\n",
        )
