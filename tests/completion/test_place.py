"""What was typed between two places, drawn as two documents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.completion.place import Place, typed_since
from tests.completion.drawn import parse

URI = "file:///project/shop.py"


def place(drawing: str, uri: str = URI) -> Place:
    drawn = parse(drawing)
    return Place(uri, drawn.prefix, drawn.suffix)


def check(earlier: str, later: str, *typed: str) -> None:
    """All that may have been typed, the shortest first; none where it was another edit."""
    assert tuple(typed_since(place(earlier), place(later))) == typed


def test_nothing_was_typed_at_the_same_place() -> None:
    check("x = ║\n", "x = ║\n", "")


def test_keys_are_typed() -> None:
    check("x = ║\n", "x = foo║\n", "foo")


@pytest.mark.parametrize(
    "later", ["x = f(║)\n", 'x = f(["║"])\n', "x = f(\n    ║\n)\n", "x = f{║}\n", "x = f(║\n"]
)
def test_closers_that_the_editor_adds_are_not_in_the_way(later: str) -> None:
    check("x = ║\n", later, parse(later).prefix.removeprefix("x = "))


def test_closers_are_typed_over() -> None:
    check("f(║)\n", "f(a)║\n", "a)")
    check('f("║")\n', 'f("a")║\n', 'a")')


def test_enter_in_a_crlf_document_is_one_character() -> None:
    check("if a:║\r\n", "if a:\r\n    ║\r\n", "\n    ")


@pytest.mark.parametrize(
    "later", ["y = f║\n", "x =║\n", "x = ║ #\n", "x = f║ + 1\n", "x = ║\n\ny\n"]
)
def test_other_edits_are_not_typing(later: str) -> None:
    check("x = ║\n", later)


def test_closers_alone_are_not_typing() -> None:
    check("x = ║\n", "x = ║)\n")


def test_another_document_is_another_place() -> None:
    assert not list(typed_since(place("x║"), place("xy║", "file:///project/other.py")))


def test_the_window_may_slide_in_between() -> None:
    body = "".join(f"line {number}\n" for number in range(60))
    check(f"{body}x = ║\n", f"{body[100:]}x = f║\n", "f")
    check(f"{body[100:]}x = ║\n", f"{body}x = f║\n", "f")


def test_a_repeated_text_is_read_in_each_way() -> None:
    body = "".join(f"line {number}\n" for number in range(10))
    check(f"{body}║", f"{body}{body}║", "", body)


anything = st.text("ab()\n ", max_size=60)


@given(anything, anything, anything)
def test_what_was_typed_is_always_among_what_may_have_been(
    prefix: str, suffix: str, typed: str
) -> None:
    earlier, later = Place(URI, prefix, suffix), Place(URI, prefix + typed, suffix)
    readings = list(typed_since(earlier, later))
    assert typed in readings
    assert all((prefix + typed).endswith(reading) for reading in readings)
    assert readings == sorted(readings, key=len)
