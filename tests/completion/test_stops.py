"""Where streaming text ends: for a line, for a block, and the same whatever comes after."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.completion.cursor import Cursor
from tabby_lsp.completion.stops import MAX_BLOCK_LINES, end_of
from tests.completion.drawn import parse

if TYPE_CHECKING:
    from tabby_lsp.completion.trigger import Scope

scopes = st.sampled_from(["line", "block"])
PIECES = (
    *("a", "b", "return x", " ", "    ", "\t", "\n", "\r\n", "\r", "\x0c"),
    *(":", "(", ")", "{", "}", "[", "]", "'", '"', '"""', "#"),
    *("```", "```py\n", "<|", "|>", "<fim_middle>", "<file_sep>", "<"),
)
pieces = st.sampled_from(PIECES)
texts = st.lists(pieces, max_size=30).map("".join)
cursors = st.builds(
    Cursor,
    prefix=st.lists(pieces, max_size=10).map("".join) | st.just("def f():\n    "),
    suffix=st.lists(pieces, max_size=10).map("".join) | st.just("\n    return x\n"),
    language=st.sampled_from(["python", "javascript", "markdown", ""]),
)


def check(said: str, kept: str, scope: Scope, language: str = "python") -> None:
    """What stands in ├…┤ in `kept` is what is left of it in `said`."""
    before, after = parse(said), parse(kept)
    assert (before.prefix, before.suffix) == (after.prefix, after.suffix)
    end = end_of(before.text, before.cursor(language), scope)
    assert end is not None
    assert before.text[:end] == after.text


def check_open(said: str, scope: Scope, language: str = "python") -> None:
    """Whatever is said in ├…┤, more is waited for."""
    drawn = parse(said)
    assert end_of(drawn.text, drawn.cursor(language), scope) is None


def test_a_line_ends_at_its_line_end() -> None:
    check("x = ├1\ny = 2┤\n", "x = ├1┤\n", "line")
    check("x = ├1\r\ny = 2┤\r\n", "x = ├1┤\r\n", "line")
    check_open("x = ├1 + ┤\n", "line")


def test_a_new_line_at_a_line_s_end_says_that_there_is_nothing_to_add() -> None:
    check("x = 1├\ny = 2┤\n", "x = 1├┤\n", "line")
    check("x = 1├  \ny = 2┤\n", "x = 1├┤\n", "line")


def test_on_a_blank_line_the_answer_may_come_after_blank_lines() -> None:
    check(
        "import os\n├\n\ndef f():\n┤",
        "import os\n├\n\ndef f():┤",
        "line",
    )
    check_open("import os\n├\n\n┤", "line")
    check("import os\n├\n\n\ndef f():┤", "import os\n├┤", "line")


def test_on_a_blank_line_less_indentation_is_not_for_this_place() -> None:
    check("def f():\n    ├\ndef g():┤", "def f():\n    ├┤", "line")


def test_before_code_a_line_ends_where_that_code_is_said_again() -> None:
    check("f(├a, b)\nreturn┤b)\n", "f(├a, ┤b)\n", "line")
    check("def text_do├es(self) -> str:\n┤(self):\n", "def text_do├es┤(self):\n", "line")
    check("y = ├max(a) + x\n┤x\n", "y = ├max(a) + ┤x\n", "line")


def test_before_code_a_line_that_overlooks_it_is_nothing() -> None:
    check("f(├c)\nreturn┤b)\n", "f(├┤b)\n", "line")


def test_before_a_comment_a_line_is_a_line() -> None:
    check("x = ├1\n┤  # one\n", "x = ├1┤  # one\n", "line")


def test_a_block_ends_before_a_line_that_is_indented_less() -> None:
    check(
        "def f():\n    ├x = 1\n    return x\n\ndef g┤\n",
        "def f():\n    ├x = 1\n    return x┤\n",
        "block",
    )
    check("if a:├\n    b()\nels┤\n", "if a:├\n    b()┤\n", "block")
    check("if a:├\nb()┤\n", "if a:├┤\n", "block")
    check("if a:\n\t├b()\n    c┤\n", "if a:\n\t├b()┤\n", "block")
    check_open("if a:\n    ├b()\n    ┤\n", "block")


def test_a_block_s_first_line_may_bring_its_indentation() -> None:
    check(
        "    def f():\n├        return 1\n    d┤\n",
        "    def f():\n├        return 1┤\n",
        "block",
    )


def test_a_block_of_one_line_ends_with_it() -> None:
    check("if a:├ b()\nc┤\n", "if a:├ b()┤\n", "block")


