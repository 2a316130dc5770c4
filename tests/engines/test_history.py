from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.domain import ChatMessage, Role, TooLong
from tabby_lsp.engines.history import LEFT_OUT, cropped, in_turns


def said(*texts: str) -> tuple[ChatMessage, ...]:
    """`u: text` for the user, `a: ` for the assistant, `s: ` for the system."""
    roles: dict[str, Role] = {"u": "user", "a": "assistant", "s": "system"}
    return tuple(ChatMessage(roles[text[0]], text[3:]) for text in texts)


def n_characters(messages: tuple[ChatMessage, ...]) -> int:
    """One token a character, and ten for what a template puts round each message."""
    return sum(len(message.content) + 10 for message in messages)


def check_turns(before: tuple[ChatMessage, ...], after: tuple[ChatMessage, ...]) -> None:
    assert in_turns(before) == after


def check_cropped(before: tuple[ChatMessage, ...], n_room: int, *after: str) -> None:
    assert cropped(before, n_room, n_characters) == said(*after)


def test_the_system_speaks_first() -> None:
    check_turns(said("u: a", "s: b"), said("s: b", "u: a"))


def test_messages_of_one_side_become_one() -> None:
    check_turns(said("u: a", "u: b", "a: c", "u: d"), said("u: a\n\nb", "a: c", "u: d"))


def test_a_greeting_of_the_assistant_answers_a_user_who_said_nothing() -> None:
    check_turns(said("a: Hello!", "u: a"), said("u: ", "a: Hello!", "u: a"))


def test_what_fits_stays() -> None:
    check_cropped(said("s: be kind", "u: a", "a: b", "u: c"), 100,
                  "s: be kind", "u: a", "a: b", "u: c")  # fmt: skip


def test_the_oldest_turns_after_the_first_question_go() -> None:
    check_cropped(said("s: be kind", "u: first", "a: 1", "u: second", "a: 2", "u: third"), 70,
                  "s: be kind", "u: first", "a: 2", "u: third")  # fmt: skip


def test_attachments_stand_before_the_content() -> None:
    check_cropped((ChatMessage("user", "why?", ("code", "more code")),), 100,
                  "u: code\n\nmore code\n\nwhy?")  # fmt: skip


def test_the_last_attachment_goes_before_any_turn() -> None:
    first = ChatMessage("user", "why?", ("code", "x" * 50))
    check_cropped((first, *said("a: so", "u: and?")), 60, "u: code\n\nwhy?", "a: so", "u: and?")


def test_a_long_text_loses_its_middle() -> None:
    after = cropped(said("u: begin" + "x" * 1000 + "end?"), 100, n_characters)
    assert after[0].content.startswith("begin")
    assert LEFT_OUT in after[0].content
    assert after[0].content.endswith("end?")


def test_a_last_message_that_must_stay_whole_costs_the_others_and_then_is_refused() -> None:
    talk = said("s: " + "y" * 300, "u: " + "x" * 300, "a: so", "u: " + "z" * 100)
    after = cropped(talk, 200, n_characters, keeps_last=True)
    assert after[-1] == talk[-1]
    assert n_characters(after) <= 200
    with pytest.raises(TooLong, match="last message"):
        cropped(talk, 100, n_characters, keeps_last=True)


messages = st.builds(
    ChatMessage,
    st.sampled_from(["user", "assistant", "system"]),
    st.text(max_size=400),
    st.lists(st.text(max_size=100), max_size=3).map(tuple),
)


@given(st.lists(messages, max_size=12), st.text(min_size=1), st.integers(200, 2000))
def test_what_comes_out_fits_and_is_in_turns(
    before: list[ChatMessage], question: str, n_room: int
) -> None:
    turns = in_turns([*before, ChatMessage("user", question)])
    after = cropped(turns, n_room, n_characters)
    assert n_characters(after) <= n_room
    roles = [message.role for message in after if message.role != "system"]
    assert roles == ["user" if n % 2 == 0 else "assistant" for n in range(len(roles))]
    assert roles[-1] == "user"
    assert [m.role for m in after].count("system") == [m.role for m in turns].count("system")
