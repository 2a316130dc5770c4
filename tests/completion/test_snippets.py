"""Which pieces of other files are chosen, and in which order they stand."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.completion import snippets
from tabby_lsp.completion.snippets import MAX_PER_FILE, SourceText, best_snippets, whole_texts
from tabby_lsp.domain import Snippet

if TYPE_CHECKING:
    import re

QUERY = """\
def total_price(basket: Basket) -> Money:
    prices = [line_price(line) for line in basket.lines]
    discount = discount_for(basket.customer)
"""
LINE_PRICE = (
    "def line_price(line: BasketLine) -> Money:\n    return line.product.price * line.count\n"
)
DISCOUNT = "def discount_for(customer: Customer) -> Discount:\n    return customer.level.discount\n"
UNRELATED = "def open_window(title: str) -> Window:\n    return Window(title=title, width=80)\n"


def check(
    sources: dict[str, list[str]],
    expected: list[Snippet],
    query: str = QUERY,
    max_snippets: int = 4,
    max_chars: int = 2_000,
) -> None:
    candidates = [SourceText(path, tuple(chunks)) for path, chunks in sources.items()]
    assert list(best_snippets(query, candidates, max_snippets, max_chars)) == expected


def test_what_shares_words_with_the_text_at_the_cursor_is_chosen() -> None:
    check(
        {"shop/prices.py": [UNRELATED, LINE_PRICE], "ui/window.py": [UNRELATED]},
        [Snippet("shop/prices.py", LINE_PRICE)],
    )


def test_the_most_similar_are_taken_and_stand_in_the_order_of_paths_and_lines() -> None:
    sources = {"z.py": [LINE_PRICE], "a.py": [UNRELATED, DISCOUNT]}
    both = [Snippet("a.py", DISCOUNT), Snippet("z.py", LINE_PRICE)]

    check(sources, both)
    check(dict(reversed(sources.items())), both)
    check(sources, [Snippet("z.py", LINE_PRICE)], query="line_price(product)", max_snippets=1)


def test_of_equally_similar_chunks_the_earlier_candidates_wins() -> None:
    other = LINE_PRICE.replace("return line.product", "return (line.product)")
    check(
        {"near.py": [LINE_PRICE], "far.py": [other]},
        [Snippet("near.py", LINE_PRICE)],
        max_snippets=1,
    )
    check({"far.py": [other], "near.py": [LINE_PRICE]}, [Snippet("far.py", other)], max_snippets=1)


def test_words_inside_names_count() -> None:
    chunk = "class BasketTotals:\n    customerDiscount: Money\n    linePrices: list\n"
    check({"totals.py": [chunk]}, [Snippet("totals.py", chunk)])


def test_keywords_and_short_names_alone_make_nothing_similar() -> None:
    chunk = "def f(x: int) -> None:\n    for i in x:\n        return self.a if x else None\n"
    check(
        {"a.py": [chunk]}, [], query="def g(x: int) -> None:\n    for i in x:\n        return x\n"
    )


def test_one_file_does_not_take_all_the_room() -> None:
    chunks = [
        LINE_PRICE.replace("count", f"count_{i}\n    basket_{i} = customer") for i in range(6)
    ]
    candidates = [SourceText("a.py", tuple(chunks)), SourceText("b.py", (DISCOUNT,))]

    found = best_snippets(QUERY, candidates, 4, 2_000)

    assert [snippet.path for snippet in found] == ["a.py"] * MAX_PER_FILE + ["b.py"]


def test_the_budget_bounds_the_sum_and_what_still_fits_is_taken() -> None:
    check(
        {"a.py": [LINE_PRICE], "b.py": [DISCOUNT]},
        [Snippet("b.py", DISCOUNT)],
        max_chars=max(len(LINE_PRICE), len(DISCOUNT)) - 1,
    )
    check({"a.py": [LINE_PRICE], "b.py": [DISCOUNT]}, [], max_chars=20)
    check({"a.py": [LINE_PRICE]}, [], max_snippets=0)


def test_what_stands_at_the_cursor_already_is_left_out() -> None:
    indented = QUERY.replace("\n", "\n\n")
    check({"copy.py": [indented, LINE_PRICE]}, [Snippet("copy.py", LINE_PRICE)])


def test_a_copy_of_a_chosen_chunk_is_left_out() -> None:
    check(
        {"a.py": [LINE_PRICE], "build/a.py": ["\n" + LINE_PRICE + "\n"]},
        [Snippet("a.py", LINE_PRICE)],
    )


def test_nothing_comes_from_a_file_that_holds_a_secret_anywhere() -> None:
    secret = "password = 'winter-2024-oak'\n"
    check({"a.py": [LINE_PRICE, secret], "b.py": [DISCOUNT]}, [Snippet("b.py", DISCOUNT)])


def test_nothing_comes_from_a_file_whose_secret_lies_across_a_cut() -> None:
    check({"a.py": [LINE_PRICE + "password = (\n", "    'winter-2024-oak'\n)\n"]}, [])


def test_nothing_comes_from_a_file_with_a_secret_name() -> None:
    check({"prices.env": [LINE_PRICE], ".ssh/prices.py": [LINE_PRICE]}, [])


def test_whole_files_are_copied_from_the_nearest_last() -> None:
    secret = "password = 'winter-2024-oak'\n"
    sources = [
        SourceText("a.py", ("a1\n", "a2\n")),
        SourceText("b.py", ("b1\n", secret)),
        SourceText("c.env", ("c1\n",)),
        SourceText("d.py", ("d1\n",)),
    ]
    assert whole_texts(sources, 100) == ("d1\n", "a1\na2\n")
    assert whole_texts(sources, 8) == ("d1", "a1\na2\n")
    assert whole_texts(sources, 6) == ("a1\na2\n",)


def test_snippets_are_whole_lines_without_blank_ones_round_them() -> None:
    check({"a.py": ["\n  \n" + LINE_PRICE.rstrip() + "\n\n\n"]}, [Snippet("a.py", LINE_PRICE)])


def test_without_words_or_candidates_there_is_nothing() -> None:
    check({"a.py": [LINE_PRICE]}, [], query="")
    check({"a.py": [LINE_PRICE]}, [], query="x = 1\n")
    check({"a.py": ["", "\n\n"], "b.py": []}, [])
    check({}, [])


class Counted:
    """A pattern that counts the texts in which it was looked for."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern
        self.n_texts = 0

    def findall(self, text: str) -> list[str]:
        self.n_texts += 1
        found: list[str] = self._pattern.findall(text)
        return found


