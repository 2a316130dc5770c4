"""The composition root: chooses the parts by the settings, joins them, and owns their lifetimes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from tabby_lsp.ahead import Ahead
from tabby_lsp.beside import Beside
from tabby_lsp.choice import (
    chat_engine_for,
    chat_engine_settings,
    engine_for,
    engine_settings,
)
from tabby_lsp.completion import pipeline
from tabby_lsp.completion.cache import CompletionCache
from tabby_lsp.completion.debounce import Pace, delay_ms
from tabby_lsp.config import state_dir
from tabby_lsp.documents import canonical_uri
from tabby_lsp.domain import (
    ChatEngine,
    Completion,
    Decision,
    Engine,
    EngineError,
    Outcome,
    Reason,
)
from tabby_lsp.engines.llama.precedence import Precedence
from tabby_lsp.fates import Fates
from tabby_lsp.ledger import Ledger
from tabby_lsp.request import n_line_chars, question_of
from tabby_lsp.secrets import is_secret_uri
from tabby_lsp.sharing import Sharing
from tabby_lsp.talk import Talk

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tabby_lsp.choice import Runner
    from tabby_lsp.config import ContextSettings, Settings
    from tabby_lsp.request import Ask

logger = logging.getLogger(__name__)

# The argument of the CancelledError that a newer request for the same document causes.
SUPERSEDED = "superseded"

# Some minutes of typing; `tabby.inspect` shows them.
_N_DECISIONS_KEPT = 1000
# Of so many of them with the text round the cursor, which is thousands of characters.
_N_TEXTS_KEPT = 100
# Of a server's last answers, the times are averaged; tabby-agent's number.
_N_RESPONSES_KEPT = 10

# What is larger was not written by hand (the limits asked for in yegappan/lsp#762, theia#2599).
_MAX_DOCUMENT_CHARS = 5_000_000
_MAX_LINE_CHARS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is shown, if anything, and the record of why."""

    completion: Completion | None
    decision: Decision
    others: tuple[Completion, ...] = ()  # what else may stand there, the best first


