"""What is parked is found again by what it has in common with a prompt, within its bytes."""

from __future__ import annotations

from mmap import mmap

from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.engines.llama.kv import n_common
from tabby_lsp.engines.llama.parking import Parked, Parking


def parked(first: int, n_tokens: int = 100, n_bytes: int = 10, client: str = "") -> Parked:
    return Parked([first] * n_tokens, mmap(-1, n_bytes), n_tokens, client)


def test_what_has_most_of_a_prompt_is_found() -> None:
    parking = Parking(100)
    parking.put(parked(1))
    parking.put(parked(2))
    found = parking.best([2] * 50 + [9])

    assert found is not None
    assert (found[0].tokens[0], found[1]) == (2, 50)
    assert parking.best([9]) is None


def test_the_one_not_used_for_longest_goes_first() -> None:
    parking = Parking(25)
    first = parked(1)
    for each in (first, parked(2)):
        parking.put(each)
    parking.touch(first)
    parking.put(parked(3))

    assert [parking.best([n]) is not None for n in (1, 2, 3)] == [True, False, True]


def test_who_goes_through_many_files_drives_out_nobody_elses() -> None:
    parking = Parking(60)
    for first in (1, 2):
        parking.put(parked(first, client="a"))
    for first in range(3, 30):
        parking.put(parked(first, client="b"))

    kept = [n for n in range(30) if parking.best([n]) is not None]
    assert kept == [1, 2, 26, 27, 28, 29]


def test_who_has_most_makes_room_for_others() -> None:
    parking = Parking(60)
    for first in range(6):
        parking.put(parked(first, client="a"))
    for first in range(6, 9):
        parking.put(parked(first, client="b"))

    assert [n for n in range(9) if parking.best([n]) is not None] == [3, 4, 5, 6, 7, 8]


def test_a_longer_version_takes_the_place_of_the_older_one() -> None:
    parking = Parking(100)
    parking.put(parked(1, n_tokens=100))
    parking.put(parked(1, n_tokens=300))

    assert parking.n_bytes == 10
    assert parking.has([1] * 310)
    assert not parking.has([1] * 900)


def test_nothing_is_kept_where_nothing_may_be() -> None:
    parking = Parking(0)

    assert not parking.takes(1)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.integers(1, 300), st.integers(1, 100), st.sampled_from("abc")
        ),
        max_size=30,
    )
)
def test_never_more_than_so_many_bytes(every: list[tuple[int, int, int, str]]) -> None:
    parking = Parking(100)
    for first, n_tokens, n_bytes, client in every:
        each = parked(first, n_tokens, n_bytes, client)
        parking.put(each)
        found = parking.best(each.tokens)

        assert parking.n_bytes <= 100
        assert found is not None
        assert n_common(found[0].tokens, each.tokens) == n_tokens
