"""Copies are found, exact and near, and nothing else is."""

from __future__ import annotations

import numpy as np

from training.dedup import near_copies, rows_of_words, share_in, union

WORDS = [f"name_{n} = call_{n % 7}({n}, other_{n * n % 31})" for n in range(120)]
TEXT = "\n".join(WORDS)


def test_layout_does_not_count() -> None:
    indented = "\n".join(f"    {line}  " for line in WORDS)
    assert np.array_equal(rows_of_words(TEXT), rows_of_words(indented))


def test_a_copy_with_a_changed_line_is_left_out() -> None:
    changed = TEXT.replace(WORDS[50], "nothing(of, the, kind)")
    other = TEXT.replace("name", "other").replace("call", "fetch")
    files = [rows_of_words(text) for text in (TEXT, other, changed, TEXT)]
    assert near_copies(files) == {2, 3}


def test_half_a_copy_stays() -> None:
    half = "\n".join(
        [*WORDS[:60], *(f"something({n}).different[{n}] + entirely" for n in range(60))]
    )
    assert near_copies([rows_of_words(TEXT), rows_of_words(half)]) == set()


def test_files_too_short_to_tell_stay() -> None:
    assert near_copies([rows_of_words("a = 1"), rows_of_words("a = 1")]) == set()


def test_what_a_file_shares_with_others() -> None:
    others = union([rows_of_words("\n".join(WORDS[:60])), rows_of_words("print(1)")])
    assert share_in(rows_of_words("\n".join(WORDS[:60])), others) == 1
    assert 0.4 < share_in(rows_of_words(TEXT), others) < 0.5
    assert share_in(rows_of_words("nothing that the others have " * 9), others) == 0
    assert share_in(rows_of_words(""), others) == 0
    assert share_in(rows_of_words(TEXT), union([])) == 0