class App:
    """The engine, the caches and the snippets behind every face; lives until `close`."""

    def __init__(
        self, settings: Settings, engine: Engine, chat_engine: ChatEngine, runner: Runner
    ) -> None:
        self.settings = settings
        self.engine = engine
        self.chat_engine = chat_engine
        self._runner = runner
        self.fates = Fates(Ledger(stats_path()) if settings.stats.enabled else None)
        self.decisions: deque[Decision] = deque(maxlen=_N_DECISIONS_KEPT)
        self._cache = CompletionCache()
        self._sharing = Sharing()
        self._ahead = Ahead()
        self._late: dict[str, asyncio.Task[pipeline.Answer]] = {}  # by the document's uri
        self._beside = Beside()
        self._pace = Pace()
        self._last_asked_s = 0.0
        self._responses_ms: deque[float] = deque(maxlen=_N_RESPONSES_KEPT)
        self._last_failure = ""

    async def complete(self, ask: Ask) -> Reply:
        """Answer one request, and record why it was answered so; raises CancelledError only."""
        return await self._recorded(ask, lambda account: self._answer(ask, account))

    async def complete_within(self, ask: Ask, limit_s: float) -> Reply:
        """Like `complete`, but with what there is after `limit_s`.

        The model goes on, so that a later request finds what it says.
        """
        return await self._recorded(ask, lambda account: self._answer_within(ask, account, limit_s))

    def withdraw(self, decision: Decision, reason: Reason) -> None:
        """Correct the record of an answer that was not shown after all."""
        with suppress(ValueError):
            self.decisions[self.decisions.index(decision)] = replace(
                decision, outcome="empty", reason=reason
            )

    def silence(self, language: str, uri: str) -> Reason | None:
        """Why nothing is offered in a document at all, as one word; None where it is."""
        status, settings = self.engine.status, self.settings.completion
        if not settings.enabled:
            return "disabled"
        if language in settings.disabled_languages:
            return "language-disabled"
        if is_secret_uri(uri):
            return "secret-file"
        if status.state == "failed":
            return "model-failed"
        if status.languages and language not in status.languages:
            return "language-unknown-to-model"
        return None

    async def apply(self, settings: Settings) -> None:
        """Go on with other settings; the engine is only replaced where they ask for another one."""
        was, self.settings = self.settings, settings
        if (was.stats.enabled) != settings.stats.enabled:
            self.fates = Fates(Ledger(stats_path()) if settings.stats.enabled else None)
        answering = self._sharing
        if was != settings:
            self._ahead.end()
            # What was answered with other settings is no answer any more.
            self._cache, self._sharing = CompletionCache(), Sharing()
        if engine_settings(was) != engine_settings(settings):
            newer = await asyncio.to_thread(engine_for, settings, self._runner)
            old, self.engine = self.engine, newer
            answering.end()
            await old.close()
        if chat_engine_settings(was) != chat_engine_settings(settings):
            chats = await asyncio.to_thread(chat_engine_for, settings, self._runner)
            chatted, self.chat_engine = self.chat_engine, chats
            await chatted.close()

    def talk(self) -> Talk:
        """The chat, as the present settings have it."""
        neighbours = self._beside.neighbours
        return Talk(self.chat_engine, neighbours, self.settings.chat, self.settings.context)

    def opened(self, ask: Callable[[], Ask]) -> None:
        """A document was opened: the files beside it are read before the first key in it.

        In a moment `ask` tells what would be asked there, and the settings are those of then.
        """

        def wanted() -> tuple[Ask, ContextSettings] | None:
            asked = ask()
            is_silent = self.silence(asked.language, asked.uri) is not None
            return None if is_silent else (asked, self.settings.context)

        self._beside.opened(wanted)

    def saved(self, path: Path) -> None:
        """A file has changed on disk; what was read there and then is read again."""
        self._beside.neighbours.saved(path)

    def closed(self, uri: str) -> None:
        """A document is no longer open; `uri` is its canonical one."""
        self.fates.ended(uri)
        self._beside.closed(uri)
        self._end_late(uri)
        self._ahead.end(uri)

    async def close(self) -> None:
        """Give everything back; harmless a second time."""
        self.fates.end_all()
        self._ahead.end()
        self._beside.end()
        self._sharing.end()
        await asyncio.gather(self.engine.close(), self.chat_engine.close())

    async def _recorded(
        self, ask: Ask, work: Callable[[pipeline.Account], Awaitable[pipeline.Answer]]
    ) -> Reply:
        started_s = time.perf_counter()
        account = pipeline.Account()
        answer = pipeline.Answer(None, "internal-error")
        outcome: Outcome = "failed"
        try:
            answer = await work(account)
            outcome = "shown" if answer.completion else "empty"
        except asyncio.CancelledError as error:
            outcome = "superseded" if SUPERSEDED in error.args else "cancelled"
            answer = pipeline.Answer(None, outcome)
            raise
        except EngineError as error:
            is_away = self.engine.status.state == "away"
            answer = pipeline.Answer(None, "engine-away" if is_away else "engine-failed")
            self._log_failure(error)
        except Exception:
            logger.exception("no completion: a fault of tabby-lsp itself")
        finally:
            total_ms = (time.perf_counter() - started_s) * 1000
            decision = self._decision(ask, outcome, answer.reason, account, total_ms)
            self._record(decision)
        if answer.completion is not None and answer.reason != "first-lines":
            self._look_ahead(ask, answer.completion)
        return Reply(completion=answer.completion, decision=decision, others=answer.others)

    def _record(self, decision: Decision) -> None:
        self.decisions.append(decision)
        if len(self.decisions) > _N_TEXTS_KEPT:
            old = self.decisions[-_N_TEXTS_KEPT - 1]
            if old.segments is not None:
                without = replace(old.segments, prefix="", suffix="", imports="", further=())
                self.decisions[-_N_TEXTS_KEPT - 1] = replace(old, segments=without)

    async def _answer_within(
        self, ask: Ask, account: pipeline.Account, limit_s: float
    ) -> pipeline.Answer:
        answering = asyncio.ensure_future(self._answer(ask, account))
        try:
            await asyncio.wait([answering], timeout=limit_s)
        except asyncio.CancelledError:
            answering.cancel()
            raise
        if answering.done():
            return answering.result()
        self._late[canonical_uri(ask.uri)] = answering
        answering.add_done_callback(self._log_late)
        lines = self._sharing.so_far(question_of(ask))
        return pipeline.Answer(lines, "first-lines" if lines else "not-yet")

    def _end_late(self, uri: str) -> None:
        late = self._late.pop(uri, None)
        if late is not None:
            late.cancel()

    async def _answer(self, ask: Ask, account: pipeline.Account) -> pipeline.Answer:
        question = question_of(ask)
        self._ahead.heed(question.place)
        # A cancelled one leaves what it shares with this one only after this one has joined.
        self._end_late(canonical_uri(ask.uri))
        if why_not := self.silence(ask.language, ask.uri):
            return pipeline.Answer(None, why_not)
        if ask.n_document_chars > _MAX_DOCUMENT_CHARS or n_line_chars(ask) > _MAX_LINE_CHARS:
            return pipeline.Answer(None, "too-large")
        if self.engine.status.state not in ("ready", "away"):
            return pipeline.Answer(None, "model-loading")
        wait_s, has_waited = self._wait_s(ask, question), False
        while (answer := pipeline.at_hand(question, self._cache)) is None:
            found = self._sharing.find(question)
            if found is not None:
                answer = await self._sharing.join(*found)
                if answer is not None and not found[1]:
                    return _of_another(answer)
            elif wait_s and not has_waited:
                await asyncio.sleep(wait_s)
                has_waited = True
            else:
                return await self._ask_model(ask, question, account)
        return answer

    async def _ask_model(
        self, ask: Ask, question: pipeline.Question, account: pipeline.Account
    ) -> pipeline.Answer:
        settings, cache, engine = self.settings.completion, self._cache, self.engine
        limits = pipeline.Limits(
            max_block_tokens=settings.max_tokens,
            max_line_tokens=settings.max_line_tokens,
            offers_blocks=settings.block == "auto",
            least_percent=settings.confidence,
        )

        gather = partial(self._beside.of, ask, self.settings.context)

        async def answer(hear: Callable[[str], None]) -> pipeline.Answer:
            account.hear = hear
            given = await pipeline.ask_model(question, limits, cache, gather, engine, account)
            if account.timings.total_ms and not question.is_ahead:
                self._responses_ms.append(account.timings.total_ms)
                self._last_failure = ""
            return given

        return await self._sharing.begin(question, answer)

    def _look_ahead(self, ask: Ask, completion: Completion) -> None:
        """Prepare what will be asked when the suggestion has been accepted."""
        wanted, cache = self.settings.completion.ahead, self._cache
        if wanted == "never" or (wanted == "auto" and self.engine.status.is_remote):
            return
        question = pipeline.next_question(question_of(ask), completion, cache)
        if question is None:
            return

        async def prepare() -> None:
            is_known = pipeline.at_hand(question, cache) is not None
            if not is_known and self._sharing.find(question) is None:
                await self._ask_model(ask, question, pipeline.Account())

        self._ahead.begin(question.place, prepare)

    def _wait_s(self, ask: Ask, question: pipeline.Question) -> float:
        """How long to wait for a newer request; a server far away is not asked at every key."""
        if not ask.automatic or self._sharing.is_at(question):
            return 0
        asked_s, self._last_asked_s = self._last_asked_s, time.perf_counter()
        self._pace = self._pace.after((self._last_asked_s - asked_s) * 1000)
        wanted_ms: float = self.settings.completion.debounce_ms
        if not wanted_ms and self.engine.status.is_remote:
            response_ms = sum(self._responses_ms) / max(1, len(self._responses_ms))
            wanted_ms = delay_ms(self._pace, question.cursor, response_ms)
        return max(0, wanted_ms - ask.waited_ms) / 1000

    def _log_failure(self, error: EngineError) -> None:
        """A server that is away is away at every key."""
        if str(error) != self._last_failure:
            self._last_failure = str(error)
            logger.warning("no completion: %s", error)

    def _log_late(self, late: asyncio.Task[pipeline.Answer]) -> None:
        error = None if late.cancelled() else late.exception()
        if isinstance(error, EngineError):
            self._log_failure(error)
        elif error is not None:
            logger.error("no completion: a fault of tabby-lsp itself", exc_info=error)

    def _decision(
        self, ask: Ask, outcome: Outcome, reason: Reason, account: pipeline.Account, total_ms: float
    ) -> Decision:
        return Decision(
            uri=ask.uri,
            version=ask.version,
            line=ask.line,
            character=ask.character,
            outcome=outcome,
            reason=reason,
            model=self.engine.status.model,
            timings=replace(account.timings, total_ms=total_ms),
            shape=ask.shape,
            segments=account.segments,
        )


def build(settings: Settings, runner: Runner | None = None) -> App:
    """Everything that the settings ask for; a model that cannot be used is found out here.

    Without a `runner` this process runs the models of this machine.
    """
    runner = runner or Precedence()
    chat_engine = chat_engine_for(settings, runner)
    return App(settings, engine_for(settings, runner), chat_engine, runner)


def stats_path() -> Path:
    """Where it is written down what became of suggestions."""
    return state_dir() / "suggestions.jsonl"


def _of_another(answer: pipeline.Answer) -> pipeline.Answer:
    """An answer that another request has got too: known already, as one from the cache is."""
    return replace(answer, reason="cached") if answer.completion else answer
