"""The laws of post-processing, for any text at any cursor."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.completion.cursor import Cursor
from tabby_lsp.completion.postprocess import FILTERS, postprocess
from tabby_lsp.completion.stops import CONTROL_PIECE

if TYPE_CHECKING:
    from tabby_lsp.completion.trigger import Scope

PIECES = (
    *("a", "ab", "b", "é", "0, ", "return x", "\n    return x", "if a:\n", "def f():"),
    *(" ", "  ", "    ", "\t", "\n", "\r\n", "\r", "\x0c"),
    *("(", ")", "{", "}", "[", "]", "'", '"', '"""', "`", "\\", "#", ":", ",", ";", "."),
    *("```", "```py\n", "<|", "|>", "<|fim", "<fim_middle>", "<file_sep>"),
)
pieces = st.sampled_from(PIECES)
texts = st.lists(pieces, max_size=25).map("".join)
cursors = st.builds(
    Cursor,
    prefix=st.lists(pieces, max_size=8).map("".join)
    | st.sampled_from(["def f():\n    ", "def f(", "x = foo(\n    a", "\tif a:", 'print("']),
    suffix=st.lists(pieces, max_size=8).map("".join)
    | st.sampled_from(["", ")\n", '")\n', "\n    return x\n", "):\r\n", "}\n", " a)\n", "b\n"]),
    language=st.sampled_from(["python", "javascript", "markdown", ""]),
)
scopes = st.sampled_from(["line", "block"])


def is_subsequence(needle: str, text: str) -> bool:
    characters = iter(text)
    return all(character in characters for character in needle)


@given(texts, cursors, scopes)
def test_what_is_shown_is_well_formed(text: str, cursor: Cursor, scope: Scope) -> None:
    shown = postprocess(text, cursor, scope)
    if shown is None:
        return
    assert shown.text.strip()
    assert cursor.rest.startswith(shown.replaced)
    assert is_subsequence(shown.replaced, shown.text)
    assert not CONTROL_PIECE.search(shown.text)
    assert not set(shown.text.replace(cursor.line_end, "")) & set("\r\n")
    if scope == "line" or not (cursor.rest_closes or cursor.rest_is_comment):
        assert "\n" not in shown.text and "\r" not in shown.text


@given(texts, cursors, scopes)
def test_what_is_shown_stays_as_it_is(text: str, cursor: Cursor, scope: Scope) -> None:
    shown = postprocess(text, cursor, scope)
    if shown is not None:
        assert postprocess(shown.text, cursor, scope) == shown


@given(texts, cursors, scopes)
def test_no_filter_makes_a_text_longer(text: str, cursor: Cursor, scope: Scope) -> None:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    for keep in FILTERS:
        assert len(keep(text, cursor, scope)) <= len(text)


@given(st.text(), st.text(), st.text(), scopes)
def test_no_text_is_too_odd(text: str, prefix: str, suffix: str, scope: Scope) -> None:
    cursor = Cursor(prefix=prefix, suffix=suffix, language="python")
    shown = postprocess(text, cursor, scope)
    assert shown is None or cursor.rest.startswith(shown.replaced)


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        " ",
        "\n",
        "\r",
        "(",
        ")",
        '"',
        '\\"',
        "<|",
        "`",
        "    \n",
        "<fim_",
        "a\n",
        "ab, ",
        '")',
        "#",
    ],
)
@pytest.mark.parametrize("rest", ["", ")" * 20_000, '"' * 20_000, "a" * 20_000, " " * 20_000 + "x"])
@pytest.mark.parametrize("scope", ["line", "block"])
def test_odd_texts_cost_no_more_than_plain_ones(unit: str, rest: str, scope: Scope) -> None:
    text = unit * (20_000 // len(unit))
    cursor = Cursor(
        prefix=f"{text}\nif a:\n    {text}", suffix=f"{rest}\n{text}", language="python"
    )
    started_s = time.process_time()
    postprocess(text, cursor, scope)
    assert time.process_time() - started_s < 3
