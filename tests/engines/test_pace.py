"""What so many tokens take together is learned from what they have taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.engines.llama.pace import Pace

TIMES_S = st.floats(1e-6, 10.0)


def learned(**seconds: float) -> Pace:
    """By `n4=2.0` for four tokens in two seconds."""
    pace = Pace()
    for name, took_s in seconds.items():
        pace.took(int(name[1:]), took_s)
    return pace


def test_what_was_measured_is_expected() -> None:
    pace = learned(n1=1.0, n2=1.5, n4=2.0)

    assert pace.one_s() == 1.0
    assert pace.more_s(1, 1) == pytest.approx(0.5)
    assert pace.more_s(2, 2) == pytest.approx(0.5)


def test_between_two_sizes_it_grows_evenly() -> None:
    assert learned(n1=1.0, n2=2.0, n6=4.0).more_s(2, 2) == pytest.approx(1.0)


def test_what_was_never_measured_is_worth_a_try() -> None:
    pace = learned(n1=1.0)

    assert 0 < pace.more_s(1, 1) < 0.5
    assert pace.more_s(1, 7) == pytest.approx(7 * pace.more_s(1, 1))


def test_tokens_behind_a_prompt_take_what_its_own_take() -> None:
    assert learned(n1=1.0, n500=50.0).more_s(500, 3) == pytest.approx(0.3)


def test_a_time_that_something_else_made_longer_counts_for_little() -> None:
    pace = learned(n1=1.0)
    pace.took(1, 1_000.0)

    assert pace.one_s() <= 1.2


def test_what_was_measured_long_ago_is_tried_again() -> None:
    pace = learned(n1=1.0)
    for _ in range(10):
        pace.took(8, 50.0)
    assert pace.more_s(1, 7) == pytest.approx(49.0)
    for _ in range(600):
        pace.took(1, 1.0)

    assert pace.more_s(1, 7) < 3.0


def test_a_first_time_that_was_too_long_is_forgotten_soon() -> None:
    pace = learned(n1=1.0, n8=50.0)
    for _ in range(60):
        pace.took(1, 1.0)

    assert pace.more_s(1, 7) < 3.0


@given(st.dictionaries(st.integers(1, 40), TIMES_S, max_size=8), st.integers(1, 30))
def test_more_never_takes_less(seconds: dict[int, float], n_tokens: int) -> None:
    pace = Pace()
    for n, took_s in seconds.items():
        pace.took(n, took_s)

    assert all(pace.more_s(n_tokens, n_more) >= 0 for n_more in range(8))
