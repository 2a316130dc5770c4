"""What the KV cache holds already is not read again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.engines.llama.kv import Reuse, best, n_common

TOKENS = st.lists(st.integers(0, 3), max_size=12)


def test_a_longer_prompt_reuses_the_one_before() -> None:
    assert n_common([1, 2, 3], [1, 2, 3, 4]) == 3


def test_a_divergence_ends_the_reuse() -> None:
    assert n_common([1, 2, 3, 4], [1, 2, 9, 4]) == 2


@given(held=TOKENS, wanted=TOKENS)
def test_what_is_common_is_the_longest_common_prefix(held: list[int], wanted: list[int]) -> None:
    n = n_common(held, wanted)

    assert held[:n] == wanted[:n]
    assert n == len(wanted) or n == len(held) or held[n] != wanted[n]


@given(n_same=st.integers(0, 600), n_held=st.integers(0, 600), n_wanted=st.integers(0, 600))
def test_long_prompts_are_no_exception(n_same: int, n_held: int, n_wanted: int) -> None:
    same = [*range(n_same)]
    assert n_common(same + [-1] * n_held, same + [-2] * n_wanted) == n_same
    assert n_common(same, same + [-2] * n_wanted) == n_same


@given(held=st.lists(TOKENS, min_size=1, max_size=4), wanted=TOKENS)
def test_the_sequence_with_most_is_taken_and_the_last_of_equals(
    held: list[list[int]], wanted: list[int]
) -> None:
    common = [n_common(tokens, wanted) for tokens in held]
    number = len(held) - 1 - common[::-1].index(max(common))

    assert best(dict(enumerate(held)), wanted) == Reuse(number, max(common))
