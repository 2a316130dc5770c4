"""A model in memory: loaded once, asked for streams of pieces, given back at the end."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from tabby_lsp.domain import EngineError, EngineState, EngineStatus, Piece, Timings, Unusable
from tabby_lsp.engines.llama.binding import Model
from tabby_lsp.engines.llama.drafting import Drafts
from tabby_lsp.engines.llama.growing import GrowingTokenizer
from tabby_lsp.engines.llama.marks import context_for
from tabby_lsp.engines.llama.parking import Parking
from tabby_lsp.engines.llama.recall import Recall
from tabby_lsp.engines.llama.worker import GIVEN_BACK, Job, Worker
from tabby_lsp.models.memory import check_fits

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

    from tabby_lsp.config import LocalSettings
    from tabby_lsp.engines.llama.context import Context
    from tabby_lsp.engines.llama.worker import Turn
    from tabby_lsp.models.gguf import Header

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

# How long `close` waits for the thread: an abort takes milliseconds, and a load, which cannot be
# aborted, gives back what it has loaded when it is done.
_CLOSE_TIMEOUT_S = 0.5

# A window for code, not for books: Qwen2.5-Coder is trained for 32,768 tokens and would take a
# gigabyte of KV cache for them.
_LARGEST_DEFAULT_N_CTX = 8192


@dataclass(slots=True)
class Loaded:
    """A model that is ready, and what its context has done so far."""

    model: Model
    context: Context
    recall: Recall
    tokenize: Callable[[str], list[int]]
    drafts: Drafts = field(default_factory=Drafts)
    n_evaluated_total: int = 0  # prompt tokens only
    n_generated_total: int = 0


class Resident:
    """One model, its context and its thread; lives until `close`."""

    def __init__(
        self,
        name: str,
        header: Header,
        settings: LocalSettings,
        wake: Callable[[], None] = lambda: None,
        context_of: Callable[[Model, int, int, int], Context] = context_for,
    ) -> None:
        """`wake` is called when something is cancelled, for work that waits for other things."""
        self.header = header
        self._name = name
        self._settings = settings
        self._wake = wake
        self._context_of = context_of
        self._worker = Worker(self._interrupt, self._resume, self._free)
        self._loading: asyncio.Future[None] | None = None
        self._loaded: Loaded | None = None
        self._state: EngineState = "unloaded"
        self._message = ""

    def status(self, languages: tuple[str, ...] = ()) -> EngineStatus:
        """What the engine that it belongs to says of itself."""
        loaded = self._loaded
        return EngineStatus(
            state=self._state,
            model=self._name,
            languages=languages,
            message=self._message,
            n_evaluated_total=loaded.n_evaluated_total if loaded else 0,
            n_generated_total=loaded.n_generated_total if loaded else 0,
            n_waiting=self._worker.n_waiting,
            n_ctx=loaded.context.n_ctx if loaded else 0,
        )

    async def load(self, prepare: Callable[[Loaded], None] = lambda _: None) -> None:
        """Load the model once; `prepare` is run on its thread before it is ready."""
        if self._state == "ready":
            return
        if self._loading is None:
            self._loading = asyncio.ensure_future(self._load(prepare))
        # Whoever asked first may leave; the load goes on for those who stay.
        try:
            await asyncio.shield(self._loading)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._loading.cancelled() and not (task and task.cancelling()):
                raise EngineError(GIVEN_BACK) from None
            raise

    async def stream(
        self,
        work: Callable[[Loaded, Job[Piece]], Iterator[Piece]],
        turn: Turn = "next",
    ) -> AsyncGenerator[Piece, None]:
        """What `work` yields on the model's thread in its turn; closing the generator stops it.

        What stands aside has to `let_pass`.
        """
        submitted_s, queue_ms = time.perf_counter(), 0.0

        def run(job: Job[Piece]) -> None:
            nonlocal queue_ms
            assert self._loaded is not None, "nothing is asked before `load`"
            queue_ms = (time.perf_counter() - submitted_s) * 1000
            for piece in work(self._loaded, job):
                job.emit(piece)

        job: Job[Piece] = Job(run, turn)
        self._worker.submit(job)
        try:
            while (piece := await job.next()) is not None:
                # Here, and not on the thread, which has the next token to see to.
                yield _since_asked(piece, queue_ms)
        finally:
            self._worker.cancel(job)

    def let_pass(self, job: Job[Piece]) -> None:
        """Run what goes first in the middle of a stream that stands aside; on the thread."""
        self._worker.let_pass(job)

    async def call(self, work: Callable[[Loaded, Job[Result]], Result]) -> Result:
        """What `work` returns, in its turn, on the model's thread; cancelled at any moment."""

        def run(job: Job[Result]) -> None:
            assert self._loaded is not None, "nothing is asked before `load`"
            job.emit(work(self._loaded, job))

        job: Job[Result] = Job(run)
        self._worker.submit(job)
        try:
            result = await job.next()
            assert result is not None, "every piece of work has a result"
            return result
        finally:
            self._worker.cancel(job)

    async def encode(self, text: str, *, controls: bool, bos: bool) -> list[int]:
        """As domain.TextEngine has it."""

        def work(loaded: Loaded, _: Job[list[int]]) -> list[int]:
            model = loaded.model
            start = [model.bos] if bos and model.bos >= 0 else []
            return start + (model.tokenize_controls(text) if controls else model.tokenize(text))

        return await self.call(work)

    async def decode(self, tokens: Sequence[int], *, controls: bool) -> str:
        """As domain.TextEngine has it; raises Unusable for a token that there is not."""

        def work(loaded: Loaded, _: Job[str]) -> str:
            model = loaded.model
            unknown = next((token for token in tokens if not 0 <= token < model.n_vocab), None)
            if unknown is not None:
                raise Unusable(
                    f"There is no token {unknown}: this model's are 0 to {model.n_vocab - 1}."
                )
            pieces = (model.piece(token, controls=controls) for token in tokens)
            return b"".join(pieces).decode("utf-8", "replace")

        return await self.call(work)

    async def close(self) -> None:
        if self._loading is not None and not self._loading.done():
            self._loading.cancel()
            with suppress(asyncio.CancelledError, EngineError):
                await self._loading
        await asyncio.to_thread(self._worker.stop, _CLOSE_TIMEOUT_S)
        self._state = "unloaded"

    async def _load(self, prepare: Callable[[Loaded], None]) -> None:
        self._state, self._message = "loading", f"loading {self._name}"
        job: Job[None] = Job(lambda _: self._open(prepare))
        self._worker.submit(job)
        try:
            await job.next()
        except EngineError as error:
            self._state, self._message = "failed", str(error)
            raise
        except Exception as error:
            logger.exception("the model %s was not loaded: a fault of tabby-lsp itself", self._name)
            text = f"The model {self._name} was not loaded: {error!r}, a fault of tabby-lsp itself."
            self._state, self._message = "failed", text
            raise EngineError(text) from error
        self._state, self._message = "ready", ""

    def _open(self, prepare: Callable[[Loaded], None]) -> None:
        n_ctx = n_ctx_for(self.header, self._settings.n_ctx)
        check_fits(self.header, n_ctx, self._settings.n_ubatch)
        n_threads = self._settings.n_threads or _default_n_threads()
        with ExitStack() as opened:
            model = Model(self.header.path, is_on_processor=self._settings.device == "cpu")
            opened.callback(model.close)
            context = self._context_of(model, n_ctx, self._settings.n_ubatch, n_threads)
            opened.callback(context.close)
            tokenize = GrowingTokenizer(model.tokenize) if model.is_bpe else model.tokenize
            parking = Parking(self._settings.parked_mib << 20)
            loaded = Loaded(model, context, Recall(context, parking), tokenize)
            prepare(loaded)
            opened.pop_all()
        self._loaded = loaded

    def _free(self) -> None:
        """Called on the thread, as the last thing that it does."""
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            loaded.context.close()
            loaded.model.close()

    def _interrupt(self) -> None:
        if (loaded := self._loaded) is not None:
            loaded.context.abort_flag.set()
        self._wake()

    def _resume(self) -> None:
        if (loaded := self._loaded) is not None:
            loaded.context.abort_flag.clear()


