"""A conversation as servers with a chat take it: by turns, short enough, without control tokens.

Pure. A server renders the template by itself and reads control tokens out of all of it, so what
looks like one in a message is broken by a space, as in prompts of text.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tabby_lsp.domain import TooLong
from tabby_lsp.engines.history import cropped, in_turns
from tabby_lsp.engines.remote.text_prompt import without_controls

if TYPE_CHECKING:
    from tabby_lsp.domain import ChatMessage, ChatRequest

# The server's tokenizer is not here. Code has three bytes and more to a token, dense data fewer.
_BYTES_PER_TWO_TOKENS = 5
# As in the built-in engine.
_LARGEST_ANSWER_SHARE = 0.5
# What templates put round a message, and once round all of them.
_N_TOKENS_PER_MESSAGE, _N_TOKENS_BESIDES = 8, 32


def messages_of(request: ChatRequest, n_ctx: int) -> list[dict[str, str]]:
    """What fits into `n_ctx` tokens together with the answer.

    Raises EngineError where nothing does, TooLong where the last message has to and does not.
    """
    turns = in_turns(map(_harmless, request.messages))
    n_room = n_ctx - n_answer(request, n_ctx)
    try:
        fitting = cropped(turns, n_room, _n_tokens, keeps_last=request.keeps_last)
    except TooLong as error:
        raise TooLong(
            f"{error} Where the server takes more than {n_ctx}, `n_ctx` in the engine's table says "
            "so."
        ) from None
    return [{"role": message.role, "content": message.content} for message in fitting]


def n_answer(request: ChatRequest, n_ctx: int) -> int:
    """How many tokens the answer may have, so that there is room for the question too."""
    return min(request.max_tokens, int(n_ctx * _LARGEST_ANSWER_SHARE))


def _n_tokens(messages: tuple[ChatMessage, ...]) -> int:
    """As many as these have, or more."""
    n_bytes = sum(len(message.content.encode("utf-8", "replace")) for message in messages)
    n_of_text = -(-2 * n_bytes // _BYTES_PER_TWO_TOKENS)
    return n_of_text + len(messages) * _N_TOKENS_PER_MESSAGE + _N_TOKENS_BESIDES


def _harmless(message: ChatMessage) -> ChatMessage:
    return replace(
        message,
        content=without_controls(message.content, None),
        attachments=tuple(without_controls(each, None) for each in message.attachments),
    )
