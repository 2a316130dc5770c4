"""What takes the place of selected code; `[` and `]` stand round the selection in the drawings."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.chat.edits import NoEdit, Selection, addition, code_in, replacement


def selection_in(document: str) -> tuple[str, Selection, str]:
    """What stands before, in and behind `[...]`."""
    before, text, after = re.split(r"[\[\]]", document, maxsplit=2)
    return (
        before,
        Selection(
            text=text,
            line_start=before.rpartition("\n")[2],
            line_end="\r\n" if "\r\n" in document else "\n",
        ),
        after,
    )


def check(document: str, answer: str, changed: str) -> None:
    before, selection, after = selection_in(document)
    assert before + replacement(answer, selection) + after == changed


def test_whole_lines() -> None:
    check("a = 1\n[b = 2\n]c = 3\n", "```python\nb = 4\n```", "a = 1\nb = 4\nc = 3\n")


def test_a_selection_without_its_last_line_end() -> None:
    check("a = 1\n[b = 2]\nc = 3\n", "```\nb = 4\n```\n", "a = 1\nb = 4\nc = 3\n")


def test_an_answer_without_indentation_gets_the_selections() -> None:
    check("class A:\n[    def f(self):\n        pass\n]",
          "```\ndef f(self):\n    return 1\n```",
          "class A:\n    def f(self):\n        return 1\n")  # fmt: skip


def test_a_selection_that_begins_behind_its_indentation() -> None:
    check("class A:\n    [def f(self):\n        pass]\n",
          "```\ndef f(self):\n    return 1\n```",
          "class A:\n    def f(self):\n        return 1\n")  # fmt: skip


def test_an_answer_with_the_indentation_keeps_it() -> None:
    check("class A:\n    [def f(self):\n        pass]\n",
          "```\n    def f(self):\n        return 1\n```",
          "class A:\n    def f(self):\n        return 1\n")  # fmt: skip


def test_part_of_a_line() -> None:
    check("a = [1 + 1] + b\n", "```\n2\n```", "a = 2 + b\n")


def test_tabs_come_back_as_tabs() -> None:
    check("class A:\n[\tdef f(self):\n\t\tpass\n]",
          "```\ndef f(self):\n    if 1:\n        return 1\n```",
          "class A:\n\tdef f(self):\n\t\tif 1:\n\t\t\treturn 1\n")  # fmt: skip


def test_windows_line_ends_stay() -> None:
    check("a\r\n[b\r\n]c\r\n", "```\nx\n\ny\n```", "a\r\nx\r\n\r\ny\r\nc\r\n")


def test_blanks_behind_the_selection_stay() -> None:
    check("if a:\n    [b()\n    ]c()\n", "```\nd()\n```", "if a:\n    d()\n    c()\n")


def test_blank_lines_at_both_ends_stay() -> None:
    check("a\n[\nb\n\n]c\n", "```\nx\n```", "a\n\nx\n\nc\n")


def test_emoji_are_text_like_any_other() -> None:
    check("a = '🙂'\n[b = '🧑‍💻'\n]", "```\nb = '🙃'\n```", "a = '🙂'\nb = '🙃'\n")


def test_prose_round_the_code_is_left_out() -> None:
    check("[a\n]", "Here you are:\n\n```python\nb\n```\n\nI renamed it.", "b\n")


def test_of_several_blocks_the_longest_is_the_code() -> None:
    check("[a\n]", "```sh\npip\n```\n\n```python\nb = 1\nc = 2\n```", "b = 1\nc = 2\n")


def test_a_block_that_was_not_closed_goes_to_the_end() -> None:
    check("[a\n]", "```python\nb\n", "b\n")


def test_an_answer_without_a_fence_is_code() -> None:
    check("[a\n]", "b = 1\n", "b = 1\n")


def test_a_fence_in_a_longer_fence_is_code() -> None:
    check("[a\n]", "````\n```\nb\n```\n````", "```\nb\n```\n")


def test_no_code_is_no_edit() -> None:
    with pytest.raises(NoEdit, match="no code"):
        code_in("```python\n```")


def test_the_same_code_is_no_edit() -> None:
    with pytest.raises(NoEdit, match="nothing"):
        check("[a\n]", "```\na\n```", "")


def test_tests_stand_below_the_selection() -> None:
    before, selection, after = selection_in("[def f():\n    return 1\n]x\n")
    answer = "```\ndef test_f():\n    assert f() == 1\n```"
    assert before + addition(answer, selection) + after == (
        "def f():\n    return 1\n\n\ndef test_f():\n    assert f() == 1\nx\n"
    )


def test_tests_for_a_method_are_all_as_deep_as_it_is() -> None:
    before, selection, after = selection_in("class A:\n[    def f(self):\n        pass\n]x\n")
    answer = "```\ndef test_f():\n    assert 1\n\n\ndef test_g():\n    assert 2\n```"
    assert before + addition(answer, selection) + after == (
        "class A:\n    def f(self):\n        pass\n\n\n"
        "    def test_f():\n        assert 1\n\n\n    def test_g():\n        assert 2\nx\n"
    )


def test_tests_below_blank_lines_with_windows_line_ends() -> None:
    before, selection, after = selection_in("[\r\n\r\nf()\r\n]x\r\n")
    assert before + addition("```\ng()\n```", selection) + after == (
        "\r\n\r\nf()\r\n\r\n\r\ng()\r\nx\r\n"
    )


def test_a_form_feed_is_no_indentation() -> None:
    check("[\fdef f():\n    return 1\n]", "```\ndef f():\n    return 2\n```",
          "def f():\n    return 2\n")  # fmt: skip


code = st.text(st.sampled_from("ab \t\n\r(🙂"), max_size=60)


@given(code, code, st.sampled_from(["", "  ", "\t", "x = "]))
def test_line_ends_are_the_documents(answer: str, text: str, line_start: str) -> None:
    text = re.sub(r"\r\n|\r|\n", "\r\n", text)
    selection = Selection(text=text, line_start=line_start, line_end="\r\n")
    try:
        changed = replacement(answer, selection)
    except NoEdit:
        return
    assert not re.search(r"(?<!\r)\n|\r(?!\n)", changed)
