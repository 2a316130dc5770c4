"""A model is given the user's document without the secrets in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.completion.discretion import (
    further_without_secrets,
    sides_without_secrets,
    without_secrets,
)
from tabby_lsp.secrets import holds_secret

AWS = "AKIA" + "Q7ZP2LMV9XKD4TRE"  # in two parts, so that no scanner takes this file for a leak


VALUE = "Tr0ub4dor" + "&3-kX9q"
IN_TWO_LINES = (
    f'password = (\n    "{VALUE}"\n)',
    f"- name: DB_PASSWORD\n  value: {VALUE}",
    f'variable "password" {{\n  default = "{VALUE}"\n}}',
    f'"name": "PASSWORD",\n"value": "{VALUE}"',
)


def check(before: str, after: str) -> None:
    assert without_secrets(before) == after


def check_sides(before: str, after: str) -> None:
    """With the cursor drawn as `|`."""
    prefix, suffix = before.split("|")
    assert "|".join(sides_without_secrets(prefix, suffix)) == after


def test_code_stays_as_it_is() -> None:
    code = "def add(a, b):\n    return a + b\n\ntoken = tokens[0]\r\n\tpassword = read()\n"

    check(code, code)


def test_a_value_is_hidden_and_its_name_is_kept() -> None:
    check(f'import os\n    KEY = "{AWS}"\nx = 1\n', "import os\n    KEY = ...\nx = 1\n")


def test_a_secret_in_a_call_is_hidden() -> None:
    check(f'login("bob", "{AWS}")\n', "login(...\n")


def test_a_private_key_leaves_only_its_line_ends() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc/de\n-----END RSA PRIVATE KEY-----"

    check(f"a\n{key}\nb\n", "a\n\n\n\n\nb\n")


def test_a_private_key_that_the_window_cuts_off_is_hidden_too() -> None:
    check("a\n-----BEGIN PRIVATE KEY-----\nMIIEow\nabc", "a\n\n\n")


def test_code_below_the_mention_of_a_key_is_kept() -> None:
    check(
        'if text.startswith("-----BEGIN PRIVATE KEY-----"):\n    return parse(text)\n',
        'if text.startswith("\n    return parse(text)\n',
    )


def test_of_what_lies_further_off_the_edges_are_left_out() -> None:
    lines = [f"line {n}\n" for n in range(30)]
    secret = [*lines[:12], f'KEY = "{AWS}"\n', *lines[12:]]

    assert further_without_secrets("".join(lines)) == "".join(lines[6:-6])
    assert further_without_secrets("".join(lines[:12])) == ""
    shown = "".join([*lines[6:12], "KEY = ...\n", *lines[12:-6]])
    assert further_without_secrets("".join(secret)) == shown


@pytest.mark.parametrize("secret", IN_TWO_LINES)
def test_a_value_that_is_cut_off_from_its_name_is_left_out(secret: str) -> None:
    lines = [*secret.splitlines(keepends=True), *(f"\nline_{n} = {n}" for n in range(20))]
    for n_above in range(1, len(secret.splitlines())):
        assert VALUE not in further_without_secrets("".join(lines[n_above:]))


def test_line_ends_are_kept() -> None:
    check(f'KEY = "{AWS}"\r\nx = 1\r\n', "KEY = ...\r\nx = 1\r\n")


def test_a_secret_in_two_lines_takes_nothing_else_along() -> None:
    check(
        f'password = (\n    "{VALUE}"\n)\n\n\ndef add(a, b):\n    return a ',
        "\n\n)\n\n\ndef add(a, b):\n    return a ",
    )


@pytest.mark.parametrize("n_above", range(26, 34))
@pytest.mark.parametrize("secret", IN_TWO_LINES)
def test_a_secret_in_two_lines_is_hidden_wherever_it_stands(secret: str, n_above: int) -> None:
    shown = without_secrets("x = 1\n" * n_above + secret + "\ny = 2\n")

    assert VALUE not in shown
    assert shown.startswith("x = 1\n" * n_above)
    assert shown.endswith("\ny = 2\n")


def test_a_value_below_the_cursor_that_is_named_above_it_is_hidden() -> None:
    check_sides(f"- name: DB_PASSWORD|\n  value: {VALUE}\n", "- name: DB_PASSWORD|\n\n")
    check_sides(f'password = (\n|    "{VALUE}"\n)\n', "\n|\n)\n")
    check_sides(f'x = 1\npassword = (|\n    "{VALUE}")\ny', "x = 1\npassword = (|\n\ny")


def test_both_sides_of_a_cursor_stay_as_they_are() -> None:
    for code in ("|", "a|", "|b", "x = f(|)\ny\n", "x\r\n|\r\ny"):
        check_sides(code, code)


LINES = st.lists(
    st.sampled_from([f'k = "{AWS}"', "x = 1", "", "é", "'''", 'password = "', *IN_TWO_LINES])
)


@given(st.integers(0, 40), LINES)
def test_no_secret_is_left_and_no_line_is_lost(n_plain: int, lines: list[str]) -> None:
    text = "\n".join(["x = 1"] * n_plain + lines)
    shown = without_secrets(text)

    assert AWS not in shown
    assert VALUE not in shown
    assert not holds_secret(shown)
    assert shown.count("\n") == text.count("\n")


@given(st.integers(0, 40), LINES, LINES)
def test_no_secret_is_left_on_two_sides(n_plain: int, above: list[str], below: list[str]) -> None:
    prefix = "\n".join(["x = 1"] * n_plain + above) + "\n"
    shown = sides_without_secrets(prefix, "\n".join(below))

    assert AWS not in "".join(shown)
    assert VALUE not in "".join(shown)
    assert [side.count("\n") for side in shown] == [
        prefix.count("\n"),
        "\n".join(below).count("\n"),
    ]
