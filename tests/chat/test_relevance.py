"""Which pieces of code a question in plain words is about."""

from __future__ import annotations

from tabby_lsp.chat.relevance import File, relevant

FILES: list[File] = [
    (
        "gate.py",
        ("def check_host(headers):\n    return headers['host']\n", "def other():\n    x\n"),
    ),
    ("sums.py", ("def total(values):\n    return sum(values)\n",)),
    ("names.js", ("function parseHeaders(raw) {\n  return raw.split()\n}\n",)),
]


def check(question: str, *expected: str, max_snippets: int = 4, max_chars: int = 3_000) -> None:
    found = relevant(question, FILES, max_snippets, max_chars)
    assert [f"{each.path}: {each.text.split('(')[0]}" for each in found] == list(expected)


def test_a_question_meets_the_words_inside_names() -> None:
    check("Where is the host?", "gate.py: def check_host")


def test_the_plural_is_the_same_word() -> None:
    check("header", "gate.py: def check_host", "names.js: function parseHeaders")


def test_a_rare_word_counts_for_more_than_a_common_one() -> None:
    files: list[File] = [*FILES, ("loop.py", ("return\n" * 9,))]
    assert relevant("return total", files, 1, 3_000)[0].path == "sums.py"


def test_a_question_that_shares_no_word_finds_nothing() -> None:
    check("Why is the sky blue?")
    check("")
    assert relevant("host", [], 4, 3_000) == ()


def test_words_of_questions_find_nothing() -> None:
    check("How does this work, and why?")


def test_what_does_not_fit_makes_room_for_the_next() -> None:
    check("return total", "sums.py: def total", max_snippets=1)
    check("return total", max_chars=10)


def test_a_file_gives_two_pieces_at_the_most() -> None:
    files: list[File] = [("a.py", tuple(f"host = {n}\n" for n in range(5)))]
    assert len(relevant("host", files, 4, 3_000)) == 2
