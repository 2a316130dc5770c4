"""Cells are given out as llama.cpp does it: the lowest free one first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.engines.llama.cells import Cells


def test_a_sequence_alone_stands_in_the_order_of_its_tokens() -> None:
    cells = Cells(8)
    held = cells.take(4)
    cells.free(held[2:])

    assert held[:2] + cells.take(3) == [0, 1, 2, 3, 4]


def test_what_two_sequences_hold_is_free_when_both_are_gone() -> None:
    cells = Cells(4)
    held = cells.take(2)
    cells.share(held)
    cells.free(held)
    assert cells.take(1) == [2]
    cells.free(held)
    assert cells.take(2) == [0, 1]


def test_behind_a_hole_nothing_is_in_order() -> None:
    cells = Cells(8)
    first = cells.take(3)
    fork = cells.take(2)
    first += cells.take(2)
    assert cells.n_in_order(first) == 5
    cells.free(fork)
    assert cells.n_in_order(first) == 3


@given(st.lists(st.integers(1, 5), max_size=20), st.data())
def test_no_cell_is_given_twice_and_none_below_is_free(
    sizes: list[int], data: st.DataObject
) -> None:
    cells, held = Cells(100), [list[int]()]
    for size in sizes:
        held.append(cells.take(size))
        if data.draw(st.booleans()):
            cells.free(held.pop(data.draw(st.integers(0, len(held) - 1))))
    every = [cell for taken in held for cell in taken]

    assert len(every) == len(set(every)) == cells.n_used
    assert cells.take(1) == [min(set(range(100)) - set(every))]
