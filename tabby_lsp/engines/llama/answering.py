"""One answer to a prompt, token by token, on the worker's thread."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tabby_lsp.domain import Piece, Timings
from tabby_lsp.engines.llama.context import Aborted
from tabby_lsp.engines.llama.drafting import Drafting
from tabby_lsp.engines.llama.drawing import tell
from tabby_lsp.engines.llama.speculation import Speculation
from tabby_lsp.engines.llama.text import TextStream, TokenTrail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from tabby_lsp.domain import Finish, Sampling, TokenLogprobs
    from tabby_lsp.engines.llama.context import Context
    from tabby_lsp.engines.llama.precedence import Precedence
    from tabby_lsp.engines.llama.resident import Loaded
    from tabby_lsp.engines.llama.sampling import Choice, Choose
    from tabby_lsp.engines.llama.searched import Searched
    from tabby_lsp.engines.llama.speculation import Read

# What an answer may take of the context where the prompt would fill it.
_LARGEST_ANSWER_SHARE = 0.5


# What is said after the last tokens of a prompt and the first ones of its answer is remembered:
# there somebody types on.
_N_NOTED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to read, and how to answer."""

    prompt: list[int]
    max_tokens: int
    stop: tuple[str, ...]
    is_one_line: bool = False
    # A way to choose for each answer behind its first tokens, and what else may stand behind them,
    # the likeliest first.
    choose: Callable[[Sequence[int]], Choose]
    runners_up: Callable[[NDArray[Any], Sequence[int]], Iterator[Choice]] = lambda *_: iter(())
    draft: Callable[[], Drafting] | None = None  # for each answer
    typed: bytes = b""  # what each answer begins with, and is not told
    n_candidates: int = 1
    n_logprobs: int
    asked_s: float  # when work on it began, by `time.perf_counter`
    client: str = ""
    is_ahead: bool = False  # takes nothing away from what is at work
    reads_said: bool = False  # as a cold prompt is read, whatever the model has said itself


def n_prompt_room(context: Context, max_tokens: int) -> int:
    """How many tokens a prompt may have, so that there is room for the answer."""
    return context.n_ctx - min(max_tokens, int(context.n_ctx * _LARGEST_ANSWER_SHARE))


def answer(loaded: Loaded, question: Question, read: Read) -> Iterator[Piece]:
    """Read the prompt as far as it is new, then yield the answer until a rule or the model ends it.

    Ends early, with what was finished kept in the context, when it is stopped for good. Ends with
    the context in any case.
    """
    context = loaded.context
    loaded.recall.begin(
        question.prompt,
        is_ahead=question.is_ahead,
        reads_said=question.reads_said,
        client=question.client,
    )
    n_reused = len(context.tokens)
    speculation = _speculation(loaded, question, read)
    try:
        if n_reused < len(question.prompt):
            speculation.read(question.prompt[n_reused:], question.max_tokens - 1)
    except Aborted:
        return
    finally:
        # Less is there than before where it was stopped while others had the context.
        n_read = min(len(context.tokens), len(question.prompt))
        loaded.n_evaluated_total += max(0, n_read - n_reused)
    timings = Timings(
        n_prompt_tokens=len(question.prompt),
        n_reused_tokens=n_reused,
        n_evaluated_tokens=len(question.prompt) - n_reused,
        prefill_ms=(time.perf_counter() - question.asked_s) * 1000,
    )
    if question.max_tokens:
        yield from _candidates(loaded, question, read, speculation, timings)
    else:
        yield Piece("", 0.0, timings, _LENGTH)


def drafting(
    loaded: Loaded,
    sampling: Sampling,
    searched: Searched,
    before: Sequence[int],
    typed: bytes = b"",
    *,
    is_one_line: bool = False,
) -> Callable[[], Drafting] | None:
    """How each answer to a question is drafted, as Drafting has it; None where it is not.

    What is drawn from a seed is to be the same each time, and a draw may hang on the last digit of
    a probability, which depends on what was computed together.
    """
    if not loaded.context.can_draft or (sampling.temperature and sampling.seed is not None):
        return None
    piece = loaded.model.piece
    return partial(Drafting, loaded.drafts, searched, before, piece, typed, is_one_line=is_one_line)


def patiently(context: Context, precedence: Precedence, is_cancelled: Callable[[], bool]) -> Read:
    """Reads, but stands still at the next graph node for as long as somebody else goes first."""

    def read(tokens: Sequence[int], n_told: int) -> None:
        if not tokens:
            return
        wanted = [*context.tokens, *tokens]
        while True:
            precedence.wait(context.abort_flag, is_cancelled)
            # The last tokens are read in any case, since it is told what comes after them.
            context.keep(min(len(context.tokens), len(wanted) - n_told))
            try:
                context.evaluate(wanted[len(context.tokens) :], n_told)
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

    def read(tokens: Sequence[int], n_told: int) -> None:
        wanted = [*context.tokens, *tokens]
        while len(context.tokens) < len(wanted):
            try:
                context.evaluate(wanted[len(context.tokens) :], n_told)
            except Aborted:
                if is_cancelled():
                    raise
                let_pass()
                # What comes after a token that is left there is noted.
                loaded.recall.begin(wanted[: len(wanted) - n_told + 1])

    return read


def _speculation(loaded: Loaded, question: Question, read: Read) -> Speculation:
    return Speculation(loaded.context, read, question.draft() if question.draft else None)


