from __future__ import annotations

from tabby_lsp.index.outline import definition_at, outline

PYTHON = """\
import os


class Cart:
    # what is in it
    @property
    def total(self):
        return 1

    async def pay(self):
        def inner():
            pass
        return inner


def main(): pass
"""
TYPESCRIPT = """\
import { x } from "y";
export async function load(url: string) {
  return fetch(url);
}
export default class Cart {
  total = 0;
}
const functional = 1;
"""


def rows(line: str) -> tuple[int, int] | None:
    """The definition at the line that holds `line`."""
    row = next(n for n, text in enumerate(PYTHON.split("\n")) if line in text)
    return definition_at(PYTHON, "python", row)


def test_python_is_outlined_by_its_grammar() -> None:
    assert outline(PYTHON, "python") == (
        "class Cart:\n    def total(self):\n    async def pay(self):\n        def inner():\n"
        "def main(): pass"
    )


def test_other_languages_are_outlined_by_their_looks() -> None:
    assert outline(TYPESCRIPT, "typescript") == (
        "export async function load(url: string) {\nexport default class Cart {"
    )


def test_a_text_without_definitions_has_no_outline() -> None:
    assert outline("a = 1\n", "python") == ""


def test_a_very_long_file_is_outlined_in_part() -> None:
    assert outline("def f(): pass\n" * 500, "python").count("\n") < 100


def test_the_innermost_definition_is_the_one_at_a_line() -> None:
    assert rows("return 1") == (5, 8)
    assert rows("def inner") == (10, 12)
    assert rows("return inner") == (9, 13)
    assert rows("what is in it") == (3, 13)


def test_between_definitions_there_is_none() -> None:
    assert rows("import os") is None


def test_without_a_grammar_there_is_none() -> None:
    assert definition_at(TYPESCRIPT, "typescript", 2) is None


def test_rows_end_at_a_lone_carriage_return_too() -> None:
    text = "a = 1\rb = 2\rdef f():\n    return 1\ndef g():\n    return 2\n"
    assert definition_at(text, "python", 5) == (4, 6)


def test_a_deep_expression_is_looked_through() -> None:
    text = "x = " + " + ".join("1" * 3_000) + "\n\n\n@cache\ndef f():\n    pass\n"

    assert outline(text, "python") == "def f():"
    assert definition_at(text, "python", 3) == definition_at(text, "python", 5) == (3, 6)
    assert definition_at(text, "python", 0) is None
