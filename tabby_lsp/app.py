"""The composition root: chooses the parts by the settings, joins them, and owns their lifetimes."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tabby_lsp.completion import pipeline
from tabby_lsp.completion.cache import CompletionCache
from tabby_lsp.completion.cursor import Cursor, first_line, last_line
from tabby_lsp.completion.debounce import Pace, delay_ms
from tabby_lsp.completion.snippets import SourceText, best_snippets
from tabby_lsp.config import REMOTE_KINDS, api_key_of, data_dir, state_dir
from tabby_lsp.domain import Completion, Decision, Engine, EngineError, Outcome, Reason, Snippet
from tabby_lsp.engines.absent import AbsentEngine
from tabby_lsp.engines.llama.engine import LlamaEngine
from tabby_lsp.engines.scripted import ScriptedEngine, read_script
from tabby_lsp.fates import Fates
from tabby_lsp.index.neighbours import Neighbours, OpenFile
from tabby_lsp.ledger import Ledger
from tabby_lsp.models.families import fim_of
from tabby_lsp.models.found import locate
from tabby_lsp.models.gguf import read_header
from tabby_lsp.secrets import is_secret_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tabby_lsp.config import EngineSettings, Settings

logger = logging.getLogger(__name__)

# The argument of the CancelledError that a newer request for the same document causes.
SUPERSEDED = "superseded"

# Some minutes of typing; `tabby.inspect` shows them.
_N_DECISIONS_KEPT = 1000
# Copilot gives its context providers as long; what has not come by then comes with the next
# request.
_GATHER_TIMEOUT_S = 0.15
# How far the cursor goes before other snippets are looked for: each change of snippets makes the
# engine read the whole prompt again.
_STICKY_LINES = 12
# Round the cursor, without its own line, so that the choice stays the same while the line is typed.
_QUERY_LINES_BEFORE, _QUERY_LINES_AFTER = 10, 8
# Of a server's last answers, the times are averaged; tabby-agent's number.
_N_RESPONSES_KEPT = 10

# What is larger was not written by hand (the limits asked for in yegappan/lsp#762, theia#2599).
_MAX_DOCUMENT_CHARS = 5_000_000
_MAX_LINE_CHARS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request for a completion, as the editor or the command line makes it."""

    uri: str
    version: int
    language: str
    path: Path | None  # None for documents that are not files
    root: Path | None  # the workspace folder it lies in
    line: int
    character: int  # in the client's own units, for the record only
    prefix: str
    suffix: str
    n_document_chars: int
    automatic: bool
    waited_ms: float = 0  # for a newer key, by the editor before it asked
    others: Sequence[OpenFile] = ()  # the other documents that are open, latest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is shown, if anything, and the record of why."""

    completion: Completion | None
    decision: Decision


