"""Holes are where people type, and what they take out is what would be typed there."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from training.positions import Hole, hole

CODE = '''\
"""What is here, in words of some length."""

class Shelf:
    def __init__(self, path):
        self.path = path
        self.books = []

    def find(self, title):
        for book in self.books:
            if book.title == title:
                return (book)
        return None
'''


def starts_of(text: str) -> list[int]:
    return [0, *(i + 1 for i, c in enumerate(text[:-1]) if c == "\n")]


def holes(text: str, n: int) -> list[Hole]:
    random = Random(1)
    found = (hole(text, starts_of(text), random) for _ in range(n))
    return [each for each in found if each]


def test_most_are_the_rest_of_a_line() -> None:
    found = holes(CODE, 2_000)
    lines = [CODE[each.start : each.end] for each in found if each.kind == "line"]
    assert len(lines) > 0.7 * len(found)
    assert not any("\n" in line for line in lines)
    whole = [each for each in found if each.kind == "line" and CODE[each.end] == "\n"]
    assert len(whole) > 0.8 * len(lines)


def test_a_closed_bracket_stays_sometimes() -> None:
    kept = {CODE[each.end : each.end + 2] for each in holes(CODE, 4_000) if each.kind == "line"}
    assert {"):", "]\n", ")\n"} <= kept


def test_blocks_end_where_the_indentation_does() -> None:
    blocks = {CODE[each.start : each.end] for each in holes(CODE, 4_000) if each.kind == "block"}
    assert "self.path = path\n        self.books = []" in blocks
    assert "if book.title == title:\n                return (book)" in blocks
    assert "return (book)" in blocks


def test_prose_is_rare() -> None:
    assert sum(each.start < CODE.index("class") for each in holes(CODE, 2_000)) < 60


@given(st.text(st.sampled_from("ab :\n()'\"#="), min_size=1), st.integers())
def test_a_hole_lies_in_the_text_and_begins_no_indentation(text: str, seed: int) -> None:
    found = hole(text, starts_of(text), Random(seed))
    if found:
        assert 0 <= found.start <= found.end <= len(text)
        line = text[text.rfind("\n", 0, found.start) + 1 : found.start]
        assert (
            line.strip()
            or not text[found.start : found.start + 1].isspace()
            or found.kind == "word"
        )
