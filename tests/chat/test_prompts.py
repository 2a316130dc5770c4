from __future__ import annotations

from tabby_lsp.chat.prompts import Material, conversation, explanation, fenced, order
from tabby_lsp.domain import ChatMessage, Snippet

MATERIAL = Material(
    path="shop/cart.py",
    language="python",
    first_line=3,
    code="def total():\n    return 1\n",
    outline="def total():\ndef pay():",
    snippets=(Snippet("shop/tax.py", "RATE = 0.2\n"),),
)


def test_the_code_stands_beside_the_first_question_and_stays_there() -> None:
    messages = [
        ChatMessage("user", "why?"),
        ChatMessage("assistant", "so"),
        ChatMessage("user", "and?"),
    ]
    told = conversation(messages, MATERIAL)
    assert [message.role for message in told] == ["system", "user", "assistant", "user"]
    assert [len(message.attachments) for message in told] == [0, 3, 0, 0]


def test_the_selection_comes_first_then_its_file_then_other_files() -> None:
    selected, rest, snippet = explanation(MATERIAL)[1].attachments
    assert selected == (
        "Selected code, from `shop/cart.py`, line 3 on:\n```python\ndef total():\n    return 1\n```"
    )
    assert rest.endswith("```python\ndef total():\ndef pay():\n```")
    assert snippet == "From `shop/tax.py`:\n```python\nRATE = 0.2\n```"


def test_a_caller_with_a_system_message_of_its_own_keeps_it() -> None:
    messages = [ChatMessage("system", "Speak like a pirate."), ChatMessage("user", "why?")]
    assert conversation(messages, None) == tuple(messages)


def test_an_order_says_what_to_do_and_what_to_answer_with() -> None:
    text = order("edit", "make it faster", MATERIAL)[-1].content
    assert "make it faster" in text
    assert "the whole new text" in text


def test_tests_are_wanted_alone() -> None:
    assert "the tests alone" in order("tests", "", MATERIAL)[-1].content


def test_a_fence_in_the_code_does_not_close_the_fence_round_it() -> None:
    assert fenced("````\nhi\n````", "markdown") == "`````markdown\n````\nhi\n````\n`````"


def test_characters_that_show_something_else_than_what_is_there_are_left_out() -> None:
    assert fenced("if \u202eadmin\u2066: \u200bpass") == "```\nif admin: pass\n```"


def test_joined_emoji_stay() -> None:
    assert "🧑‍💻" in fenced("🧑‍💻")
