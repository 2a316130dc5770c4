"""One answer to a prompt, token by token, on the worker's thread."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tabby_lsp.domain import Piece, Timings
from tabby_lsp.engines.llama.context import Aborted
from tabby_lsp.engines.llama.drawing import tell
from tabby_lsp.engines.llama.text import TextStream, TokenTrail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from tabby_lsp.domain import Finish
    from tabby_lsp.engines.llama.context import Context
    from tabby_lsp.engines.llama.precedence import Precedence
    from tabby_lsp.engines.llama.resident import Loaded
    from tabby_lsp.engines.llama.sampling import Choose

    # Appends tokens to the KV cache; raises Aborted where that was stopped for good.
    Read = Callable[[Sequence[int]], None]

# What an answer may take of the context where the prompt would fill it.
_LARGEST_ANSWER_SHARE = 0.5


# What is said after the last tokens of a prompt and the first ones of its answer is remembered:
# there somebody types on.
_N_NOTED = 6


@dataclass(frozen=True, slots=True)
class Question:
    """What to read, and how to answer."""

    prompt: list[int]
    max_tokens: int
    stop: tuple[str, ...]
    choose: Choose
    n_logprobs: int
    asked_s: float  # when work on it began, by `time.perf_counter`
    is_ahead: bool = False  # takes nothing away from what is at work


def n_prompt_room(context: Context, max_tokens: int) -> int:
    """How many tokens a prompt may have, so that there is room for the answer."""
    return context.n_ctx - min(max_tokens, int(context.n_ctx * _LARGEST_ANSWER_SHARE))


def answer(loaded: Loaded, question: Question, read: Read) -> Iterator[Piece]:
    """Read the prompt as far as it is new, then yield the answer until a rule or the model ends it.

    Ends early, with what was finished kept in the context, when it is stopped for good. Ends with
    the context in any case.
    """
    context = loaded.context
    loaded.recall.begin(question.prompt, is_ahead=question.is_ahead)
    n_reused = len(context.tokens)
    try:
        read(question.prompt[n_reused:])
    except Aborted:
        return
    finally:
        # Less is there than before where it was stopped while others had the context.
        loaded.n_evaluated_total += max(0, len(context.tokens) - n_reused)
    timings = Timings(
        n_prompt_tokens=len(question.prompt),
        n_reused_tokens=n_reused,
        n_evaluated_tokens=len(question.prompt) - n_reused,
        prefill_ms=(time.perf_counter() - question.asked_s) * 1000,
    )
    yield Piece("", 0.0, timings)
    yield from _speak(loaded, question, read, timings)


def patiently(context: Context, precedence: Precedence, is_cancelled: Callable[[], bool]) -> Read:
    """Reads, but stands still at the next graph node for as long as somebody else goes first."""

    def read(tokens: Sequence[int]) -> None:
        if not tokens:
            return
        wanted = [*context.tokens, *tokens]
        while True:
            precedence.wait(context.abort_flag, is_cancelled)
            # The last token is read in any case, since what comes next is said after it.
            context.keep(min(len(context.tokens), len(wanted) - 1))
            try:
                context.evaluate(wanted[len(context.tokens) :])
            except Aborted:
                if is_cancelled():
                    raise
            else:
                return

    return read


def aside(loaded: Loaded, let_pass: Callable[[], None], is_cancelled: Callable[[], bool]) -> Read:
    """Reads, but is interrupted for others, who use the same context, and then goes on.

    What they took of the context comes back from where it was parked, or is read again.
    """
    context = loaded.context

    def read(tokens: Sequence[int]) -> None:
        wanted = [*context.tokens, *tokens]
        while len(context.tokens) < len(wanted):
            try:
                context.evaluate(wanted[len(context.tokens) :])
            except Aborted:
                if is_cancelled():
                    raise
                let_pass()
                loaded.recall.begin(wanted)

    return read


def _speak(loaded: Loaded, question: Question, read: Read, timings: Timings) -> Iterator[Piece]:
    started_s = time.perf_counter()
    model, context = loaded.model, loaded.context
    stream, trail = TextStream(question.stop), TokenTrail()
    logprob, finish = 0.0, _STOP
    n_most = min(question.max_tokens, context.n_ctx - len(question.prompt))
    for n_generated in range(1, n_most + 1):
        logits = _says_now(context, notes=n_generated <= _N_NOTED)
        choice = question.choose(logits)
        if choice.token is None:
            break
        loaded.n_generated_total += 1
        logprob += choice.logprob
        if question.n_logprobs:
            trail.add(stream.n_chars, tell(model, logits, choice.token, question.n_logprobs))
        text = stream.push(model.piece(choice.token))
        timings = replace(
            timings,
            n_generated_tokens=n_generated,
            decode_ms=(time.perf_counter() - started_s) * 1000,
        )
        if text:
            yield Piece(text, logprob, timings, "", trail.shown(len(text)))
            logprob = 0.0
        if stream.is_stopped:
            break
        try:
            read([choice.token])
        except Aborted:
            return
    else:
        finish = _LENGTH
    text = stream.finish()
    told = trail.shown(len(text)) if stream.is_stopped else trail.rest()
    yield Piece(text, logprob, timings, finish, told)


def _says_now(context: Context, *, notes: bool) -> NDArray[np.float32]:
    """What the model says after the last token: remembered, or just evaluated."""
    noted = context.noted(len(context.tokens))
    if noted is not None:
        return noted
    logits = context.logits()
    if notes:
        context.note(logits)
    return logits


_STOP: Finish = "stop"
_LENGTH: Finish = "length"
