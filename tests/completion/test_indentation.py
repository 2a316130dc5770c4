"""A model is spoken to in four blanks, and what it says comes back as the document has it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.completion.indentation import MODEL_STEP, for_model, from_model, step_of

FOUR = (
    "class A:\n    def f(self):\n        return 1\n\n    def g(self):\n        return 2\n\nx = 1\n"
)
STEPS = ["\t", "  ", MODEL_STEP]


def in_steps(text: str, step: str) -> str:
    return text.replace(MODEL_STEP, step)


@pytest.mark.parametrize("step", STEPS)
def test_the_step_is_told_from_the_text(step: str) -> None:
    assert step_of(in_steps(FOUR + FOUR, step)) == step


def test_a_text_without_indentation_is_taken_as_the_model_has_it() -> None:
    assert step_of("x = 1\n") == MODEL_STEP


def test_aligned_arguments_are_no_step() -> None:
    assert step_of(FOUR + "f(a,\n  b)\nf(a,\n  b)\n") == MODEL_STEP


@pytest.mark.parametrize("step", STEPS)
def test_the_model_reads_four_blanks(step: str) -> None:
    assert for_model(in_steps(FOUR, step), step) == FOUR


@pytest.mark.parametrize("step", STEPS)
def test_an_answer_comes_back_in_the_documents_steps(step: str) -> None:
    answer = "\n        total = 0\n        for x in self:\n            total += x"

    assert from_model(answer, step, begins_line=False) == in_steps(answer, step)


def test_the_first_line_is_indented_only_where_it_begins_one() -> None:
    assert from_model("    = 1", "\t", begins_line=False) == "    = 1"
    assert from_model("    x = 1", "\t", begins_line=True) == "\tx = 1"


def test_alignment_beyond_whole_steps_is_kept() -> None:
    assert from_model("\n      b)", "\t", begins_line=False) == "\n\t  b)"


def test_blanks_that_more_may_follow_are_held_back() -> None:
    assert from_model("pass\n      ", "\t", begins_line=False) == "pass\n"


LINES = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from(["x = 1", "y", "", "# é"])), max_size=12
)


@given(lines=LINES, step=st.sampled_from(STEPS))
def test_what_is_translated_there_is_translated_back(
    lines: list[tuple[int, str]], step: str
) -> None:
    text = "\n" + "\n".join(n * step + code for n, code in lines) + "\nend"

    assert from_model(for_model(text, step), step, begins_line=False) == text


@given(lines=LINES, step=st.sampled_from(STEPS), cut=st.integers(0, 200))
def test_what_is_shown_of_an_answer_only_grows(
    lines: list[tuple[int, str]], step: str, cut: int
) -> None:
    whole = "\n" + "\n".join(n * MODEL_STEP + code for n, code in lines)
    early = from_model(whole[:cut], step, begins_line=False)

    assert from_model(whole + "\nend", step, begins_line=False).startswith(early)
