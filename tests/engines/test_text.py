"""Bytes of tokens become whole characters, up to the first stop string."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.domain import TokenLogprobs
from tabby_lsp.engines.llama.text import TextStream, TokenTrail


def stream(
    pieces: list[bytes], stop: tuple[str, ...] = (), *, is_one_line: bool = False
) -> list[str]:
    text = TextStream(stop, is_one_line=is_one_line)
    shown = []
    for piece in pieces:
        shown.append(text.push(piece))
        if text.is_stopped:
            return shown
    return [*shown, text.finish()]


def test_a_character_cut_by_two_tokens_comes_whole() -> None:
    first, second = "é".encode()[:1], "é".encode()[1:]

    assert stream([b"caf" + first, second]) == ["caf", "é", ""]


def test_half_a_character_at_the_end_is_marked() -> None:
    assert stream(["é".encode()[:1]]) == ["", "\ufffd"]


def test_a_stop_string_ends_the_text_before_it() -> None:
    assert stream([b"a = 1", b"\nb", b"c"], stop=("\n",)) == ["a = 1", ""]


def test_what_may_become_a_stop_string_is_held_back() -> None:
    assert stream([b"x<", b"end", b">y"], stop=("<end>",)) == ["x", "", ""]
    assert stream([b"x<", b"em>"], stop=("<end>",)) == ["x", "<em>", ""]


def test_one_line_ends_behind_the_first_that_has_something_in_it() -> None:
    assert stream([b"a = 1", b"\n    b", b"c"], is_one_line=True) == ["a = 1", "\n"]
    assert stream([b" \n", b"\n", b"  a", b" \nb"], is_one_line=True) == [" \n", "\n", "  a", " \n"]
    assert stream([b"a"], is_one_line=True) == ["a", ""]


def test_a_fence_is_no_line() -> None:
    assert stream([b"```py\na", b"\n```\n"], is_one_line=True) == ["```py\na", "\n"]


@given(
    text=st.text(alphabet="ab<e\n\u00e9\U0001f600"),
    cuts=st.lists(st.integers(0, 200)),
    stop=st.sampled_from([(), ("\n",), ("<e", "ab<"), ("é\n",)]),
)
def test_how_the_bytes_are_cut_makes_no_difference(
    text: str, cuts: list[int], stop: tuple[str, ...]
) -> None:
    data = text.encode()
    edges = sorted({0, len(data), *(cut for cut in cuts if cut <= len(data))})
    pieces = [data[a:b] for a, b in pairwise(edges)]
    ends = [index for string in stop if (index := text.find(string)) >= 0]

    assert "".join(stream(pieces, stop)) == text[: min(ends, default=len(text))]


@given(
    text=st.text(alphabet="ab<e\n\u00e9\U0001f600", max_size=30),
    cuts=st.lists(st.integers(0, 100)),
    stop=st.sampled_from([(), ("\n",), ("<e", "ab<"), ("\u00e9\n",)]),
)
def test_each_piece_has_the_tokens_that_begin_in_it(
    text: str, cuts: list[int], stop: tuple[str, ...]
) -> None:
    data = text.encode()
    edges = sorted({0, len(data), *(cut for cut in cuts if cut <= len(data))})
    tokens = [TokenLogprobs("", data[a:b], 0.0, ()) for a, b in pairwise(edges)]
    stream, trail, shown, told = TextStream(stop), TokenTrail(), "", b""
    for token in tokens:
        trail.add(stream.n_chars, token)
        shown += (piece := stream.push(token.raw))
        told += b"".join(each.raw for each in trail.shown(len(piece)))
        # All that is shown is told of, and what is told of begins in what is shown.
        assert told.startswith(shown.encode()) and data.startswith(told)
        if stream.is_stopped:
            break
    else:
        shown += stream.finish()
        told += b"".join(each.raw for each in trail.rest())
        assert told == data
    assert told.startswith(shown.encode())