def _candidates(
    loaded: Loaded, question: Question, read: Read, speculation: Speculation, timings: Timings
) -> Iterator[Piece]:
    """The likeliest answer, then others, each on a sequence of its own.

    They leave it as early as possible: at its first token, and where nothing else can stand there,
    at the next one, unless the memory can only be gone on from the prompt's end.
    """
    context, origin = loaded.context, loaded.context.live
    n_prompt = len(question.prompt)
    best = _Speech(loaded, question, speculation, timings)
    yield from best.pieces()
    every = [best]
    n_places = min(_N_NOTED, max(1, len(best.choices)))
    for n_kept in range(n_places if context.can_fork and question.n_candidates > 1 else 0):
        context.switch(origin)
        if context.reach(origin, n_prompt + n_kept) < n_prompt + n_kept:
            return
        noted = context.noted(n_prompt + n_kept)
        kept = best.choices[:n_kept]
        tokens = [choice.token or 0 for choice in kept]
        raw = b"".join(map(loaded.model.piece, tokens))
        for choice in question.runners_up(noted.logits, tokens) if noted else ():
            if every[-1].is_aborted or len(every) == question.n_candidates:
                return
            begins = (raw + loaded.model.piece(choice.token or 0))[len(question.typed) :]
            # Only where neither is the beginning of the other they are not the same in the end.
            if not begins or any(_begins_alike(begins, other.said) for other in every):
                continue
            context.switch(origin)
            context.fork(n_prompt + n_kept)
            timings = every[-1].timings
            speculation = _speculation(loaded, question, read)
            begun = [*kept, choice]
            every.append(_Speech(loaded, question, speculation, timings, len(every), begun))
            yield from every[-1].pieces()


class _Speech:
    """One answer while it is given."""

    def __init__(
        self,
        loaded: Loaded,
        question: Question,
        speculation: Speculation,
        timings: Timings,
        candidate: int = 0,
        begins: Sequence[Choice] = (),
    ) -> None:
        """It `begins` with tokens of which all but the last are in the context already."""
        self.timings = self._before = timings
        self.said = b""  # without what was typed
        self.choices: list[Choice] = []
        self.is_aborted = False
        self._loaded = loaded
        self._question = question
        self._speculation = speculation
        self._candidate = candidate
        self._begins = begins
        self._n_typed_left = len(question.typed)
        self._started_s = 0.0

    def pieces(self) -> Iterator[Piece]:
        try:
            yield from self._pieces()
        except Aborted:
            self.is_aborted = True
        finally:
            self._speculation.end()

    def _pieces(self) -> Iterator[Piece]:
        question, context, model = self._question, self._loaded.context, self._loaded.model
        speculation = self._speculation
        self._started_s = time.perf_counter()
        choose = question.choose([choice.token or 0 for choice in self._begins])
        stream, trail = TextStream(question.stop, is_one_line=question.is_one_line), TokenTrail()
        text, logprob, finish = "", 0.0, _STOP
        n_most = min(question.max_tokens, context.n_ctx - len(question.prompt))
        n_said = 0
        while True:
            n_generated = len(self.choices)
            if n_generated >= len(self._begins):
                is_noted = n_generated < _N_NOTED
                logits = speculation.says(notes=is_noted)
                choice = choose(logits)
                if speculation.doubts(choice.lead):
                    speculation.read_alone()
                    logits = speculation.says(notes=is_noted)
                    choice = choose(logits)
                speculation.hear(choice)
                if choice.token is None:
                    break
                choose.hear(choice.token)
                if question.n_logprobs:
                    told = tell(model, logits, choice.token, question.n_logprobs)
                    trail.add(stream.n_chars, told)
            else:
                choice = self._begins[n_generated]
                speculation.hear(choice)
            assert choice.token is not None
            self.choices.append(choice)
            self._loaded.n_generated_total += 1
            logprob += choice.logprob
            said = self._untyped(model.piece(choice.token))
            n_said += self._n_typed_left == 0
            text += stream.push(said)
            if stream.is_stopped:
                break
            if n_said >= n_most or speculation.n_read == context.n_ctx:
                finish = _LENGTH
                break
            if text and not speculation.has_read([choice.token]):
                yield self._piece(text, logprob, "", trail.shown(len(text)))
                text, logprob = "", 0.0
            elif n_generated == 0:
                # Nothing can be shown yet, but the prompt is read.
                yield self._piece("", 0.0, "", ())
            if len(self.choices) < len(self._begins):
                continue
            speculation.read([choice.token], n_most - n_said - 1)
        text += stream.finish()
        told_of = trail.shown(len(text)) if stream.is_stopped else trail.rest()
        yield self._piece(text, logprob, finish, told_of)

    def _untyped(self, piece: bytes) -> bytes:
        """What of a token was not typed."""
        n_typed = min(self._n_typed_left, len(piece))
        self._n_typed_left -= n_typed
        self.said += piece[n_typed:]
        return piece[n_typed:]

    def _piece(
        self, text: str, logprob: float, finish: Finish, told: tuple[TokenLogprobs, ...]
    ) -> Piece:
        before = self._before
        self.timings = Timings(
            n_prompt_tokens=before.n_prompt_tokens,
            n_reused_tokens=before.n_reused_tokens,
            n_evaluated_tokens=before.n_evaluated_tokens,
            n_generated_tokens=before.n_generated_tokens + len(self.choices),
            n_drafted_tokens=before.n_drafted_tokens + self._speculation.n_drafted,
            n_accepted_tokens=before.n_accepted_tokens + self._speculation.n_accepted,
            prefill_ms=before.prefill_ms,
            decode_ms=before.decode_ms + (time.perf_counter() - self._started_s) * 1000,
        )
        return Piece(text, logprob, self.timings, finish, told, self._candidate)


def _begins_alike(begins: bytes, other: bytes) -> bool:
    return bool(other) and (begins.startswith(other) or other.startswith(begins))


_STOP: Finish = "stop"
_LENGTH: Finish = "length"
