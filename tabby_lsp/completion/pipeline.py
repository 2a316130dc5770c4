"""One request from the cursor to the text that is shown: the order of the stages stands here only.

Invariant: no IO, clock, thread or logger; whoever calls brings the engine, the cache and the
snippets.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from tabby_lsp.completion.cache import NOTHING, CompletionCache
from tabby_lsp.completion.confidence import Confidence
from tabby_lsp.completion.discretion import (
    further_without_secrets,
    sides_without_secrets,
    without_secrets,
)
from tabby_lsp.completion.following import accepted, entered, past_closers
from tabby_lsp.completion.indentation import MODEL_STEP, for_model, from_model, step_of
from tabby_lsp.completion.place import Place
from tabby_lsp.completion.postprocess import postprocess
from tabby_lsp.completion.stops import end_of
from tabby_lsp.completion.trigger import refusal, scope
from tabby_lsp.domain import (
    Completion,
    Engine,
    GenerationRequest,
    Reason,
    Sampling,
    Segments,
    Snippet,
    Timings,
)
from tabby_lsp.secrets import holds_secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from tabby_lsp.completion.cursor import Cursor
    from tabby_lsp.completion.trigger import Scope
    from tabby_lsp.domain import Finish


# Of the document above and below, the same at most keys.
_N_FURTHER_KEPT = 16
# No answer goes on after so many blank lines (`stops.py`).
_END_OF_ANY = ("\n\n\n",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Where a completion is asked for, and by whom."""

    uri: str
    cursor: Cursor
    path: str  # relative to the workspace folder; "" where there is none
    imports: str = ""  # the file's, those above the cursor
    repository: str
    further: Callable[[], Sequence[str]] = tuple  # more of the document, the nearest last
    automatic: bool  # asked by the editor on its own, not by the user
    is_ahead: bool = False  # asked by nobody yet
    n_candidates: int = 1  # how many answers there should be to choose from
    takes_unlikely: bool = False  # although nobody may have asked
    sampling: Sampling = field(default_factory=Sampling)

    @property
    def place(self) -> Place:
        """What the cache knows it by."""
        return Place(self.uri, self.cursor.prefix, self.cursor.suffix)


@dataclass(frozen=True, slots=True)
class Gathered:
    """What other files have to say."""

    snippets: tuple[Snippet, ...] = ()  # to be read
    texts: tuple[str, ...] = ()  # to be copied from, the nearest last


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may be generated."""

    max_block_tokens: int
    max_line_tokens: int
    offers_blocks: bool
    least_percent: int = 0  # how likely an answer has to be that nobody has asked for


@dataclass(slots=True)
class Account:
    """What an answer has cost so far; whoever cancels the pipeline still finds it here."""

    timings: Timings = field(default_factory=Timings)
    segments: Segments | None = None
    confidence: Confidence = field(default_factory=Confidence)
    hear: Callable[[str], None] = field(default=lambda text: None)  # called as the text grows


class GaveWayError(Exception):
    """What was made ahead was ended by a question that somebody asks."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The completion, or the reason why there is none."""

    completion: Completion | None
    reason: Reason
    others: tuple[Completion, ...] = ()  # what else may stand there, the best first


def at_hand(question: Question, cache: CompletionCache) -> Answer | None:
    """What can be said without a model: what is known, or why there is nothing; else None."""
    cursor = question.cursor
    # 1) Is there an answer already?
    known, others = cache.get(question.place), cache.others(question.place)
    if known is not None and _is_enough(known, others, question):
        if not known.text:
            return Answer(None, "cached-nothing")
        return Answer(known, "cached", others or ())
    # 2) Should there be one?
    if why_not := refusal(cursor, question.automatic):
        return Answer(None, why_not)
    if holds_secret(cursor.line_before + cursor.rest):
        return Answer(None, "secret-on-line")
    return None


async def ask_model(
    question: Question,
    limits: Limits,
    cache: CompletionCache,
    gather: Callable[[], Awaitable[Gathered]],
    engine: Engine,
    account: Account,
) -> Answer:
    """Generate what was not at hand, and remember it.

    Raises EngineError when the engine cannot answer.
    """
    cursor = question.cursor
    # 3) What may help to find it?
    step = step_of(cursor.prefix) if cursor.language == "python" else MODEL_STEP
    account.segments = _segments(question, await gather(), step)
    # 4) What does the model say, and where does that end?
    chosen = scope(cursor) if limits.offers_blocks else "line"
    max_tokens = limits.max_line_tokens if chosen == "line" else limits.max_block_tokens
    request = GenerationRequest(
        account.segments,
        max_tokens,
        # From a single answer the pipeline hangs up.
        stop=_END_OF_ANY if question.n_candidates > 1 else (),
        is_one_line=chosen == "line",
        document=question.uri,
        n_candidates=question.n_candidates,
        is_ahead=question.is_ahead,
        sampling=question.sampling,
    )
    takes_all = not question.automatic or question.takes_unlikely
    least_percent = 0 if takes_all else limits.least_percent
    said = await _generate(engine, request, _Ear(cursor, chosen, step, least_percent), account)
    # 5) What of it is worth showing?
    if said[0].raw.strip() and account.confidence.is_less_than(least_percent):
        cache.put(question.place, NOTHING)
        return Answer(None, "low-confidence")
    found = [postprocess(each.text, cursor, chosen) for each in said]
    # What stands on the screen stays first.
    best, *others = _different([cache.get(question.place), *found]) or [NOTHING]
    if best.text and said[0].is_whole:
        _remember_end(question, best, cache)
    cache.put(question.place, best, tuple(others) if question.n_candidates > 1 else None)
    if not best.text:
        has_said = any(each.text.strip() or each.is_cut for each in said)
        return Answer(None, "filtered" if has_said else "nothing-to-add")
    return Answer(best, chosen, tuple(others))