def test_a_bracket_s_block_ends_where_the_bracket_does() -> None:
    check("foo(├\n    a,\n    b,\n)\n┤", "foo(├\n    a,\n    b,\n)┤", "block")
    check("foo(├a, b)\n┤", "foo(├a, b)┤", "block")
    check("x = [\n    ├1,\n    2,\n]\n┤", "x = [\n    ├1,\n    2,\n]┤", "block")
    check_open("foo(├a,\n    b┤", "block")


def test_braces_may_go_on_after_their_end() -> None:
    said = "if (a) {├\n  b();\n} else {\n  c();\n}\nd();┤"
    check(said, "if (a) {├\n  b();\n} else {\n  c();\n}┤", "block", "javascript")


def test_a_block_ends_before_the_closer_that_stands_below() -> None:
    check("if (a) {\n  ├b();\n}┤\n}\n", "if (a) {\n  ├b();┤\n}\n", "block", "javascript")
    check("foo(\n    ├a,\n)┤\n)\n", "foo(\n    ├a,┤\n)\n", "block")


def test_a_block_ends_before_the_line_that_stands_below() -> None:
    check(
        "x = [\n    ├1,\n    2,\n    3,\n┤\n    3,\n]\n",
        "x = [\n    ├1,\n    2,┤\n    3,\n]\n",
        "block",
    )


def test_a_block_ends_before_two_blank_lines() -> None:
    check("if a:\n    ├b()\n\n\n    c┤", "if a:\n    ├b()┤", "block")
    check_open("if a:\n    ├b()\n\n    c┤", "block")


def test_a_block_says_a_line_no_third_time() -> None:
    check("if a:\n    ├b()\n    c()\n    c()\n    c()\n┤", "if a:\n    ├b()\n    c()┤", "block")
    check_open("if a:\n    ├b()\n    c()\n    c()\n    d┤", "block")


def test_a_block_has_so_many_lines_and_no_more() -> None:
    lines = [f"f({n})" for n in range(MAX_BLOCK_LINES + 1)]
    kept = "\n    ".join(lines[:MAX_BLOCK_LINES])
    check(f"if a:\n    ├{kept}\n┤", f"if a:\n    ├{kept}┤", "block")


@pytest.mark.parametrize(
    "piece", ["<|fim_middle|>", "<file_sep>", "<|endoftext|>", "<fim_pad>", "</think>", "\ufffd"]
)
def test_text_ends_before_a_control_piece(piece: str) -> None:
    check(f"x = ├1{piece}y┤\n", "x = ├1┤\n", "line")
    check(f"if a:\n    ├b()\n    c(){piece}┤\n", "if a:\n    ├b()\n    c()┤\n", "block")


def test_a_chat_model_s_fence_is_no_line_of_code() -> None:
    check("x = ├```python\n1\n┤\n", "x = ├```python\n1┤\n", "line")
    check("if a:\n    ├```\nb()\n    c()\n    ```┤", "if a:\n    ├```\nb()\n    c()┤", "block")


def test_fences_of_the_document_are_its_own() -> None:
    check("├```python\nx┤\n", "├```python┤\n", "line", "markdown")


@given(cursors, scopes, texts, texts)
def test_an_end_stays_whatever_comes_after(
    cursor: Cursor, scope: Scope, text: str, more: str
) -> None:
    ends = [end_of((text + more)[:n], cursor, scope) for n in range(len(text + more) + 1)]
    first = next((n for n, end in enumerate(ends) if end is not None), len(ends))
    assert all(end is None for end in ends[:first])
    assert len(set(ends[first:])) <= 1


@given(cursors, scopes, texts)
def test_an_end_lies_in_the_text_and_in_no_line_end(
    cursor: Cursor, scope: Scope, text: str
) -> None:
    end = end_of(text, cursor, scope)
    if end is not None:
        assert 0 <= end <= len(text)
        assert text[end - 1 : end + 1] != "\r\n"


@pytest.mark.parametrize(
    "unit", ["a", " ", "\n", "\r", "(", ")", '"', "<|", "`", "    \n", "<fim_"]
)
@pytest.mark.parametrize("scope", ["line", "block"])
def test_odd_texts_cost_no_more_than_plain_ones(unit: str, scope: Scope) -> None:
    text = unit * (20_000 // len(unit))
    cursor = Cursor(prefix=text + "\nif a:\n    ", suffix=text, language="python")
    started_s = time.process_time()
    end_of(text, cursor, scope)
    assert time.process_time() - started_s < 3
