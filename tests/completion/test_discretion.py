"""A model is given the user's document without the secrets in it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.completion.discretion import without_secrets
from tabby_lsp.secrets import holds_secret

AWS = "AKIA" + "Q7ZP2LMV9XKD4TRE"  # in two parts, so that no scanner takes this file for a leak


def check(before: str, after: str) -> None:
    assert without_secrets(before) == after


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


def test_line_ends_are_kept() -> None:
    check(f'KEY = "{AWS}"\r\nx = 1\r\n', "KEY = ...\r\nx = 1\r\n")


@given(st.lists(st.sampled_from([f'k = "{AWS}"', "x = 1", "", "é", "'''", 'password = "'])))
def test_no_secret_is_left_and_no_line_is_lost(lines: list[str]) -> None:
    text = "\n".join(lines)
    shown = without_secrets(text)

    assert AWS not in shown
    assert not holds_secret(shown)
    assert shown.count("\n") == text.count("\n")
