"""From a conversation to an answer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabby_lsp.engines.history import cropped, in_turns
from tabby_lsp.engines.llama.answering import Question, answer, drafting, n_prompt_room
from tabby_lsp.engines.llama.drawing import Sampler
from tabby_lsp.engines.llama.searched import Searched

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tabby_lsp.domain import ChatRequest, Piece
    from tabby_lsp.engines.history import Conversation
    from tabby_lsp.engines.llama.resident import Loaded
    from tabby_lsp.engines.llama.speculation import Read
    from tabby_lsp.engines.llama.template import ChatTemplate


@dataclass(slots=True)
class Speaker:
    """A chat model that is ready."""

    loaded: Loaded
    template: ChatTemplate

    def spell(self, messages: Conversation) -> list[int]:
        """The prompt's token ids."""
        model = self.loaded.model
        tokens = self.template.spell(messages, model.tokenize_controls, model.tokenize)
        has_bos = not model.adds_bos or tokens[:1] == [model.bos]
        return tokens if has_bos else [model.bos, *tokens]

    def count(self, messages: Conversation) -> int:
        """The prompt's tokens; more than any model takes for a conversation that is too long."""
        return len(self.spell(messages)) if self.template.knows(messages) else 2**31


def converse(speaker: Speaker, request: ChatRequest, read: Read) -> Iterator[Piece]:
    """The assistant's next message.

    Raises EngineError where the conversation or the request's sampling cannot be used.
    """
    asked_s = time.perf_counter()
    loaded, sampling = speaker.loaded, request.sampling
    n_room = n_prompt_room(loaded.context, request.max_tokens)
    turns = in_turns(request.messages)
    messages = cropped(turns, n_room, speaker.count, keeps_last=request.keeps_last)
    prompt = speaker.spell(messages)
    end_tokens, stop = _ends(speaker)
    sampler = Sampler(loaded.model, sampling, end_tokens, prompt)
    question = Question(
        prompt=prompt,
        max_tokens=request.max_tokens,
        stop=(*request.stop, *stop),
        choose=lambda _: sampler,
        draft=drafting(loaded, sampling, Searched(()), prompt),
        n_logprobs=sampling.n_logprobs,
        asked_s=asked_s,
    )
    return answer(loaded, question, read)


def _ends(speaker: Speaker) -> tuple[Sequence[int], tuple[str, ...]]:
    """The tokens and the text that end an answer.

    Many files do not name the token that their template ends an answer with; where there is no such
    token at all, the model writes it as text.
    """
    model, text = speaker.loaded.model, speaker.template.end
    if not text:
        return model.eog_tokens, ()
    tokens = model.tokenize_controls(text)
    if len(tokens) == 1:
        return (*model.eog_tokens, *tokens), ()
    return model.eog_tokens, (text,)
