"""Where texts are cut: at definitions in Python, at blank lines elsewhere, never within a line."""

from __future__ import annotations

import importlib
import subprocess
import sys
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.index import chunks as chunks_module
from tabby_lsp.index.chunks import MAX_CHARS, MAX_LINES, chunks
from tabby_lsp.languages import LANGUAGES

CUT = "✂\n"


def check(drawn: str, language: str = "python") -> None:
    """Compares with a text in which a line of scissors stands at each cut."""
    drawn = dedent(drawn).lstrip("\n")
    found = chunks(drawn.replace(CUT, ""), language)
    assert CUT.join(chunk.text for chunk in found) == drawn


def body(n: int, indent: str = "    ") -> str:
    """A function's body of `n` lines."""
    return "".join(f"{indent}call_number({i})\n" for i in range(n))


def test_functions_are_cut_apart() -> None:
    check(f"def first():\n{body(8)}\n\n{CUT}def second():\n{body(12)}")


def test_small_functions_go_together_and_stay_whole() -> None:
    small = "".join(f"def f{i}():\n    return {i}\n\n" for i in range(3))
    check(f"{small}{CUT}{small}{CUT}{small}")


def test_a_function_stays_with_its_decorators_and_the_comment_above() -> None:
    check(
        f"def first():\n{body(9)}\n"
        f"{CUT}# About the second.\n@cached\n@logged(\n    level=1,\n)\ndef second():\n{body(9)}"
    )


def test_a_comment_apart_from_a_function_is_not_its() -> None:
    check(f"def first():\n{body(7)}# Behind the first.\n\n{CUT}def second():\n{body(14)}")


def test_a_long_class_is_cut_between_its_methods() -> None:
    check(
        f"class Big:\n    a = 1\n    b = 2\n\n"
        f"    def first(self):\n{body(5, '        ')}\n"
        f"{CUT}    @property\n    def second(self):\n{body(9, '        ')}\n"
        f"{CUT}    async def third(self):\n{body(9, '        ')}"
    )


def test_a_long_function_is_cut_between_its_paragraphs() -> None:
    check(f"def long():\n{body(12)}\n{CUT}{body(15)}\n{CUT}{body(6)}")


def test_the_docstring_of_a_long_function_stays_whole() -> None:
    check(f'def long():\n    """What.\n\n    Why.\n    """\n{body(10)}\n{CUT}{body(15)}')


def test_code_behind_a_definition_is_not_part_of_it() -> None:
    settings = "".join(f"SETTING_{i} = {i}\n" for i in range(8))
    check(f"def first():\n{body(8)}\n{CUT}{settings}\n{CUT}def second():\n{body(8)}")


def test_a_comment_behind_code_stays_behind_it() -> None:
    table = "TABLE = [\n" + "    1,\n" * 12 + "]  # What it holds.\n"
    check(f"{table}{CUT}def second():\n{body(12)}")


def test_half_typed_code_is_cut_all_the_same() -> None:
    check(f"def first(:\n{body(12)}\n{CUT}def second():\n{body(12)}")
    check(f"def first():\n{body(12)}\n{CUT}def second(self, x=[\n{body(12)}")
    check(f'x = """\ndef first():\n{body(12)}\n{CUT}def second():\n{body(12)}')


def test_long_lines_make_small_chunks() -> None:
    line = "x = '" + "y" * 300 + "'\n"
    assert [chunk.text for chunk in chunks(line * 7, "python")] == [line * 3, line * 3, line]


def test_other_languages_are_cut_at_blank_lines_with_little_indentation() -> None:
    function = "func {}() {{\n" + body(6, "\t") + "\n" + body(4, "\t") + "}}\n\n"
    check(f"{function.format('A')}{CUT}// About B.\n{function.format('B')}", "go")


def test_a_closing_bracket_begins_no_chunk() -> None:
    block = "if (a) {\n" + body(12) + "}\n"
    check(f"{block}{CUT}{block}", "c")


def test_a_text_without_any_shape_is_cut_where_it_is_full() -> None:
    line = "word word\n"
    check(f"{line * MAX_LINES}{CUT}{line * 5}", "markdown")


def test_only_line_feeds_end_lines() -> None:
    text = "a\fb\x0bc\u2028d\x85e\rf\n" * 30
    assert [chunk.first_line for chunk in chunks(text, "python")] == [0, 20]


def test_no_text_has_no_chunks() -> None:
    assert chunks("", "python") == ()


LINE = st.one_of(
    st.text("ab ()[]{}:=#@\"'\\\t,.\f\r\u2028é\U0001f600\ud800", max_size=12),
    st.sampled_from(
        ["def f():", "class A:", "@dec", "if x:", "else:", "try:", '"""', "# note", ""]
    ),
    st.just("x" * (MAX_CHARS // 2)),
)
TEXT = st.lists(
    st.builds(lambda n, line: "    " * n + line, st.integers(0, 4), LINE), max_size=80
).flatmap(lambda lines: st.sampled_from(["\n".join(lines), "\n".join([*lines, ""])]))


@given(TEXT, st.sampled_from([*(language.id for language in LANGUAGES), "unknown"]))
def test_joined_chunks_are_the_text_and_each_keeps_the_bounds(text: str, language: str) -> None:
    found = chunks(text, language)

    assert "".join(chunk.text for chunk in found) == text
    n_lines = 0
    for chunk in found:
        assert chunk.first_line == n_lines
        n_lines_here = len(chunk.text.rstrip("\n").split("\n")) if chunk.text.strip("\n") else 1
        assert chunk.text.endswith("\n") or chunk is found[-1]
        assert chunk.text.count("\n") <= MAX_LINES
        assert n_lines_here <= 1 or len(chunk.text) <= MAX_CHARS or chunk.text.count("\n") == 1
        n_lines += chunk.text.count("\n")


@given(TEXT)
def test_the_same_text_always_gives_the_same_chunks(text: str) -> None:
    first = chunks(text, "python")
    chunks.cache_clear()

    assert chunks(text, "python") == first


def test_without_a_grammar_python_is_cut_at_blank_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        f"def first():\n{body(9)}\n\ndef second():\n{body(9)}\n\nx = [\n\n" + "    1,\n" * 9 + "]\n"
    )
    monkeypatch.setattr(importlib, "import_module", _no_module)
    chunks_module._grammar.cache_clear()
    chunks.cache_clear()
    try:
        found = chunks(text, "python")
    finally:
        chunks_module._grammar.cache_clear()
        chunks.cache_clear()

    assert "".join(chunk.text for chunk in found) == text
    assert [chunk.text.split("\n")[0] for chunk in found] == [
        "def first():",
        "def second():",
        "x = [",
    ]


def _no_module(name: str) -> None:
    raise ImportError(name)


def test_the_parser_is_imported_only_when_it_is_needed() -> None:
    program = (
        "import sys\nfrom tabby_lsp.index.chunks import chunks\nchunks('x = 1\\n', 'go')\n"
        "assert 'tree_sitter' not in sys.modules\n"
        "chunks('x = 1\\n', 'python')\nassert 'tree_sitter' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("piece", ["(", "[\n", "def f():\n", '"""', "a b c\n", "if x:\n", "\n"])
@pytest.mark.timeout(100)
def test_no_text_as_large_as_a_file_may_be_takes_long(piece: str) -> None:
    text = piece * (256 * 1024 // len(piece))
    assert "".join(chunk.text for chunk in chunks(text, "python")) == text
