"""The facts of the cursor's line, with every line end and both kinds of indentation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.completion.cursor import LINE_END, Cursor, first_line, last_line, lines_of
from tests.completion.drawn import cursor_in

LINE_ENDS = ["\n", "\r\n", "\r"]
texts = st.text(alphabet="ab \t\n\r\f\x1c\u2028", max_size=20)


@pytest.mark.parametrize("line_end", LINE_ENDS)
def test_a_line_is_cut_at_the_cursor(line_end: str) -> None:
    cursor = cursor_in("above\n\tleft ║ right  \nbelow\n".replace("\n", line_end))
    assert cursor.line_before == "\tleft "
    assert cursor.rest == " right  "
    assert cursor.indentation == "\t"
    assert cursor.line_above == "above"
    assert cursor.line_below == "below"
    assert cursor.line_end == line_end


@pytest.mark.parametrize("line_end", LINE_ENDS)
def test_the_lines_above_and_below_are_the_nearest_that_are_not_blank(line_end: str) -> None:
    drawing = "one\n    two  \n\n  \n    ║  \n\n \t\n    three \nfour"
    cursor = cursor_in(drawing.replace("\n", line_end))
    assert cursor.line_above == "    two"
    assert cursor.line_below == "    three "


def test_a_document_of_one_line_has_no_neighbours() -> None:
    cursor = cursor_in("x = ║")
    assert (cursor.line_above, cursor.line_below, cursor.line_end) == ("", "", "\n")


def test_the_line_end_is_the_own_line_s_where_they_are_mixed() -> None:
    assert cursor_in("a\nb║\r\nc\n").line_end == "\r\n"
    assert cursor_in("a\nb\r\nc║").line_end == "\r\n"


def test_a_form_feed_and_a_line_separator_end_no_line() -> None:
    cursor = cursor_in("a\fb\u2028c\x0b║d\x85e\x1cf\ng")
    assert cursor.line_before == "a\fb\u2028c\x0b"
    assert cursor.rest == "d\x85e\x1cf"


def test_the_line_that_opens_a_block_is_the_own_one_or_that_above_a_blank_one() -> None:
    assert cursor_in("if a:\n    if b:║\n").opening_line == "    if b:"
    assert cursor_in("if a:\n    if b:\n\n        ║\n").opening_line == "    if b:"


@pytest.mark.parametrize("rest", ["", "  ", ")", ")]}", '")', " ) {", "):", "`;", "',", "> {"])
def test_closers_quotes_and_a_separator_are_a_closing_rest(rest: str) -> None:
    assert cursor_in(f"f(║{rest}\n").rest_closes


@pytest.mark.parametrize("rest", ["x", ") + 1", ", b)", "(", ")::", '"a"', "# note"])
def test_anything_more_is_not(rest: str) -> None:
    assert not cursor_in(f"f(║{rest}\n").rest_closes


def test_a_comment_is_known_by_the_language_s_sign() -> None:
    assert cursor_in("x = ║  # note\n").rest_is_comment
    assert cursor_in("x = ║ // note\n", "go").rest_is_comment
    assert not cursor_in("x = a ║// b\n").rest_is_comment
    assert not cursor_in("x = ║ // note\n", "klingon").rest_is_comment


@given(texts)
def test_lines_and_their_ends_are_the_whole_text(text: str) -> None:
    lines = list(lines_of(text))
    assert [text[start:end] for start, end, _ in lines] == LINE_END.split(text)
    assert [is_complete for *_, is_complete in lines] == [True] * (len(lines) - 1) + [False]
    assert first_line(text) == LINE_END.split(text)[0]
    assert last_line(text) == LINE_END.split(text)[-1]


@given(texts, texts)
def test_the_cursor_s_line_and_its_surroundings_are_the_document(prefix: str, suffix: str) -> None:
    cursor = Cursor(prefix=prefix, suffix=suffix, language="python")
    assert prefix.endswith(cursor.line_before)
    assert suffix.startswith(cursor.rest)
    assert not LINE_END.search(cursor.line_before + cursor.rest)
    assert cursor.line_end in LINE_ENDS
    for neighbour in (cursor.line_above, cursor.line_below):
        assert not LINE_END.search(neighbour)
        assert neighbour == "" or neighbour.strip()


def test_a_docstring_belongs_to_the_line_that_opens_the_block() -> None:
    documented = 'if a:\n    def f(b):\n        """Do it."""'
    assert cursor_in(f"{documented}║\n").opening_line == "    def f(b):"
    assert cursor_in(f"{documented}\n        ║\n").opening_line == "    def f(b):"
    assert cursor_in(f"{documented}\n║\n").opening_line == '        """Do it."""'
