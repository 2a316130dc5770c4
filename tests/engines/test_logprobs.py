"""What is made of what servers tell of single tokens."""

from __future__ import annotations

import json

import pytest

from tabby_lsp.domain import TokenLogprobs
from tabby_lsp.engines.remote.logprobs import columns_at, tokens_at
from tests.engines.asking import token


@pytest.mark.parametrize(
    "value",
    [None, 5, "x", [], {}, [5, None, "x", [], {}], [{"token": "a"}], [{"logprob": "a"}],
     [{"token": "a", "logprob": None}], [{"token": "a", "logprob": True}],
     [{"token": "a", "logprob": float("nan")}], [{"token": "a", "logprob": 10**400}]],
    ids=str,
)  # fmt: skip
def test_what_has_no_logarithm_is_absent(value: object) -> None:
    assert tokens_at({"logprobs": value}, "logprobs") == ()
    assert columns_at({"logprobs": {"content": value}}, "logprobs") == ()
    assert columns_at({"logprobs": value}, "logprobs") == ()


@pytest.mark.parametrize(
    "told", [None, 5, [], ["a"], [256], [-1], [1.5], [True], {"0": 97}], ids=str
)
def test_bytes_that_are_none_are_those_of_the_text(told: object) -> None:
    entry = {"token": "é", "logprob": -1, "bytes": told}
    assert tokens_at([entry]) == (token("é", -1.0),)


def test_a_token_may_be_half_a_character() -> None:
    half = {"token": "\ufffd", "logprob": -1, "bytes": [0xC3]}
    lone = {"token": json.loads('"\\ud800"'), "logprob": -1}
    assert tokens_at([half, lone]) == (TokenLogprobs("\ufffd", b"\xc3", -1.0, ()), token("?", -1.0))


@pytest.mark.parametrize("others", [None, 5, [], ["x"], [{"x": "y"}], [{"x": None}]], ids=str)
def test_columns_of_different_lengths_are_as_long_as_both(others: object) -> None:
    columns = {"tokens": ["a", 5, "b", "c"], "token_logprobs": [-1.0, -2.0, None]}
    assert columns_at(columns | {"top_logprobs": others}) == (token("a", -1.0),)


def test_a_llama_server_has_its_chats_list_in_the_place_of_columns() -> None:
    assert columns_at({"content": [{"token": "a", "logprob": -1}]}) == (token("a", -1.0),)
