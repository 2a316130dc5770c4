"""One request from the cursor to the text that is shown: the order of the stages stands here only.

Invariant: no IO, clock, thread or logger; whoever calls brings the engine, the cache and the
snippets.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tabby_lsp.completion.cache import NOTHING, CompletionCache, Place
from tabby_lsp.completion.discretion import without_secrets
from tabby_lsp.completion.indentation import MODEL_STEP, for_model, from_model, step_of
from tabby_lsp.completion.postprocess import postprocess
from tabby_lsp.completion.stops import end_of
from tabby_lsp.completion.trigger import Scope, refusal, scope
from tabby_lsp.domain import (
    Completion,
    Engine,
    GenerationRequest,
    Reason,
    Segments,
    Snippet,
    Timings,
)
from tabby_lsp.secrets import holds_secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tabby_lsp.completion.cursor import Cursor


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Where a completion is asked for, and by whom."""

    uri: str
    cursor: Cursor
    path: str  # relative to the workspace folder; "" where there is none
    repository: str
    automatic: bool  # asked by the editor on its own, not by the user

    @property
    def place(self) -> Place:
        """What the cache knows it by."""
        return Place(self.uri, self.cursor.prefix, self.cursor.suffix)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may be generated."""

    max_block_tokens: int
    max_line_tokens: int
    offers_blocks: bool


@dataclass(slots=True)
class Account:
    """What an answer has cost so far; whoever cancels the pipeline still finds it here."""

    timings: Timings = field(default_factory=Timings)
    segments: Segments | None = None
    hear: Callable[[str], None] = field(default=lambda text: None)  # called as the text grows


@dataclass(frozen=True, slots=True)
class Answer:
    """The completion, or the reason why there is none."""

    completion: Completion | None
    reason: Reason


def at_hand(question: Question, cache: CompletionCache) -> Answer | None:
    """What can be said without a model: what is known, or why there is nothing; else None."""
    cursor = question.cursor
    # 1) Is there an answer already?
    known = cache.get(question.place)
    if known is not None and (known.text or question.automatic):
        return Answer(known, "cached") if known.text else Answer(None, "cached-nothing")
    # 2) Should there be one?
    if why_not := refusal(cursor, question.automatic):
        return Answer(None, why_not)
    if holds_secret(cursor.line_before):
        return Answer(None, "secret-on-line")
    return None


async def ask_model(
    question: Question,
    limits: Limits,
    cache: CompletionCache,
    gather: Callable[[], Awaitable[tuple[Snippet, ...]]],
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
    request = GenerationRequest(account.segments, max_tokens, document=question.uri)
    text, is_cut = await _generate(engine, request, cursor, chosen, account, step)
    # 5) What of it is worth showing?
    completion = postprocess(text, cursor, chosen)
    cache.put(question.place, completion or NOTHING)
    if completion is None:
        return Answer(None, "filtered" if text.strip() or is_cut else "nothing-to-add")
    return Answer(completion, chosen)


def first_lines(text: str, question: Question) -> Completion | None:
    """What can be shown of an answer that is still being written: its whole lines."""
    whole = text.rpartition("\n")[0]
    return postprocess(whole, question.cursor, "block") if whole.strip() else None


def _segments(question: Question, snippets: tuple[Snippet, ...], step: str) -> Segments:
    return Segments(
        prefix=for_model(without_secrets(question.cursor.prefix), step),
        suffix=for_model(without_secrets(question.cursor.suffix), step),
        path=question.path,
        repository=question.repository,
        language=question.cursor.language,
        snippets=snippets,
        rest_closes=question.cursor.rest_closes,
    )


async def _generate(
    engine: Engine,
    request: GenerationRequest,
    cursor: Cursor,
    chosen: Scope,
    account: Account,
    step: str,
) -> tuple[str, bool]:
    """The text up to where it ends, and whether the model had said more."""
    said = text = ""
    async with aclosing(engine.complete(request)) as pieces:
        async for piece in pieces:
            said += piece.text
            text = from_model(said, step, begins_line=cursor.begins_line)
            account.timings = piece.timings
            account.hear(text)
            end = end_of(text, cursor, chosen)
            if end is not None:
                return text[:end], bool(text[end:].strip())
    return text, False
