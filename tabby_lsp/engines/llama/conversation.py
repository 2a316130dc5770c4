"""One answer in a conversation, token by token, on the worker's thread.

Invariant: stands still, at the next graph node, for as long as somebody else goes first.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tabby_lsp.domain import Piece, Timings
from tabby_lsp.engines.history import cropped, in_turns
from tabby_lsp.engines.llama.binding import Aborted
from tabby_lsp.engines.llama.kv import n_reusable
from tabby_lsp.engines.llama.sampling import draw
from tabby_lsp.engines.llama.text import TextStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tabby_lsp.domain import ChatRequest, Finish
    from tabby_lsp.engines.history import Conversation
    from tabby_lsp.engines.llama.precedence import Precedence
    from tabby_lsp.engines.llama.resident import Loaded
    from tabby_lsp.engines.llama.template import ChatTemplate

    IsCancelled = Callable[[], bool]

# What an answer may take of the context, so that there is room for the question.
_LARGEST_ANSWER_SHARE = 0.5


@dataclass(slots=True)
class Speaker:
    """A chat model that is ready."""

    loaded: Loaded
    template: ChatTemplate
    precedence: Precedence

    def spell(self, messages: Conversation) -> list[int]:
        """The prompt's token ids."""
        model = self.loaded.model
        tokens = self.template.spell(messages, model.tokenize_controls, model.tokenize)
        has_bos = not model.adds_bos or tokens[:1] == [model.bos]
        return tokens if has_bos else [model.bos, *tokens]

    def count(self, messages: Conversation) -> int:
        """The prompt's tokens; more than any model takes for a conversation that is too long."""
        return len(self.spell(messages)) if self.template.knows(messages) else 2**31


def answer(speaker: Speaker, request: ChatRequest, is_cancelled: IsCancelled) -> Iterator[Piece]:
    """Read what is new of the conversation, then yield the answer until it ends.

    Ends early, with what was read kept in the context, when it is cancelled.
    """
    loaded = speaker.loaded
    with speaker.precedence.second(loaded.context.abort_flag):
        started_s = time.perf_counter()
        n_answer = min(request.max_tokens, int(loaded.context.n_ctx * _LARGEST_ANSWER_SHARE))
        messages = cropped(
            in_turns(request.messages), loaded.context.n_ctx - n_answer, speaker.count
        )
        prompt = speaker.spell(messages)
        loaded.context.keep(n_reusable(loaded.context.tokens, prompt))
        n_reused = len(loaded.context.tokens)
        try:
            _read(speaker, prompt, is_cancelled)
        except Aborted:
            return
        finally:
            loaded.n_evaluated_total += len(loaded.context.tokens) - n_reused
        timings = Timings(
            n_prompt_tokens=len(prompt),
            n_reused_tokens=n_reused,
            n_evaluated_tokens=len(prompt) - n_reused,
            prefill_ms=(time.perf_counter() - started_s) * 1000,
        )
        yield Piece("", 0.0, timings)
        yield from _speak(speaker, replace(request, max_tokens=n_answer), timings, is_cancelled)


def _speak(
    speaker: Speaker, request: ChatRequest, timings: Timings, is_cancelled: IsCancelled
) -> Iterator[Piece]:
    loaded, started_s = speaker.loaded, time.perf_counter()
    end_tokens, stop = _ends(speaker)
    stream = TextStream(stop)
    chance = random.Random(request.sampling.seed)
    finish: Finish = "stop"
    for n_generated in range(1, request.max_tokens + 1):
        choice = draw(loaded.context.logits(), end_tokens, request.sampling, chance)
        if choice.token is None:
            break
        loaded.n_generated_total += 1
        text = stream.push(loaded.model.piece(choice.token))
        decode_ms = (time.perf_counter() - started_s) * 1000
        timings = replace(timings, n_generated_tokens=n_generated, decode_ms=decode_ms)
        if text:
            yield Piece(text, choice.logprob, timings)
        if stream.is_stopped:
            break
        try:
            _read(speaker, [*loaded.context.tokens, choice.token], is_cancelled)
        except Aborted:
            return
    else:
        finish = "length"
    yield Piece(stream.finish(), 0.0, timings, finish)


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


def _read(speaker: Speaker, tokens: Sequence[int], is_cancelled: IsCancelled) -> None:
    """Have the context hold `tokens`, which begin with what it holds.

    Raises Aborted when it is cancelled.
    """
    context = speaker.loaded.context
    while True:
        speaker.precedence.wait(context.abort_flag, is_cancelled)
        # The last token is read in any case, since what comes next is said after it.
        context.keep(min(len(context.tokens), len(tokens) - 1))
        try:
            context.evaluate(tokens[len(context.tokens) :])
        except Aborted:
            if is_cancelled():
                raise
        else:
            return