@pytest.mark.parametrize(("n_chars", "n_read_again"), [(0, 1), (1_000, 3_000)])
def test_chunks_are_read_once_as_long_as_there_is_room_and_mostly_once_after_that(
    n_chars: int, n_read_again: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six thousand of them, and the text at the cursor."""
    padding = "#" * n_chars + str(n_chars)
    files = [
        SourceText(f"{n}.py", tuple(f"name_{n}_{m} = 1  {padding}\n" for m in range(60)))
        for n in range(100)
    ]
    # What was searched before may go.
    for _ in range(3):
        best_snippets(QUERY, files, 4, 2_000)
    counted = Counted(snippets._IDENTIFIER)
    monkeypatch.setattr(snippets, "_IDENTIFIER", counted)
    best_snippets(QUERY, files, 4, 2_000)

    assert counted.n_texts <= n_read_again


WORDS = st.lists(st.sampled_from(["price", "basket", "x", "def", "line_count", "\n", " "]))
SOURCES = st.lists(
    st.builds(
        SourceText,
        st.sampled_from(["a.py", "b/c.py", "d.py", "e.py"]),
        st.lists(WORDS.map(" ".join), max_size=5).map(tuple),
    ),
    max_size=6,
)


@given(WORDS.map(" ".join), SOURCES, st.integers(0, 5), st.integers(0, 200))
def test_the_bounds_hold_and_the_answer_is_always_the_same(
    query: str, candidates: list[SourceText], max_snippets: int, max_chars: int
) -> None:
    found = best_snippets(query, candidates, max_snippets, max_chars)

    assert len(found) <= max_snippets
    assert sum(len(snippet.text) for snippet in found) <= max_chars
    assert [snippet.path for snippet in found] == sorted(snippet.path for snippet in found)
    assert found == best_snippets(query, candidates, max_snippets, max_chars)


def test_twenty_files_of_three_hundred_lines_are_searched_between_two_keys() -> None:
    chunks = [
        tuple(
            "".join(f"def name_{n}_{c}_{i}(value_{i}): return other_{c}\n" for i in range(12))
            for c in range(25)
        )
        for n in range(20)
    ]
    candidates = [SourceText(f"{n}.py", texts) for n, texts in enumerate(chunks)]
    query = "def name_3_4_5(value_7):\n    return other_9(value_3)\n" * 9
    best_snippets(query, candidates, 4, 2_000)

    times_ms = []
    for _ in range(10):
        start = time.process_time()
        assert best_snippets(query, candidates, 4, 2_000)
        times_ms.append(1_000 * (time.process_time() - start))

    assert min(times_ms) < 5
