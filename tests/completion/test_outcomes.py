"""What is concluded from the documents that follow a suggestion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import assume, example, given
from hypothesis import strategies as st

from tabby_lsp.completion.outcomes import (
    Following,
    Shown,
    accepted,
    begin,
    continues,
    dismissed,
    follow,
    window_chars,
)

if TYPE_CHECKING:
    from tabby_lsp.domain import Fate

OPEN = None


def check(
    drawing: str, *documents: str, fate: Fate | None, n_typed: int = 0, n_accepted: int = 0
) -> Following:
    """Show what is drawn, let the documents follow, and compare what was concluded.

    `├text┤` is a suggestion at the cursor, `├text┤rest╣` one that takes the place of `rest`.
    """
    following = after(drawing, *documents)
    concluded = (following.fate, following.n_chars_typed, following.n_chars_accepted)
    assert concluded == (fate, n_typed, n_accepted)
    return following


def after(drawing: str, *documents: str) -> Following:
    shown, document = read(drawing)
    following = begin(shown, seen(shown, document))
    for document in documents:
        following = follow(following, seen(shown, document))
    return following


def read(drawing: str) -> tuple[Shown, str]:
    prefix, rest = drawing.split("├")
    text, suffix = rest.split("┤")
    replaced = suffix.partition("╣")[0] if "╣" in suffix else ""
    shown = Shown(
        id="1",
        uri="file:///project/shop.py",
        line=prefix.count("\n"),
        line_prefix=prefix.rpartition("\n")[2],
        text=text,
        replaced=replaced,
        language="python",
        model="starter",
        is_automatic=True,
    )
    return shown, prefix + suffix.replace("╣", "")


def seen(shown: Shown, document: str) -> str:
    """What of the document the language server passes on."""
    start = sum(map(len, document.splitlines(keepends=True)[: shown.line]))
    return document[start : start + window_chars(shown)]


def keys(prefix: str, text: str, suffix: str) -> list[str]:
    """The documents while `text` is typed, one character after the other."""
    return [prefix + text[:end] + suffix for end in range(1, len(text) + 1)]


def test_a_suggestion_nobody_touches_stays_open() -> None:
    check("x = ├foo(a)┤\n", fate=OPEN)


def test_typing_all_of_it_is_typing_along() -> None:
    check(
        "def f():\n    ├x = 1\n    y = 2┤\n",
        *keys("def f():\n    ", "x = 1\n    y = 2", "\n"),
        fate="typed-along",
        n_typed=15,
    )


def test_typing_some_of_it_leaves_it_open() -> None:
    check("x = ├foo(a)┤\n", *keys("x = ", "fo", "\n"), fate=OPEN, n_typed=2)


def test_all_at_once_is_acceptance() -> None:
    check(
        "if a:\n    ├b()\n    c()┤\n\nd\n",
        "if a:\n    b()\n    c()\n\nd\n",
        fate="accepted",
        n_accepted=11,
    )


def test_all_at_once_after_some_keys_is_acceptance() -> None:
    check("x = ├foo(a)┤\n", "x = f\n", "x = foo(a)\n", fate="accepted", n_typed=1, n_accepted=5)


def test_acceptance_over_the_rest_of_the_line() -> None:
    check("f(├a, b)┤)╣\n", "f(a, b)\n", fate="accepted", n_accepted=5)


def test_acceptance_over_a_rest_that_is_no_closer() -> None:
    check("if ├a == b:┤:╣\n", "if a == b:\n", fate="accepted", n_accepted=7)


def test_acceptance_with_crlf() -> None:
    check(
        "if a:\r\n    ├b()\n    c()┤\r\n",
        "if a:\r\n    b()\r\n    c()\r\n",
        fate="accepted",
        n_accepted=11,
    )


def test_a_word_at_once_is_acceptance_in_part() -> None:
    check("x = ├foo(a)┤\n", "x = foo\n", fate=OPEN, n_accepted=3)
    check("x = ├foo(a)┤\n", "x = foo\n", "x = fooq\n", fate="accepted-in-part", n_accepted=3)


def test_a_line_at_once_is_acceptance_in_part() -> None:
    check("├a()\nb()┤\n", "a()\n", fate=OPEN, n_accepted=3)
    check("├a()\nb()┤\n", "a()\n\n", fate=OPEN, n_accepted=4)


def test_word_after_word_is_acceptance() -> None:
    check("x = ├foo bar┤\n", "x = foo\n", "x = foo bar\n", fate="accepted", n_accepted=7)


def test_a_word_at_once_and_the_rest_typed_is_acceptance_in_part() -> None:
    documents = ["x = foo\n", *keys("x = foo", " bar", "\n")]
    check("x = ├foo bar┤\n", *documents, fate="accepted-in-part", n_typed=4, n_accepted=3)


def test_a_long_piece_of_a_word_is_accepted() -> None:
    check("x = ├foundation┤\n", "x = found\n", fate=OPEN, n_accepted=5)


def test_quick_keys_inside_a_word_are_typed() -> None:
    check("x = ├foundation┤\n", "x = fou\n", fate=OPEN, n_typed=3)


def test_enter_with_its_indentation_is_typed() -> None:
    documents = [*keys("", "if a:", "\n"), "if a:\n        \n"]
    check("├if a:\n        b()┤\n", *documents, fate=OPEN, n_typed=14)


def test_a_tab_of_blanks_is_typed() -> None:
    check("├    return┤\n", "    \n", fate=OPEN, n_typed=4)


def test_another_letter_dismisses() -> None:
    check("x = ├foo┤\n", "x = g\n", fate="dismissed")


def test_another_letter_dismisses_after_some_keys() -> None:
    check("x = ├foo┤\n", *keys("x = ", "fog", "\n"), fate="dismissed", n_typed=2)


def test_backspace_takes_back_what_was_typed() -> None:
    check("x = ├foo┤\n", *keys("x = ", "fo", "\n"), "x = f\n", fate=OPEN, n_typed=1)


def test_undo_takes_back_what_was_accepted() -> None:
    check("x = ├foo bar┤\n", "x = foo\n", "x = \n", fate=OPEN)


def test_backspace_before_it_dismisses() -> None:
    check("x = ├foo┤\n", "x =\n", fate="dismissed")


def test_an_edit_above_dismisses() -> None:
    check("x = 1\ny = ├foo┤\n", "x = 1\nz = 2\ny = \n", fate="dismissed")


def test_an_edit_below_changes_nothing() -> None:
    check("x = ├foo(a)┤\ny\n", "x = f\ny\n", "x = f\nzz\n\ny\n", fate=OPEN, n_typed=1)


def test_typing_goes_on_after_an_edit_below() -> None:
    documents = ["x = f\ny\n", "x = f\nz\n", *keys("x = f", "oo", "\nz\n")]
    check("x = ├foo┤\ny\n", *documents, fate="typed-along", n_typed=3)


def test_what_has_ended_stays_as_it_ended() -> None:
    check("x = ├foo┤\n", "x = g\n", "x = foo\n", fate="dismissed")


def test_a_blank_line_below_is_not_the_text() -> None:
    check("├a()\n\nb()┤\n\n\nc\n", *keys("", "a()", "\n\n\nc\n"), fate=OPEN, n_typed=3)


def test_deleting_a_blank_line_below_writes_nothing() -> None:
    check("├a\nb┤\n\nc\n", "a\n\nc\n", "a\nc\n", fate=OPEN, n_typed=1)


def test_indentation_below_is_not_the_text() -> None:
    check("├a()\n    b()┤\n    bar\n", *keys("", "a()", "\n    bar\n"), fate=OPEN, n_typed=3)


def test_a_closer_of_the_editor_is_no_divergence() -> None:
    check("x = ├f(a)┤\n", "x = f\n", "x = f()\n", fate=OPEN, n_typed=2)
    check("x = ├f(a)┤\n", "x = f\n", "x = f()\n", "x = f(a)\n", fate="typed-along", n_typed=4)


def test_a_closer_of_the_editor_may_come_after_its_key() -> None:
    check("x = ├f(a)┤\n", "x = f\n", "x = f(\n", "x = f()\n", fate=OPEN, n_typed=2)


def test_a_closer_that_the_text_does_not_hold_dismisses() -> None:
    check("x = ├foo┤\n", "x = )\n", fate="dismissed")


def test_typing_over_a_closer_of_the_editor() -> None:
    documents = ["x = f\n", "x = f()\n", "x = f(a)\n", "x = f(a) \n", "x = f(a) +\n"]
    check("x = ├f(a) + 1┤\n", *documents, fate=OPEN, n_typed=6)


def test_typing_over_a_closer_that_stood_there() -> None:
    documents = ["g(a)\n", "g(a) \n", "g(a) +\n"]
    check("g(├a) + 1┤)\n", *documents, fate=OPEN, n_typed=4)


def test_typing_a_closer_before_one_that_stood_there() -> None:
    documents = keys("g(", "f(a) + 1", ")\n")
    check("g(├f(a) + 1┤)\n", *documents, fate="typed-along", n_typed=8)


def test_a_closer_that_stood_there_is_not_the_last_character() -> None:
    check("g(├f(a)┤)\n", *keys("g(", "f(a", ")\n"), fate=OPEN, n_typed=3)


def test_enter_between_a_pair_of_the_editor() -> None:
    documents = ["x = f\n", "x = f()\n", "x = f(\n    \n)\n", "x = f(\n    a\n)\n"]
    check("x = ├f(\n    a,\n)┤\n", *documents, fate=OPEN, n_typed=8)


def test_backspace_takes_a_pair_away() -> None:
    check("x = ├f(a)┤\n", "x = f\n", "x = f()\n", "x = f\n", fate=OPEN, n_typed=1)


def test_a_suggestion_for_another_text_has_ended_before_it_began() -> None:
    shown, _ = read("x = ├foo┤\n")
    assert begin(shown, "y = \n").fate == "dismissed"


def test_the_command_confirms_what_was_seen() -> None:
    following = check("x = ├foo┤\n", "x = foo\n", fate="accepted", n_accepted=3)
    assert accepted(following) == following


def test_the_command_comes_before_the_edit() -> None:
    shown, document = read("x = ├f┤\n")
    following = accepted(accepted(begin(shown, document)))
    assert following.fate is None
    following = follow(following, "x = f\n")
    assert (following.fate, following.n_chars_accepted) == ("accepted", 1)


def test_the_command_without_an_edit_is_acceptance() -> None:
    shown, document = read("x = ├foo┤\n")
    following = dismissed(accepted(begin(shown, document)))
    assert (following.fate, following.n_chars_accepted) == ("accepted", 3)


def test_the_command_corrects_a_single_character() -> None:
    following = check("f(├a)┤)╣\n", "f(a)\n", fate="typed-along", n_typed=2)
    assert accepted(following).fate == "accepted"


def test_the_command_corrects_an_edit_with_other_blanks() -> None:
    document = "if a:\n\tb()\n\tc()\n"
    following = check("if a:\n├    b()\n    c()┤\n", document, fate="dismissed")
    following = accepted(following)
    assert (following.fate, following.n_chars_accepted) == ("accepted", 15)


def test_the_command_for_a_part_leaves_it_open() -> None:
    following = check("x = ├foo(a)┤\n", "x = foo\n", fate=OPEN, n_accepted=3)
    following = accepted(accepted(following))
    assert dismissed(following).fate == "accepted-in-part"


def test_being_left_is_dismissal_or_acceptance_in_part() -> None:
    assert dismissed(after("x = ├foo(a)┤\n", "x = f\n")).fate == "dismissed"
    assert dismissed(after("x = ├foo(a)┤\n", "x = foo\n")).fate == "accepted-in-part"
    assert dismissed(after("x = ├foo(a)┤\n", "x = foo(a)\n")).fate == "accepted"


def check_continues(drawing: str, document: str, newer: str, expected: bool) -> None:
    assert continues(after(drawing, document), read(newer)[0]) is expected


def test_the_rest_of_it_is_the_same_suggestion() -> None:
    check_continues("x = ├foo(a)┤\n", "x = fo\n", "x = fo├o(a)┤\n", True)


def test_the_rest_of_it_on_a_later_line_is_the_same_suggestion() -> None:
    check_continues("├a\nbc┤\n", "a\nb\n", "a\nb├c┤\n", True)


def test_the_rest_of_it_without_what_stands_below_is_the_same_suggestion() -> None:
    check_continues("├f(\n  a,\n)┤\n", "f(\n  \n)\n", "f(\n  ├a,┤\n)\n", True)


def test_another_text_is_another_suggestion() -> None:
    check_continues("x = ├foo(a)┤\n", "x = fo\n", "x = fo├r┤\n", False)


def test_the_same_text_elsewhere_is_another_suggestion() -> None:
    check_continues("x = ├foo┤\n\n", "x = \n\n", "x = \n├foo┤\n", False)


def test_nothing_continues_what_has_ended() -> None:
    check_continues("x = ├foo┤\n", "x = g\n", "x = ├foo┤\n", False)


code = st.text("ab()\n ", min_size=1, max_size=12)
rests = st.builds("".join, st.tuples(st.text(")]:", max_size=2), st.just("\n"), code))


@given(code, rests)
@example("f(a) + 1", ")\n")
def test_typing_is_never_taken_for_anything_else(text: str, suffix: str) -> None:
    following = after(f"  ├{text}┤{suffix}")
    for document in keys("  ", text, suffix):
        following = follow(following, document)
        assert following.fate in (None, "typed-along")
        assert follow(following, document) == following
    assert (following.fate, following.n_chars_accepted) == ("typed-along", 0)


@given(st.text("abc ", min_size=4, max_size=12), st.integers(0, 2), rests)
def test_accepting_is_seen_after_any_number_of_keys(text: str, n_typed: int, suffix: str) -> None:
    assume(len("".join(text[n_typed:].split())) >= 2)
    following = after(f"  ├{text}┤{suffix}", *keys("  ", text[:n_typed], suffix))
    following = follow(following, f"  {text}{suffix}")
    assert (following.fate, following.n_chars_typed) == ("accepted", n_typed)


@given(code, rests, st.lists(st.text("ab()\n ", max_size=16), max_size=6))
def test_any_document_is_understood_somehow(text: str, suffix: str, documents: list[str]) -> None:
    following = after(f"  ├{text}┤{suffix}", *(f"  {document}" for document in documents))
    n_chars = following.n_chars_typed + following.n_chars_accepted
    assert n_chars == len(following.marks) <= len(text)
