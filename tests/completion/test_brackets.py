"""What is left open, what is a comment and what opens a block, in strings, comments and code."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.completion.brackets import Pairs, comment_at, opener_of, pair_up


@pytest.mark.parametrize(
    ("code", "pairs"),
    [
        ("f(a, [b])", Pairs("", 0, None)),
        ("f(a, [b", Pairs("([", 0, None)),
        ("b]), c)", Pairs("", 3, None)),
        ("(]", Pairs("(", 1, None)),
        ("} else {", Pairs("{", 1, None)),
        ('f("(")', Pairs("", 0, None)),
        ('f("(', Pairs("(", 0, 2)),
        (r'f("\")")', Pairs("", 0, None)),
        (r'"\"', Pairs("", 0, 0)),
        ('"""(\n"', Pairs("", 0, 0)),
        ('"""(\n""")', Pairs("", 1, None)),
        ("# don't\nf(", Pairs("(", 0, None)),
        ("`${f(`", Pairs("", 0, None)),
        ("", Pairs("", 0, None)),
    ],
)
def test_halves_without_the_other_are_found(code: str, pairs: Pairs) -> None:
    assert pair_up(code, "python") == pairs


@pytest.mark.parametrize(
    ("code", "pairs"),
    [
        ("fn f<'a>(x: &'a str", Pairs("(", 0, None)),
        ("if c == '(' {", Pairs("{", 0, None)),
        (r"f('\'', '\u{28}'", Pairs("(", 0, None)),
        ("x = '", Pairs("", 0, None)),
        ('f("', Pairs("(", 0, 2)),
    ],
)
def test_a_prime_is_no_quote_in_rust(code: str, pairs: Pairs) -> None:
    assert pair_up(code, "rust") == pairs


@pytest.mark.parametrize(
    ("code", "language", "start"),
    [
        ("x = 1  # note", "python", 7),
        ("x = '#' # note", "python", 8),
        ("x = '#'", "python", None),
        ("a // b", "python", None),
        ("a // b", "go", 2),
        ("fn f<'a>() // note", "rust", 11),
        ("# h", "plaintext", None),
        ("# h", "", None),
        ("/* c */", "css", None),
    ],
)
def test_a_comment_begins_outside_of_strings(code: str, language: str, start: int | None) -> None:
    assert comment_at(code, language) == start


@pytest.mark.parametrize(
    ("line", "language", "opener"),
    [
        ("def f(a: int) -> str:", "python", ":"),
        ("    async with a as b:  # note", "python", ":"),
        (") -> None:", "python", ":"),
        ("else:", "python", ":"),
        ("f(a, {", "python", "{"),
        ("x = [  # note", "python", "["),
        ("x: ", "python", ""),
        ("if a[1:", "python", ""),
        ("key = lambda x:", "python", ""),
        ("# for all:", "python", ""),
        ("define:", "python", ""),
        ('s = "(', "python", ""),
        ("f(a)", "python", ""),
        ("", "python", ""),
        ("if (a) {", "javascript", "{"),
        ("f(() => {", "javascript", "{"),
        ("case 1:", "javascript", ""),
        ("func f() { // note", "go", "{"),
    ],
)
def test_a_block_is_opened_at_the_end_of_code(line: str, language: str, opener: str) -> None:
    assert opener_of(line, language) == opener


@given(st.text(alphabet="()[]{}\"'`\\\n\ra#"))
def test_no_text_is_too_odd(text: str) -> None:
    pairs = pair_up(text, "python")
    assert len(pairs.left_open) + pairs.n_unopened <= sum(text.count(mark) for mark in "()[]{}")
    comment = comment_at(text, "python")
    assert comment is None or text[comment] == "#"


@pytest.mark.parametrize("unit", ['"', "\\", '\\"', "(", ")", "'\"", '"""', "'''\\", "if :", "`"])
def test_odd_texts_cost_no_more_than_plain_ones(unit: str) -> None:
    text = unit * (20_000 // len(unit))
    started_s = time.process_time()
    pair_up(text, "python")
    opener_of(text, "python")
    assert time.process_time() - started_s < 3
