"""What of a conversation is sent to a server whose tokens nobody can count here."""

from __future__ import annotations

import pytest

from tabby_lsp.domain import ChatMessage, ChatRequest, TooLong
from tabby_lsp.engines.remote.conversation import messages_of

LONG = "x = 1\n" * 3_000


def asked(*, keeps_last: bool) -> ChatRequest:
    messages = (ChatMessage("system", "Be short."), ChatMessage("user", LONG))
    return ChatRequest(messages=messages, max_tokens=64, keeps_last=keeps_last)


def test_a_question_that_has_to_be_whole_is_refused_and_says_how_it_would_fit() -> None:
    with pytest.raises(TooLong, match=r"does not fit .* `n_ctx` in the engine's table"):
        messages_of(asked(keeps_last=True), 4_096)

    assert messages_of(asked(keeps_last=True), 32_768)[-1]["content"] == LONG


def test_another_loses_its_middle() -> None:
    shortened = messages_of(asked(keeps_last=False), 4_096)[-1]["content"]
    assert "[...]" in shortened
    assert len(shortened) < len(LONG)
