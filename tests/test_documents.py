"""A document's text is the editor's text, and every spelling of its URI is one document."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, get_args
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tabby_lsp.documents import (
    Change,
    Document,
    Position,
    PositionEncoding,
    StaleVersion,
    canonical_uri,
    path_of,
    path_text,
)
from tests.reference_document import ReferenceDocument

if TYPE_CHECKING:
    from pathlib import Path

Place = tuple[int, int]  # line and character
Edit = tuple[Place, Place, str] | str  # a str takes the place of the whole text

ENCODINGS: tuple[PositionEncoding, ...] = get_args(PositionEncoding)
LINE_ENDS = ("\n", "\r\n", "\r")
NO_LINE_ENDS = ("\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")
PAST_END = 2**31 - 1  # the largest number that LSP knows

# Besides those, characters of every width, marks and joiners, and halves of characters.
ALPHABET = (
    *LINE_ENDS,
    *NO_LINE_ENDS,
    *("\t", " ", "a", "b", "\0", "é", "e\u0301", "中", "\ufeff", "\uffff"),
    *("😀", "👩\u200d👧", "\U0010ffff", "\ud83d", "\ude00"),
)


# --- Edits ---


def document(text: str, encoding: PositionEncoding = "utf-16") -> Document:
    return Document("file:///x.py", "python", 1, text, encoding)


def change(edit: Edit) -> Change:
    if isinstance(edit, str):
        return Change(edit)
    start, end, text = edit
    return Change(text, Position(*start), Position(*end))


def insert(text: str, line: int, character: int) -> Edit:
    return (line, character), (line, character), text


def check(before: str, after: str, *edits: Edit, encoding: PositionEncoding = "utf-16") -> None:
    """Applied to `before` as one message, `edits` give `after`, and what is counted agrees."""
    edited = document(before, encoding)
    edited.apply(2, [change(edit) for edit in edits])
    assert edited.text == after
    assert edited.n_chars == len(after)
    assert edited.n_lines == document(after, encoding).n_lines


def test_text_is_inserted_at_its_position() -> None:
    check("def f():\n    \n", "def f():\n    pass\n", insert("pass", 1, 4))


def test_a_range_over_lines_is_replaced() -> None:
    check("one\ntwo\nthree\nfour", "on|ree\nfour", ((0, 2), (2, 2), "|"))


def test_a_range_is_deleted() -> None:
    check("one\ntwo\nthree", "one\nthree", ((1, 0), (2, 0), ""))


def test_text_of_several_lines_is_inserted_within_a_line() -> None:
    check("ab\ncd", "a1\n2\n3b\ncd", insert("1\n2\n3", 0, 1))


def test_each_change_applies_to_the_result_of_the_one_before() -> None:
    check("abc", "\n1abc", insert("\n", 0, 0), insert("2", 1, 0), ((1, 0), (1, 1), "1"))


def test_whole_texts_and_ranges_mix_in_one_message() -> None:
    check("old", "a<b", insert("x", 0, 0), "ab", insert("<", 0, 1))
    check("old", "new", insert("x", 0, 0), "lost", "new")


def test_an_empty_message_changes_only_the_version() -> None:
    check("abc\n", "abc\n")


def test_an_empty_document_takes_text() -> None:
    check("", "a\nb", insert("a\nb", 0, 0))
    check("a\nb", "", ((0, 0), (1, 1), ""))


@pytest.mark.parametrize("end", LINE_ENDS)
def test_three_things_end_a_line(end: str) -> None:
    assert document(f"a{end}b{end}").n_lines == 3
    check(f"a{end}b{end}", f"a{end}b{end}X", insert("X", 2, 0))
    check(f"a{end}b", f"a{end}Xb", insert("X", 1, 0))


@pytest.mark.parametrize("char", NO_LINE_ENDS)
def test_nothing_else_ends_a_line(char: str) -> None:
    assert document(f"a{char}b{char}").n_lines == 1
    check(f"a{char}b\nc", f"a{char}b\nXc", insert("X", 1, 0))
    check(f"a{char}b\nc", f"a{char}Xb\nc", insert("X", 0, 2))


@pytest.mark.parametrize("end", LINE_ENDS)
@pytest.mark.parametrize("character", [2, 3, 4, 99, PAST_END, 10**30])
def test_a_column_past_the_end_is_the_end_of_the_line_before_its_line_end(
    end: str, character: int
) -> None:
    check(f"ab{end}cd", f"abX{end}cd", insert("X", 0, character))
    check(f"éé{end}cd", f"ééX{end}cd", insert("X", 0, character + 4), encoding="utf-8")


def test_a_whole_line_is_replaced_by_a_column_past_its_end() -> None:
    check("abc", "Z", ((0, 0), (0, 9999), "Z"))
    check("abc\n", "Z\n", ((0, 0), (0, 9999), "Z"))


@pytest.mark.parametrize("line", [2, 3, PAST_END, 10**30])
@pytest.mark.parametrize("character", [-1, 0, 1, PAST_END])
def test_a_line_past_the_end_is_the_end_of_the_text(line: int, character: int) -> None:
    check("ab\ncd", "ab\ncdX", insert("X", line, character))
    check("ab\n", "ab\nX", insert("X", line, character))


def test_negative_numbers_are_zero() -> None:
    check("ab\ncd", "aXb\ncd", insert("X", -3, 1))
    check("ab\ncd", "ab\nXcd", insert("X", 1, -1))


def test_ends_in_the_wrong_order_are_swapped() -> None:
    check("ab\ncd", "aXd", ((1, 1), (0, 1), "X"))
    check("abcd", "aXd", ((0, 3), (0, 1), "X"))


@pytest.mark.parametrize(
    ("encoding", "widths"),
    [("utf-8", (1, 2, 3, 4)), ("utf-16", (1, 1, 1, 2)), ("utf-32", (1,) * 4)],
)
def test_columns_count_units_of_the_encoding(
    encoding: PositionEncoding, widths: tuple[int, ...]
) -> None:
    text = "aé中😀"
    for i, char in enumerate(text):
        column = sum(widths[:i])
        check(text, f"{text[:i]}X{text[i:]}", insert("X", 0, column), encoding=encoding)
        for inside in range(1, widths[i]):
            # A position inside a character is its start, so that the character stays whole.
            check(
                text, f"{text[:i]}X{text[i:]}", insert("X", 0, column + inside), encoding=encoding
            )
        replaced = (0, column), (0, column + widths[i]), ""
        check(text, text.replace(char, ""), replaced, encoding=encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_combining_characters_are_characters_of_their_own(encoding: PositionEncoding) -> None:
    check("e\u0301", "eX\u0301", insert("X", 0, 1), encoding=encoding)


@pytest.mark.parametrize(("encoding", "width"), [("utf-8", 3), ("utf-16", 1), ("utf-32", 1)])
def test_a_lone_surrogate_is_a_character(encoding: PositionEncoding, width: int) -> None:
    for half in ("\ud83d", "\ude00"):
        check(f"{half}\n", f"{half}X\n", insert("X", 0, width), encoding=encoding)
        check("a\nb", f"a{half}\nb", insert(half, 0, 1), encoding=encoding)


def test_halves_that_meet_are_one_character_for_an_editor_that_counts_utf_16() -> None:
    check("\ud83d\n", "😀\n", insert("\ude00", 0, 1))
    check("\ude00\n", "😀\n", insert("\ud83d", 0, 0))
    check("\ud83d-\ude00", "😀", ((0, 1), (0, 2), ""))
    check("", "😀", "\ud83d" + "\ude00")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-32"])
def test_halves_that_meet_stay_two_for_other_editors(encoding: PositionEncoding) -> None:
    check("\ud83d-\ude00", "\ud83d\ude00", ((0, 0), (0, 99), "\ud83d\ude00"), encoding=encoding)


def test_carriage_return_and_line_feed_that_meet_are_one_line_end() -> None:
    check("a\rb\nc", "a\r\nXc", ((1, 0), (1, 1), ""), insert("X", 1, 0))
    check("a\rb", "a\r\nX", ((1, 0), (1, 1), "\n"), insert("X", 1, 0))
    check("a\nb", "a\r\nXb", insert("\r", 0, 1), insert("X", 1, 0))
    check("\n", "\r\nX", insert("\r", 0, 0), insert("X", 1, 0))
    check("a\r|\nb", "a\r\n\r\nXb", ((1, 0), (1, 1), "\n\r"), insert("X", 2, 0))


def test_carriage_return_and_line_feed_that_part_are_two_line_ends() -> None:
    check("a\r\nb", "a\r-\nXb", ((0, 1), (1, 0), "\r-\n"), insert("X", 2, 0))
    check("a\r\nb", "a\n\rXb", ((0, 0), (1, 0), "a\n\r"), insert("X", 2, 0))


def test_a_position_never_stands_inside_a_line_end() -> None:
    check("a\r\nb", "aX\r\nb", insert("X", 0, 2))
    check("a\r\nb", "aX\r\nb", ((0, 1), (0, 2), "X"))


@pytest.mark.parametrize("version", [-1, 0, 3, 5])
def test_a_version_that_is_not_newer_is_refused(version: int) -> None:
    edited = document("a\n")
    edited.apply(5, [change(insert("b", 0, 1))])
    with pytest.raises(StaleVersion, match=f"Version {version} of file:///x.py"):
        edited.apply(version, [change("lost"), change(insert("lost", 0, 0))])
    assert (edited.version, edited.text, edited.n_lines) == (5, "ab\n", 2)
    edited.apply(7, [change("new")])
    assert (edited.version, edited.text) == (7, "new")


# --- Positions ---


def test_further_text_lies_beyond_the_windows_and_no_further_than_asked_for() -> None:
    lines = [f"{n:03}\n" for n in range(100)]
    text = document("".join(lines))
    cursor = Position(50, 2)
    before, after = text.around(cursor, 40, 20)

    below, above = text.further(cursor, len(before), len(after), 16)
    assert below == "".join(lines)[202 + 20 :][:16]
    assert above == "".join(lines)[: 202 - 40][-16:]
    everything = text.further(cursor, 40, 20, 10_000)
    assert everything[1] + before + after + everything[0] == "".join(lines)
    assert text.further(cursor, 10_000, 10_000, 16) == ("", "")


def check_around(drawn: str, n_before: int, n_after: int, expected: tuple[str, str]) -> None:
    """Take so many code points round the cursor `║`, whose position is counted in UTF-16."""
    left, right = drawn.split("║")
    line = left.count("\n")
    character = len(left.rpartition("\n")[2].encode("utf-16-le")) // 2
    assert document(left + right).around(Position(line, character), n_before, n_after) == expected


def test_around_gives_the_text_on_both_sides() -> None:
    check_around("one\ntw║o\nthree", 99, 99, ("one\ntw", "o\nthree"))


def test_around_takes_no_more_than_asked_for() -> None:
    check_around("one\ntw║o\nthree", 3, 4, ("\ntw", "o\nth"))
    check_around("one\ntwo║\nthree", 2, 1, ("wo", "\n"))
    check_around("😀中\n😀║😀\n中", 2, 2, ("\n😀", "😀\n"))


def test_around_takes_nothing_when_nothing_is_asked_for() -> None:
    check_around("one\ntw║o\nthree", 0, 0, ("", ""))
    check_around("one\ntw║o\nthree", -1, -5, ("", ""))


def test_around_works_at_both_ends_of_the_text() -> None:
    check_around("║one\n", 5, 5, ("", "one\n"))
    check_around("one\n║", 5, 5, ("one\n", ""))
    check_around("║", 5, 5, ("", ""))


def test_around_clamps_the_position() -> None:
    assert document("one\r\ntwo").around(Position(0, 99), 9, 9) == ("one", "\r\ntwo")
    assert document("one\r\ntwo").around(Position(9, 0), 9, 9) == ("one\r\ntwo", "")


def check_moved(
    text: str, start: Place, n_chars: int, end: Place, encoding: PositionEncoding = "utf-16"
) -> None:
    assert document(text, encoding).position_after(Position(*start), n_chars) == Position(*end)


def test_position_after_counts_characters_in_units_of_the_encoding() -> None:
    check_moved("x\na😀é!", (1, 1), 2, (1, 7), "utf-8")
    check_moved("x\na😀é!", (1, 1), 2, (1, 4), "utf-16")
    check_moved("x\na😀é!", (1, 1), 2, (1, 3), "utf-32")


def test_position_after_stays_on_its_line() -> None:
    check_moved("ab\r\ncd", (0, 1), 5, (0, 2))
    check_moved("ab\r\ncd", (1, 1), -5, (1, 0))


def test_position_after_goes_left_by_a_negative_count() -> None:
    check_moved("a😀b", (0, 4), -2, (0, 1))


def test_clamp_spells_the_position_as_the_editor_would() -> None:
    clamp = document("a😀\r\n").clamp
    assert clamp(Position(0, 2)) == Position(0, 1)
    assert clamp(Position(0, 99)) == Position(0, 3)
    assert clamp(Position(-1, -1)) == Position(0, 0)
    assert clamp(Position(99, 99)) == Position(1, 0)


# --- The law: never a divergence ---


def check_follows(
    encoding: PositionEncoding, text: str, batches: list[list[Edit]], places: list[Place]
) -> None:
    """After every message, text, counts and places are those of the reference."""
    ours, reference = document(text, encoding), ReferenceDocument(text, encoding)
    for version, edits in enumerate(batches, start=2):
        ours.apply(version, [change(edit) for edit in edits])
        for edit in edits:
            if isinstance(edit, str):
                reference.replace_all(edit)
            else:
                reference.replace(*edit)
        for place in places:
            check_place(ours, reference, place)
        assert ours.text == reference.text()
        assert ours.n_chars == len(reference.text())
        assert ours.n_lines == reference.n_lines()
        with pytest.raises(StaleVersion):
            ours.apply(version, [change("stale")])


def check_place(ours: Document, reference: ReferenceDocument, place: Place) -> None:
    position = Position(*place)
    left, right = reference.split_at(place)
    assert ours.around(position, PAST_END, PAST_END) == (left, right)
    assert ours.around(position, 4, 4) == (left[-4:], right[:4])
    clamped = Position(*reference.clamp(place))
    assert ours.clamp(position) == clamped
    there = ours.position_after(position, 1)
    n_moved = len(ours.around(there, PAST_END, 0)[0]) - len(left)
    assert n_moved == (right[:1] not in ("", "\r", "\n"))


texts = st.lists(st.sampled_from(ALPHABET), max_size=24).map("".join)
places = st.tuples(st.integers(-1, 6), st.integers(-1, 14) | st.just(PAST_END))
edits = st.tuples(places, places, texts) | st.tuples(places, places, st.just("")) | texts
batches = st.lists(st.lists(edits, max_size=4), min_size=1, max_size=5)


@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(max_examples=500, deadline=None)
@given(text=texts, batches=batches, place=places)
@example(text="a\r", batches=[[((1, 0), (1, 0), "\n")]], place=(1, 0))
@example(text="\ud83d\n", batches=[[((0, 1), (0, 1), "\n")]], place=(1, 0))
def test_a_document_follows_any_edits(
    encoding: PositionEncoding, text: str, batches: list[list[Edit]], place: Place
) -> None:
    check_follows(encoding, text, batches, [place])


def random_text(rng: random.Random) -> str:
    return "".join(rng.choices(ALPHABET, k=rng.choice((0, 1, 1, 2, 5, 20))))


def random_place(rng: random.Random) -> Place:
    return rng.randint(-1, 7), rng.choice((rng.randint(-1, 4), rng.randint(0, 20), PAST_END))


def random_edit(rng: random.Random) -> Edit:
    if rng.random() < 0.04:
        return random_text(rng)
    start = random_place(rng)
    end = start if rng.random() < 0.4 else random_place(rng)
    return start, end, random_text(rng)


N_SEQUENCES = 10_000
N_SEEDS = 5


@pytest.mark.parametrize("seed", range(N_SEEDS))
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_ten_thousand_random_sequences_of_edits_never_diverge(
    encoding: PositionEncoding, seed: int
) -> None:
    rng = random.Random(seed)
    for _ in range(N_SEQUENCES // (len(ENCODINGS) * N_SEEDS) + 1):
        text = "".join(rng.choices(ALPHABET, k=rng.randint(0, 60)))
        batches = [[random_edit(rng) for _ in range(rng.randint(1, 8))] for _ in range(4)]
        check_follows(encoding, text, batches, [random_place(rng)])


# --- URIs ---


def check_one_document(*uris: str) -> None:
    assert len({canonical_uri(uri) for uri in uris}) == 1


def test_drive_letters_are_one_in_every_spelling() -> None:
    check_one_document(
        "file:///c%3A/dir/x.py",
        "file:///c%3a/dir/x.py",
        "file:///C%3A/dir/x.py",
        "file:///C:/dir/x.py",
        "file:///c:/dir/x.py",
        "file://C:/dir/x.py",
        "file:///c:\\dir\\x.py",
        "file:/C:/dir/x.py",
    )
    check_one_document("file:///c:/line%0Aend.py", "file:///C%3a/line%0aend.py")


def test_percent_encodings_are_one_in_every_spelling() -> None:
    check_one_document(
        "file:///a%20b/%C3%A9%5B1%5D.py",
        "file:///a b/é[1].py",
        "file:///a%20b/%c3%a9%5b1%5d%2Epy",
        "FILE:///a%20b/%C3%A9[1].py",
        "file://localhost/a%20b/é%5B1].py",
        "file:/a%20b/é%5B1].py",
    )


def test_hosts_are_one_in_every_case() -> None:
    check_one_document("file://Server/Share/x.py", "file://server/Share/x.py")
    check_one_document("file://wsl%24/Ubuntu/x.py", "file://wsl$/Ubuntu/x.py")


def test_a_hash_or_a_question_mark_that_was_not_encoded_is_part_of_the_name() -> None:
    check_one_document("file:///C%23/what%3F.py", "file:///C#/what?.py")


@pytest.mark.parametrize(
    "uri",
    [
        "untitled:Untitled-1",
        "vscode-notebook-cell:/a%20b.ipynb#W0s",
        "git:/x.py?%7B%22ref%22%3A%22HEAD%22%7D",
        "/home/x.py",
        "C:\\x.py",
        "",
    ],
)
def test_other_schemes_are_kept_and_have_no_path(uri: str) -> None:
    assert canonical_uri(uri) == uri
    assert path_of(uri) is None


@pytest.mark.parametrize("uri", ["file://", "file:", "FILE://", "file://localhost"])
def test_nothing_behind_the_scheme_is_no_path(uri: str) -> None:
    assert path_of(uri) is None
    assert canonical_uri(uri) == "file://"


@pytest.mark.parametrize(
    ("uri", "posix", "windows"),
    [
        ("file:///home/u/x.py", "/home/u/x.py", "\\home\\u\\x.py"),
        ("file:///a%20b/%C3%A9%25.py", "/a b/é%.py", "\\a b\\é%.py"),
        ("file:///C%3A/dir/x.py", "/c:/dir/x.py", "c:\\dir\\x.py"),
        ("file://c:/dir/x.py", "/c:/dir/x.py", "c:\\dir\\x.py"),
        ("file://server/share/x.py", None, "\\\\server\\share\\x.py"),
        ("file:////server/share/x.py", "/server/share/x.py", "\\\\server\\share\\x.py"),
        ("file://wsl%24/Ubuntu/x.py", None, "\\\\wsl$\\Ubuntu\\x.py"),
        ("file://localhost/x.py", "/x.py", "\\x.py"),
        ("file:///", "/", "\\"),
        ("file:///%FF.py", "/\udcff.py", "\\\udcff.py"),
        ("file:///a%00b", None, None),
        ("file://", None, None),
    ],
)
def test_paths_are_spelled_as_their_system_does(
    uri: str, posix: str | None, windows: str | None
) -> None:
    assert path_text(uri, windows=False) == posix
    assert path_text(uri, windows=True) == windows


def test_the_path_of_a_file_is_its_path(tmp_path: Path) -> None:
    file = tmp_path / "a b" / "é#%41.py"
    assert path_of(file.as_uri()) == file


@st.composite
def spelled_paths(draw: st.DrawFn) -> tuple[str, str]:
    """A path, and a URI of it with escapes wherever they please."""
    path = "/d/" + draw(st.text(st.sampled_from("ab/ %#?é中😀:\\~+&[]") | st.characters()))
    pieces = []
    for char in path[3:]:
        escaped = "".join(f"%{byte:02x}" for byte in char.encode(errors="surrogatepass"))
        spellings = [escaped, escaped.upper()] if char == "%" else [escaped, escaped.upper(), char]
        pieces.append(draw(st.sampled_from(spellings)))
    return path, draw(st.sampled_from(["file://", "FILE://", "file:"])) + "/d/" + "".join(pieces)


@settings(deadline=None)
@given(spelled_paths())
def test_every_spelling_of_a_path_is_one_document(spelled: tuple[str, str]) -> None:
    path, uri = spelled
    plain = "file://" + quote(path, errors="surrogatepass")
    assert canonical_uri(uri) == canonical_uri(plain) == canonical_uri(canonical_uri(uri))
    assert path_of(canonical_uri(uri)) == path_of(uri)


def test_the_head_has_the_lines_above_the_cursor() -> None:
    text = document("one\r\ntwo\nthree\n")

    assert text.head(Position(2, 3), 100) == "one\r\ntwo\n"
    assert text.head(Position(0, 2), 100) == ""
    assert text.head(Position(9, 0), 8) == "one\r\n"
    assert text.head(Position(9, 0), 9) == "one\r\ntwo\n"


@settings(deadline=None)
@given(st.text(), st.text())
def test_different_paths_are_different_documents(one: str, other: str) -> None:
    uris = [canonical_uri("file:///d/" + quote(p, errors="surrogatepass")) for p in (one, other)]
    assert (uris[0] == uris[1]) == (one == other)


@settings(deadline=None)
@given(st.text().map("file:".__add__) | st.text())
@example("file://\ud800/\udcff")
def test_no_uri_is_too_odd(uri: str) -> None:
    key = canonical_uri(uri)
    assert canonical_uri(key) == key
    assert path_of(key) == path_of(uri)
