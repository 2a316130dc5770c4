"""A conversation in the form that chat models take, as much of it as fits. Pure.

Invariant: the system speaks first or not at all, then the user and the assistant by turns, the user
first and last; what is left out of a text leaves a mark.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from tabby_lsp.domain import ChatMessage, EngineError, TooLong

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Conversation = tuple[ChatMessage, ...]
    Count = Callable[[Conversation], int]

LEFT_OUT = "\n[...]\n"
# A little less than in proportion, so that two or three rounds do.
_CUT_SHARE = 0.9
_FEWEST_CHARS = 2 * len(LEFT_OUT)


def in_turns(messages: Iterable[ChatMessage]) -> Conversation:
    """The same with what many templates refuse put right.

    Several messages of one side become one, and those of the system become the first.
    """
    messages = list(messages)
    system = [message for message in messages if message.role == "system"]
    said = [message for message in messages if message.role != "system"]
    if said and said[0].role == "assistant":
        said.insert(0, ChatMessage("user", ""))
    turns = [list(group) for _, group in groupby(said, key=lambda message: message.role)]
    return tuple(_joined(group) for group in [system, *turns] if group)


def cropped(
    messages: Conversation, n_room: int, count: Count, *, keeps_last: bool = False
) -> Conversation:
    """What of a conversation in turns fits into `n_room` tokens, its attachments put in place.

    Attachments go first, the last ones before the others; then the oldest turns after the first
    one, which says what it is all about; then the middle of the longest texts.
    Raises EngineError where there is not even room for the template, and TooLong where `keeps_last`
    and there is none for the last message as it is.
    """
    while (n_tokens := count(_plain(messages))) > n_room:
        fewer = _without_an_attachment(messages) or _without_a_turn(messages)
        if fewer is None:
            spared = len(messages) - 1 if keeps_last else len(messages)
            fewer = _shortened(messages, n_room / n_tokens * _CUT_SHARE, spared)
        if fewer is None and keeps_last:
            raise TooLong(
                f"The last message does not fit into {n_room} tokens: send less, or ask for fewer "
                "tokens in the answer."
            )
        if fewer is None:
            raise EngineError(
                f"The conversation does not fit into {n_room} tokens: "
                "set a larger `n_ctx`, or a smaller `max_tokens` under `[chat]`, in config.toml."
            )
        messages = fewer
    return _plain(messages)


def _joined(group: list[ChatMessage]) -> ChatMessage:
    attachments = tuple(each for message in group for each in message.attachments)
    content = "\n\n".join(message.content for message in group)
    return ChatMessage(group[0].role, content, attachments)


def _plain(messages: Conversation) -> Conversation:
    """Every message as one text."""
    return tuple(
        ChatMessage(message.role, "\n\n".join([*message.attachments, message.content]))
        for message in messages
    )


def _without_an_attachment(messages: Conversation) -> Conversation | None:
    """Without the least important one; the most important of a message is shortened instead."""
    for place, message in enumerate(messages):
        if len(message.attachments) > 1:
            fewer = replace(message, attachments=message.attachments[:-1])
            return (*messages[:place], fewer, *messages[place + 1 :])
    return None


def _without_a_turn(messages: Conversation) -> Conversation | None:
    """Without the oldest answer and the question after it; the first and the last question stay."""
    first = 1 if messages[0].role == "system" else 0
    if len(messages) - first < 5:
        return None
    return messages[: first + 1] + messages[first + 3 :]


def _shortened(messages: Conversation, share: float, n_first: int) -> Conversation | None:
    """The longest of the first texts without its middle."""
    messages = _plain(messages)
    longest = max(messages[:n_first], key=lambda message: len(message.content), default=None)
    if longest is None or len(longest.content) <= _FEWEST_CHARS:
        return None
    n_chars = int(len(longest.content) * share)
    half = max(0, n_chars - len(LEFT_OUT)) // 2
    text = longest.content
    shorter = replace(longest, content=text[:half] + LEFT_OUT + text[len(text) - half :])
    return tuple(shorter if message is longest else message for message in messages)