def next_question(
    question: Question, completion: Completion, cache: CompletionCache
) -> Question | None:
    """What will be asked once a completion has been accepted; None where that is known.

    It is asked at the end of its text, or, where there is nothing to add, on the next line.
    """
    end = accepted(question.cursor, completion)
    for following in (end, entered(end)):
        if following is None:
            return None
        asked = replace(question, cursor=following, automatic=True, is_ahead=True, n_candidates=1)
        answer = at_hand(asked, cache)
        if answer is None:
            return asked
        if answer.reason != "cached-nothing":
            return None
    return None


def _is_enough(
    known: Completion, others: tuple[Completion, ...] | None, question: Question
) -> bool:
    """Who asks explicitly is not told "nothing" by what was made unasked, nor given one for all."""
    if question.automatic or others is not None:
        return True
    return question.n_candidates == 1 and bool(known.text)


def first_lines(text: str, question: Question) -> Completion | None:
    """What can be shown of an answer that is still being written: its whole lines."""
    whole = text.rpartition("\n")[0]
    return postprocess(whole, question.cursor, "block") if whole.strip() else None


def _segments(question: Question, gathered: Gathered, step: str) -> Segments:
    prefix, suffix = sides_without_secrets(question.cursor.prefix, question.cursor.suffix)
    return Segments(
        prefix=for_model(prefix, step),
        suffix=for_model(suffix, step),
        imports=for_model(without_secrets(question.imports), step),
        path=question.path,
        repository=question.repository,
        language=question.cursor.language,
        snippets=gathered.snippets,
        rest_closes=question.cursor.rest_closes,
        further=(*gathered.texts, *(_further(text, step) for text in question.further())),
    )


@lru_cache(maxsize=_N_FURTHER_KEPT)
def _further(text: str, step: str) -> str:
    return for_model(further_without_secrets(text), step)


def _remember_end(question: Question, completion: Completion, cache: CompletionCache) -> None:
    """A model that has ended a line has nothing to add to it, unless the line opens a block."""
    end = accepted(question.cursor, completion)
    for cursor in (end, past_closers(end)):
        at_end = replace(question, cursor=cursor)
        if scope(cursor) == "line" and cache.get(at_end.place) is None:
            cache.put(at_end.place, NOTHING)


def _different(found: Iterable[Completion | None]) -> list[Completion]:
    """The completions with something to show, each once, in their order."""
    by_text: dict[str, Completion] = {}
    for each in found:
        if each is not None and each.text:
            by_text.setdefault(each.text.strip(), each)
    return [*by_text.values()]


@dataclass(slots=True)
class _Said:
    """One answer of a model."""

    raw: str = ""
    text: str = ""  # up to where it ends
    is_over: bool = False
    is_cut: bool = False  # the model had said more
    finish: Finish = ""

    @property
    def is_whole(self) -> bool:
        """Whether it was not cut off by the limit of tokens."""
        return self.is_over or self.finish != "length"


@dataclass(frozen=True, slots=True)
class _Ear:
    """How what a model says is heard."""

    cursor: Cursor
    chosen: Scope
    step: str  # of the document's indentation
    least_percent: int  # an answer that is less likely is not heard to its end


async def _generate(
    engine: Engine, request: GenerationRequest, ear: _Ear, account: Account
) -> list[_Said]:
    """The answers, at least one.

    Raises GaveWayError where something made ahead did not come to its end.
    """
    answers = [_Said()]
    async with aclosing(engine.complete(request)) as pieces:
        async for piece in pieces:
            answers += [_Said() for _ in range(len(answers), piece.candidate + 1)]
            said = answers[piece.candidate]
            account.timings = piece.timings
            if said.is_over:
                continue
            said.raw, said.finish = said.raw + piece.text, piece.finish
            said.text = from_model(said.raw, ear.step, begins_line=ear.cursor.begins_line)
            if said is answers[0]:
                account.confidence.hear(piece)
                account.hear(said.text)
                if account.confidence.is_less_than(ear.least_percent):
                    said.is_over = True
                    break
            end = end_of(said.text, ear.cursor, ear.chosen)
            if end is not None:
                said.is_over, said.is_cut = True, bool(said.text[end:].strip())
                said.text = said.text[:end]
            if len(answers) == request.n_candidates and all(each.is_over for each in answers):
                break
    if request.is_ahead and not answers[0].is_over and not answers[0].finish:
        raise GaveWayError
    return answers
