"""Where the cursor stands after a suggestion is accepted and after Enter, drawn as documents."""

from __future__ import annotations

import pytest

from tabby_lsp.completion.following import accepted, entered, past_closers
from tabby_lsp.domain import Completion
from tests.completion.drawn import cursor_in, parse


def check(proposed: str, put_in: str, on_next_line: str | None) -> None:
    """A proposal, the cursor behind it, and the cursor after Enter; None for no line to begin."""
    drawn = parse(proposed)
    end = accepted(drawn.cursor(), Completion(text=drawn.text, replaced=drawn.replaced))
    assert end == cursor_in(put_in)
    assert entered(end) == (None if on_next_line is None else cursor_in(on_next_line))


def test_the_next_line_is_indented_as_this_one() -> None:
    check("    x = ├1┤\n\ny\n", "    x = 1║\n\ny\n", "    x = 1\n    ║\n\ny\n")


def test_at_the_end_of_the_document_too() -> None:
    check("x = ├1┤", "x = 1║", "x = 1\n║")


def test_what_opens_a_block_is_followed_by_a_step_more() -> None:
    check("  if a:\n    if ├b:┤\n", "  if a:\n    if b:║\n", "  if a:\n    if b:\n        ║\n")
    check("\tif ├b:┤\n\tc\n", "\tif b:║\n\tc\n", "\tif b:\n\t\t║\n\tc\n")
    check("x = ├[┤\n", "x = [║\n", "x = [\n    ║\n")


@pytest.mark.parametrize("word", ["return", "raise", "break", "continue", "pass"])
def test_what_ends_a_block_is_followed_by_a_step_less(word: str) -> None:
    check(f"if a:\n    {word}├ b┤\n", f"if a:\n    {word} b║\n", f"if a:\n    {word} b\n║\n")
    check(f"{word}├_b(x)┤\n", f"{word}_b(x)║\n", f"{word}_b(x)\n║\n")


def test_several_lines_are_followed_by_one_as_the_last_of_them() -> None:
    check(
        "def f(x):├\n    if x:\n        y = x┤\n",
        "def f(x):\n    if x:\n        y = x║\n",
        "def f(x):\n    if x:\n        y = x\n        ║\n",
    )


def test_closers_are_gone_past() -> None:
    check("    f(├a┤)\n", "    f(a║)\n", "    f(a)\n    ║\n")
    check("if f(├a┤):\n", "if f(a║):\n", "if f(a):\n    ║\n")
    check("f(├a, b)┤)╣\n", "f(a, b)║\n", "f(a, b)\n║\n")


def test_nothing_follows_between_the_halves_of_a_pair() -> None:
    check("x = f├(┤)\n", "x = f(║)\n", None)


def test_nothing_follows_before_code() -> None:
    check("x = ├a┤ + 1\n", "x = a║ + 1\n", None)


def test_lines_end_as_in_the_document() -> None:
    check("if a:\r\n    x = ├1┤\r\n", "if a:\r\n    x = 1║\r\n", "if a:\r\n    x = 1\r\n    ║\r\n")


def test_before_code_there_are_no_closers_to_go_past() -> None:
    cursor = cursor_in("f(a║) + 1\n")
    assert past_closers(cursor) is cursor
