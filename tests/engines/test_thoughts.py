"""What a model says to itself is no part of its answer, wherever the tags are cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.engines.thoughts import Thoughts

if TYPE_CHECKING:
    from collections.abc import Iterable

OTHERS = st.text(alphabet="<think/> \nab", max_size=30)


def shown(pieces: Iterable[str]) -> str:
    thoughts = Thoughts()
    return "".join([*map(thoughts.push, pieces), thoughts.finish()])


def cut(text: str, places: Iterable[int]) -> list[str]:
    ends = sorted(place % (len(text) + 1) for place in places)
    return [text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]


@given(OTHERS, OTHERS, st.lists(st.integers(0), max_size=6))
def test_a_block_at_the_beginning_is_left_out_wherever_it_is_cut(
    inner: str, answer: str, places: list[int]
) -> None:
    inner = inner.replace("</think>", "")
    text = f"\n<think>{inner}</think>\n\n{answer}"
    assert shown(cut(text, places)) == text.partition("</think>")[2].lstrip()


@given(OTHERS, st.lists(st.integers(0), max_size=6))
def test_any_other_text_is_unchanged(text: str, places: list[int]) -> None:
    if not text.lstrip().startswith("<think>"):
        assert shown(cut(text, places)) == text


def test_a_tag_later_on_is_text() -> None:
    assert shown(["Use <think>", "a</think>."]) == "Use <think>a</think>."
    assert shown(["<think>a</think>b <think>c</think>"]) == "b <think>c</think>"


def test_a_block_without_an_end_is_all_thought() -> None:
    assert shown(["<think>a", "b</thi"]) == ""


def test_what_cannot_become_a_tag_is_given_on_at_once() -> None:
    thoughts = Thoughts()
    assert [thoughts.push(text) for text in ("<th", "e", "> x")] == ["", "<the", "> x"]
    assert not thoughts.have_begun
