"""The server's text is the client's text, whatever the edits and in all three encodings."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import initialize_params, speaking
from tests.e2e.reference import ENCODINGS, line_spans, n_units, position_at, sha256
from tests.e2e.wire import Client, start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.wire import Json

N_EDITS = 2_000
MAX_EDITS_AT_ONCE = 9
MAX_CHARACTERS = 2_500  # what keeps the reference quick

PAST_END = (1, 2, 7, 9_999, 1_000_000_000)

# Only the first three end a line in LSP, whatever Python's splitlines says of the rest.
PIECES = (
    *("\n", "\r\n", "\r", "\f", "\v", "\x1c", "\x1d", "\x85", "\u2028", "\u2029"),
    *("a", "bc", "x = 1", " ", "\t", "    ", "ß", "é", "e\u0301", "漢字", "\ufeff", "\x00"),
    *("😀", "\U0001d4b3", "👩\u200d👩\u200d👧", "🇩🇪"),
)


@pytest.fixture(scope="module", params=ENCODINGS)
def speaker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Client, str]]:
    """A server and the encoding that its client speaks."""
    encoding: str = request.param
    with start(tmp_path_factory.mktemp(encoding)) as client:
        client.initialize(initialize_params(speaking(encoding)))
        yield client, encoding


def check_text(client: Client, uri: str, version: int, text: str) -> None:
    """The server holds exactly this text in this version."""
    documents = client.inspect(uri=uri)["documents"]
    assert documents == [{"uri": uri, "version": version, "sha256": sha256(text)}]


def random_text(rng: random.Random, max_pieces: int) -> str:
    """Up to so many pieces in a row."""
    return "".join(rng.choices(PIECES, k=rng.randint(0, max_pieces)))


def random_change(rng: random.Random, text: str, encoding: str) -> tuple[Json, str]:
    """A lawful change of a text, and the text after it."""
    if rng.random() < 0.02:
        whole = random_text(rng, 200)
        return {"text": whole}, whole
    offsets = [offset for start, end in line_spans(text) for offset in range(start, end + 1)]
    start = rng.choice(offsets)
    wide = len(text) > MAX_CHARACTERS or rng.random() < 0.05
    near = [offset for offset in offsets if start <= offset <= start + (len(text) if wide else 8)]
    end = rng.choice(near)
    begin, finish = position_at(text, start, encoding), position_at(text, end, encoding)
    line_ends = {line_end for _, line_end in line_spans(text)}
    if start in line_ends and rng.random() < 0.3:
        begin["character"] += rng.choice(PAST_END)
        finish = dict(begin) if end == start else finish
    elif end in line_ends and rng.random() < 0.3:
        finish["character"] += rng.choice(PAST_END)
    elif end == len(text) and rng.random() < 0.3:
        finish = {"line": finish["line"] + rng.choice([1, 5, 99_999]), "character": 3}
    new = random_text(rng, 5)
    change: Json = {"range": {"start": begin, "end": finish}, "text": new}
    if rng.random() < 0.2:
        change["rangeLength"] = rng.randint(0, 9)  # deprecated, often wrong, never to be believed
    return change, text[:start] + new + text[end:]


def test_two_thousand_random_edits_leave_the_text_of_the_reference(
    speaker: tuple[Client, str],
) -> None:
    client, encoding = speaker
    rng = random.Random(f"edits in {encoding}")
    text = random_text(rng, 100)
    client.open("untitled:edited", text, language="plaintext")
    n_edits, version = 0, 1
    while n_edits < N_EDITS:
        changes = []
        for _ in range(rng.randint(0, MAX_EDITS_AT_ONCE)):
            change, text = random_change(rng, text, encoding)
            changes.append(change)
        n_edits += len(changes)
        version += rng.choice([1, 1, 1, 2, 10])
        client.change("untitled:edited", version, *changes)
        check_text(client, "untitled:edited", version, text)
    client.close("untitled:edited")


def edit(line: int, start: int, end: int, text: str, *, end_line: int | None = None) -> Json:
    """A change of part of one line, or up to another."""
    return {
        "range": {
            "start": {"line": line, "character": start},
            "end": {"line": line if end_line is None else end_line, "character": end},
        },
        "text": text,
    }


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        ("abc", edit(0, 0, 9_999, "Z"), "Z"),
        ("abc\ndef\n", edit(0, 4, 4, "Z"), "abcZ\ndef\n"),
        ("abc\r\ndef", edit(0, 4, 9, "Z"), "abcZ\r\ndef"),
        ("abc\rdef", edit(0, 3, 0, "", end_line=1), "abcdef"),
        ("abc\r", edit(1, 0, 0, "\n"), "abc\r\n"),
        ("abc\ndef", edit(0, 0, 0, "Z", end_line=7), "Z"),
        ("abc\n", edit(9, 5, 5, "Z", end_line=9), "abc\nZ"),
        ("a\fb\u2028c\x85d\ne", edit(1, 0, 1, "Z"), "a\fb\u2028c\x85d\nZ"),
        ("", edit(0, 0, 0, "\r\n"), "\r\n"),
    ],
)
def test_positions_past_an_end_are_that_end(
    before: str, change: Json, after: str, speaker: tuple[Client, str]
) -> None:
    client, _ = speaker
    client.open("untitled:drawn", before, language="plaintext")
    client.change("untitled:drawn", 2, change)
    check_text(client, "untitled:drawn", 2, after)
    client.close("untitled:drawn")


def test_a_position_inside_a_character_never_splits_it(speaker: tuple[Client, str]) -> None:
    client, encoding = speaker
    before = "a😀b\n"
    client.open("untitled:split", before, language="plaintext")
    for version, inside in enumerate(range(2, 1 + n_units("😀", encoding)), start=2):
        client.change("untitled:split", version, {"text": before}, edit(0, inside, inside, "Z"))
        digest = client.inspect(uri="untitled:split")["documents"][0]["sha256"]
        assert digest in {sha256("aZ😀b\n"), sha256("a😀Zb\n")}
    client.close("untitled:split")


def test_a_stale_version_is_refused(speaker: tuple[Client, str]) -> None:
    client, _ = speaker
    client.open("untitled:stale", "one\n", language="plaintext")
    client.change("untitled:stale", 5, edit(0, 0, 3, "five"))
    client.change("untitled:stale", 3, edit(0, 0, 4, "three"))
    check_text(client, "untitled:stale", 5, "five\n")
    client.change("untitled:stale", 5, {"text": "five again\n"})
    check_text(client, "untitled:stale", 5, "five\n")
    client.change("untitled:stale", 6, {"text": "six\n"})
    check_text(client, "untitled:stale", 6, "six\n")
    client.close("untitled:stale")


def test_changes_before_open_and_after_close_are_ignored(speaker: tuple[Client, str]) -> None:
    client, _ = speaker
    client.change("untitled:closed", 2, {"text": "nobody's\n"})
    client.close("untitled:closed")
    assert client.inspect(uri="untitled:closed")["documents"] == []
    client.open("untitled:closed", "first\n", language="plaintext", version=7)
    check_text(client, "untitled:closed", 7, "first\n")
    client.close("untitled:closed")
    client.change("untitled:closed", 8, {"text": "too late\n"})
    assert client.inspect(uri="untitled:closed")["documents"] == []
    client.open("untitled:closed", "second\n", language="plaintext", version=1)
    check_text(client, "untitled:closed", 1, "second\n")
    client.close("untitled:closed")
    assert client.inspect()["documents"] == []


def test_whole_texts_and_edits_of_them_may_come_in_one_message(
    speaker: tuple[Client, str],
) -> None:
    client, _ = speaker
    client.open("untitled:whole", "before\n", language="plaintext")
    client.change("untitled:whole", 2, {"text": "abc\n"}, edit(0, 1, 2, "ß"), {"text": "a\r\nc"})
    check_text(client, "untitled:whole", 2, "a\r\nc")
    client.change("untitled:whole", 3)
    check_text(client, "untitled:whole", 3, "a\r\nc")
    client.close("untitled:whole")


def test_a_lone_surrogate_does_no_harm(speaker: tuple[Client, str]) -> None:
    client, _ = speaker
    client.open("untitled:surrogate", "a = '\ud83d'\n", language="plaintext")
    client.change("untitled:surrogate", 2, edit(0, 0, 0, "\ude00"))
    client.inspect(uri="untitled:surrogate")
    client.change("untitled:surrogate", 3, {"text": "whole again\n"})
    check_text(client, "untitled:surrogate", 3, "whole again\n")
    client.close("untitled:surrogate")


def test_nothing_foreign_came_and_nothing_was_answered_twice(
    speaker: tuple[Client, str],
) -> None:
    client, _ = speaker
    assert client.foreign == []
    assert all(len(replies) == 1 for replies in client.replies.values())