class App:
    """The engine, the caches and the snippets behind every face; lives until `close`."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self.settings = settings
        self.engine = engine
        self.fates = Fates(Ledger(stats_path()) if settings.stats.enabled else None)
        self.decisions: deque[Decision] = deque(maxlen=_N_DECISIONS_KEPT)
        self._cache = CompletionCache()
        self._neighbours = Neighbours()
        self._sticky: dict[str, tuple[int, tuple[Snippet, ...]]] = {}
        self._pace = Pace()
        self._last_asked_s = 0.0
        self._responses_ms: deque[float] = deque(maxlen=_N_RESPONSES_KEPT)
        self._last_failure = ""

    async def complete(self, ask: Ask) -> Reply:
        """Answer one request, and record why it was answered so; raises CancelledError only."""
        started_s = time.perf_counter()
        account = pipeline.Account()
        answer = pipeline.Answer(None, "internal-error")
        outcome: Outcome = "failed"
        try:
            answer = await self._answer(ask, account)
            outcome = "shown" if answer.completion else "empty"
        except asyncio.CancelledError as error:
            outcome = "superseded" if SUPERSEDED in error.args else "cancelled"
            answer = pipeline.Answer(None, outcome)
            raise
        except EngineError as error:
            is_away = self.engine.status.state == "away"
            answer = pipeline.Answer(None, "engine-away" if is_away else "engine-failed")
            self._log_failure(str(error))
        except Exception:
            logger.exception("no completion: a fault of tabby-lsp itself")
        finally:
            total_ms = (time.perf_counter() - started_s) * 1000
            decision = self._decision(ask, outcome, answer.reason, account, total_ms)
            self.decisions.append(decision)
        return Reply(completion=answer.completion, decision=decision)

    def silence(self, language: str, uri: str) -> Reason | None:
        """Why nothing is offered in a document at all, as one word; None where it is."""
        status, settings = self.engine.status, self.settings.completion
        if not settings.enabled:
            return "disabled"
        if language in settings.disabled_languages:
            return "language-disabled"
        if is_secret_path(unquote(re.split(r"[?#]", uri, maxsplit=1)[0])):
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
        if was != settings:
            # What was answered with other settings is no answer any more.
            self._cache = CompletionCache()
            self._sticky.clear()
        if _engine_settings(was) != _engine_settings(settings):
            newer = await asyncio.to_thread(_engine, settings)
            old, self.engine = self.engine, newer
            await old.close()

    def saved(self, path: Path) -> None:
        """A file has changed on disk; what was read there and then is read again."""
        self._neighbours.saved(path)

    def closed(self, uri: str) -> None:
        """A document is no longer open."""
        self.fates.ended(uri)
        self._sticky.pop(uri, None)

    async def close(self) -> None:
        """Give everything back; harmless a second time."""
        self.fates.end_all()
        await self.engine.close()

    async def _answer(self, ask: Ask, account: pipeline.Account) -> pipeline.Answer:
        if why_not := self.silence(ask.language, ask.uri):
            return pipeline.Answer(None, why_not)
        if ask.n_document_chars > _MAX_DOCUMENT_CHARS or _line_chars(ask) > _MAX_LINE_CHARS:
            return pipeline.Answer(None, "too-large")
        if self.engine.status.state not in ("ready", "away"):
            return pipeline.Answer(None, "model-loading")
        settings = self.settings.completion
        limits = pipeline.Limits(
            max_block_tokens=settings.max_tokens,
            max_line_tokens=settings.max_line_tokens,
            offers_blocks=settings.block == "auto",
        )
        question = pipeline.Question(
            uri=ask.uri,
            cursor=Cursor(prefix=ask.prefix, suffix=ask.suffix, language=ask.language),
            path=_relative(ask.path, ask.root),
            repository=ask.root.name if ask.root else "",
            automatic=ask.automatic,
        )
        wait_s = self._wait_s(ask, question.cursor)

        async def snippets() -> tuple[Snippet, ...]:
            # What is known already has been shown by now; only the model is worth waiting for.
            await asyncio.sleep(wait_s)
            return await self._gather(ask)

        answer = await pipeline.complete(
            question, limits, self._cache, snippets, self.engine, account
        )
        if account.timings.total_ms:
            self._responses_ms.append(account.timings.total_ms)
            self._last_failure = ""
        return answer

    def _wait_s(self, ask: Ask, cursor: Cursor) -> float:
        """How long to wait for a newer request; a server far away is not asked at every key."""
        if not ask.automatic:
            return 0
        asked_s, self._last_asked_s = self._last_asked_s, time.perf_counter()
        self._pace = self._pace.after((self._last_asked_s - asked_s) * 1000)
        wanted_ms: float = self.settings.completion.debounce_ms
        if not wanted_ms and self.engine.status.is_remote:
            response_ms = sum(self._responses_ms) / max(1, len(self._responses_ms))
            wanted_ms = delay_ms(self._pace, cursor, response_ms)
        return max(0, wanted_ms - ask.waited_ms) / 1000

    def _log_failure(self, message: str) -> None:
        """A server that is away is away at every key."""
        if message != self._last_failure:
            self._last_failure = message
            logger.warning("no completion: %s", message)

    async def _gather(self, ask: Ask) -> tuple[Snippet, ...]:
        """The snippets for a place; the same ones as before while the cursor stays near it."""
        context = self.settings.context
        if not context.snippets or ask.path is None or ask.root is None:
            return ()
        line, snippets = self._sticky.get(ask.uri, (None, ()))
        if line is not None and abs(ask.line - line) <= _STICKY_LINES:
            return snippets
        found = await self._neighbours.around(
            ask.path, ask.root, ask.language, ask.others, _GATHER_TIMEOUT_S
        )
        candidates = [SourceText(path, texts) for path, texts in found.files]
        snippets = await asyncio.to_thread(
            best_snippets, _query(ask), candidates, context.max_snippets, context.snippet_chars
        )
        if found.is_complete:
            self._sticky[ask.uri] = (ask.line, snippets)
        return snippets

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
            segments=account.segments,
        )


def build(settings: Settings) -> App:
    """Everything that the settings ask for; a model that cannot be used is found out here."""
    return App(settings, _engine(settings))


def stats_path() -> Path:
    """Where it is written down what became of suggestions."""
    return state_dir() / "suggestions.jsonl"


def _engine_settings(settings: Settings) -> tuple[object, ...]:
    return settings.model, settings.engine, settings.engines, settings.local


def _engine(settings: Settings) -> Engine:
    try:
        if settings.engine in settings.engines:
            return _own_engine(settings.engine, settings.engines[settings.engine])
        header = read_header(locate(settings.model, data_dir()))
        return LlamaEngine(settings.model, header, fim_of(header), settings.local)
    except EngineError as error:
        own = settings.engine if settings.engine in settings.engines else ""
        return AbsentEngine(own or settings.model, str(error))


def _own_engine(name: str, engine: EngineSettings) -> Engine:
    """The engine of a table `[engines.NAME]`; raises EngineError."""
    if engine.kind not in REMOTE_KINDS:
        return ScriptedEngine(read_script(Path(engine.file)))
    # The HTTP client takes a tenth of a second to import, and most have no use for it.
    from tabby_lsp.engines.remote.engine import remote_engine

    return remote_engine(name, engine, api_key_of(engine))


def _line_chars(ask: Ask) -> int:
    return len(last_line(ask.prefix)) + len(first_line(ask.suffix))


def _query(ask: Ask) -> str:
    before = ask.prefix.split("\n")[-_QUERY_LINES_BEFORE - 1 : -1]
    after = ask.suffix.split("\n", _QUERY_LINES_AFTER + 1)[1 : _QUERY_LINES_AFTER + 1]
    return "\n".join([*before, *after])


def _relative(path: Path | None, root: Path | None) -> str:
    if path is None:
        return ""
    if root is not None and path.is_relative_to(root):
        return path.relative_to(root).as_posix()
    return path.name
