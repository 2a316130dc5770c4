"""What the KV cache holds already is not read again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.engines.llama.kv import n_reusable

TOKENS = st.lists(st.integers(0, 3), max_size=12)


def test_a_longer_prompt_reuses_the_one_before() -> None:
    assert n_reusable([1, 2, 3], [1, 2, 3, 4]) == 3


def test_a_divergence_ends_the_reuse() -> None:
    assert n_reusable([1, 2, 3, 4], [1, 2, 9, 4]) == 2


def test_the_last_token_is_always_evaluated() -> None:
    assert n_reusable([1, 2, 3], [1, 2, 3]) == 2
    assert n_reusable([1], [1]) == 0


@given(held=TOKENS, wanted=TOKENS.filter(bool))
def test_what_is_reused_is_the_longest_common_prefix_short_of_the_last_token(
    held: list[int], wanted: list[int]
) -> None:
    n = n_reusable(held, wanted)

    assert held[:n] == wanted[:n]
    assert n == len(wanted) - 1 or n == len(held) or held[n] != wanted[n]