def _since_asked(piece: Piece, queue_ms: float) -> Piece:
    """With the time that it had to wait; `replace` takes three times as long, for each token."""
    known = piece.timings
    timings = Timings(
        n_prompt_tokens=known.n_prompt_tokens,
        n_reused_tokens=known.n_reused_tokens,
        n_evaluated_tokens=known.n_evaluated_tokens,
        n_generated_tokens=known.n_generated_tokens,
        n_drafted_tokens=known.n_drafted_tokens,
        n_accepted_tokens=known.n_accepted_tokens,
        queue_ms=queue_ms,
        prefill_ms=known.prefill_ms,
        decode_ms=known.decode_ms,
        total_ms=queue_ms + known.prefill_ms + known.decode_ms,
    )
    return Piece(piece.text, piece.logprob, timings, piece.finish, piece.logprobs, piece.candidate)


def n_ctx_for(header: Header, configured: int) -> int:
    """The context a model gets, in tokens; 0 stands for what suits it.

    Raises EngineError for more than it was trained for.
    """
    if configured > header.n_ctx_train:
        raise EngineError(
            f"`n_ctx` is {configured}, and {header.path} was trained for {header.n_ctx_train} "
            "tokens: set `n_ctx` under `[local]` in config.toml to at most that, or to 0."
        )
    return configured or min(header.n_ctx_train, _LARGEST_DEFAULT_N_CTX)


def _default_n_threads() -> int:
    """The physical cores of most machines; with a thread on each logical one it is slower."""
    return max(1, min(8, (os.cpu_count() or 2) // 2))
