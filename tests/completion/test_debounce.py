"""How long to wait for the next key: by pace, place and the server's own time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.completion.debounce import Pace, delay_ms
from tests.completion.drawn import cursor_in


def check(drawn: str, expected_ms: float, pace: Pace | None = None, response_ms: float = 0) -> None:
    """At the cursor in this document, so long is waited."""
    assert delay_ms(pace or Pace(), cursor_in(drawn), response_ms) == pytest.approx(expected_ms)


def typing(*intervals_ms: float) -> Pace:
    pace = Pace()
    for interval_ms in intervals_ms:
        pace = pace.after(interval_ms)
    return pace


def test_the_place_says_how_likely_somebody_waits() -> None:
    check("x = a║b\ny\n", 600)
    check("x = ab║\ny\n", 480)
    check("x = foo(║bar\ny\n", 450)
    check("x = foo(║)\ny\n", 330)
    check("x = foo║\n", 450)
    check("x = foo(║)\n", 300)
    check("║", 300)


def test_what_the_server_takes_is_waited_already() -> None:
    check("x = foo║\ny\n", 380, response_ms=100)
    check("x = foo║\ny\n", 100, response_ms=5_000)


def test_a_pace_counts_after_twenty_keys() -> None:
    check("x = foo(║)\n", 300, typing(*[120.0] * 20))
    check("x = foo(║)\n", 180, typing(*[120.0] * 21))


def test_a_break_says_nothing_of_typing() -> None:
    check("x = foo(║)\n", 180, typing(*[120.0, 90_000.0] * 21))


def test_the_last_hundred_keys_count() -> None:
    check("x = foo(║)\n", 150, typing(*[400.0] * 500, *[100.0] * 100))


@given(st.lists(st.floats(0, 10_000), max_size=300), st.floats(0, 100_000), st.text(), st.text())
def test_it_is_never_less_than_a_tenth_of_a_second_nor_more_than_one(
    intervals_ms: list[float], response_ms: float, prefix: str, suffix: str
) -> None:
    drawn = prefix.replace("║", "") + "║" + suffix.replace("║", "")
    delay = delay_ms(typing(*intervals_ms), cursor_in(drawn), response_ms)
    assert 100 <= delay <= 1_000
