"""The host's side of the socket: who may come in, and what each may ask.

Invariant: what a window has asked for ends with its connection, and one that does not read is let
go of.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import time
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tabby_lsp import __version__
from tabby_lsp.domain import ChatRequest, EngineError, GenerationRequest
from tabby_lsp.host import processes
from tabby_lsp.host.frames import WIRE, Broken, framed, read_frame, write_frame
from tabby_lsp.host.model import HostedModel, HostReport
from tabby_lsp.host.packing import Unpackable, packed, unpacked
from tabby_lsp.host.turns import Superseded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tabby_lsp.domain import Piece
    from tabby_lsp.host.frames import Json
    from tabby_lsp.host.shelf import Shelf, Shelved

logger = logging.getLogger(__name__)

_GREETING_S = 5.0
# Of one window at a time: an answer or two for each document, and what is prepared ahead.
_MAX_QUESTIONS = 64


@dataclass(eq=False, slots=True)
class Window:
    """One connection."""

    number: int
    writer: asyncio.StreamWriter
    models: dict[int, HostedModel] = field(default_factory=dict)  # by the window's own numbers
    questions: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    further: dict[int, object] = field(default_factory=dict)  # of the last question to a model
    is_window: bool = False  # and not somebody who only asks how things are


class Door:
    """Answers windows until `closing` is set; lives as long as the host."""

    def __init__(self, shelf: Shelf, token: str, socket: str) -> None:
        self.closing = asyncio.Event()
        self._shelf = shelf
        self._token = token
        self._socket = socket
        self._windows: set[Window] = set()
        self._n_windows = 0

    @property
    def n_windows(self) -> int:
        return sum(window.is_window for window in self._windows)

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends."""
        self._n_windows += 1
        window = Window(self._n_windows, writer)
        try:
            async with asyncio.timeout(_GREETING_S):
                greeting = await read_frame(reader)
            if not self._greet(window, greeting):
                return
            self._windows.add(window)
            while True:
                self._take(window, await read_frame(reader))
        except (Broken, TimeoutError):
            pass
        except asyncio.CancelledError:
            pass  # The host ends; asyncio would log it as an error.
        except Exception:
            logger.exception("a connection was ended: a fault of tabby-lsp itself")
        finally:
            await self._part(window)

    def say_goodbye(self) -> None:
        """Tell all windows that this end is none that was caused by a model."""
        for window in self._windows:
            with suppress(Broken):
                write_frame(window.writer, framed({"bye": True}))

    def report(self) -> HostReport:
        pid = os.getpid()
        return HostReport(
            pid=pid,
            version=__version__,
            socket=self._socket,
            clients=self.n_windows,
            models=self._shelf.report(),
            rss_bytes=processes.resident_bytes(pid) or 0,
        )

    def _greet(self, window: Window, greeting: Json) -> bool:
        token = str(greeting.get("token", ""))
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            return False
        answer = {"wire": WIRE, "version": __version__, "pid": os.getpid()}
        write_frame(window.writer, framed(answer))
        return greeting.get("wire") == WIRE

    def _take(self, window: Window, frame: Json) -> None:
        number, do = frame.get("id"), frame.get("do")
        if do == "ping":
            write_frame(window.writer, framed({"pong": True}))
        elif do == "leave" and (model := window.models.pop(frame.get("model", 0), None)):
            window.further.pop(frame["model"], None)
            self._shelf.leave(window.number, model)
        elif do == "cancel" and isinstance(number, int):
            if (task := window.questions.get(number)) is not None:
                task.cancel()
        elif isinstance(number, int) and number not in window.questions:
            if len(window.questions) >= _MAX_QUESTIONS:
                error = EngineError(f"More than {_MAX_QUESTIONS} questions at a time.")
                write_frame(window.writer, framed(_refusal(number, error)))
                return
            put_in_further(window, frame)
            task = asyncio.ensure_future(self._answer(window, number, frame))
            window.questions[number] = task
            task.add_done_callback(lambda _: window.questions.pop(number, None))

    async def _answer(self, window: Window, number: int, frame: Json) -> None:
        try:
            async with aclosing(self._replies(window, frame)) as replies:
                async for reply in replies:
                    write_frame(window.writer, framed({"id": number, **reply}))
            end: Json = {"id": number, "end": True}
        except asyncio.CancelledError:
            end = {"id": number, "end": True}
        except EngineError as error:
            end = _refusal(number, error)
        except Broken:
            return
        except Exception:
            logger.exception("no answer: a fault of tabby-lsp itself")
            end = _refusal(number, EngineError("The engine host failed: see its log, host.log."))
        with suppress(Broken):
            write_frame(window.writer, framed(end | self._totals(window, frame)))

    async def _replies(self, window: Window, frame: Json) -> AsyncGenerator[Json, None]:
        do = frame.get("do")
        if do == "status":
            yield {"status": packed(self.report())}
        elif do == "stop":
            self.closing.set()
            yield {}
        elif do == "load":
            async with self._shelf.using(self._named(window, frame), window.number):
                yield {"ready": True}
        elif do in ("complete", "chat"):
            async with aclosing(self._pieces(window, frame)) as pieces:
                async for piece in pieces:
                    yield piece
        else:
            raise EngineError(f"The engine host does not know {do!r}: it is {__version__}.")

    async def _pieces(self, window: Window, frame: Json) -> AsyncGenerator[Json, None]:
        async with self._shelf.using(self._named(window, frame), window.number) as shelved:
            request, ask = _question(frame, shelved)
            is_ahead = isinstance(request, GenerationRequest) and request.is_ahead
            turn = shelved.turns.turn(window.number, _document(request), is_ahead=is_ahead)
            asked_s = time.perf_counter()
            try:
                async with turn, aclosing(ask(_private(request, window.number))) as pieces:
                    waited_ms = (time.perf_counter() - asked_s) * 1000
                    async for piece in pieces:
                        yield {"piece": packed(_told(piece, waited_ms))}
            except Superseded:
                # What gives way ends without a `finish`, and that is all there is to say.
                if not is_ahead:
                    raise

    def _named(self, window: Window, frame: Json) -> HostedModel:
        """The model that a frame is about; the first frame about it describes it."""
        window.is_window = True
        number = frame.get("model")
        if not isinstance(number, int):
            raise EngineError("A question without a model.")
        if "describe" in frame:
            try:
                window.models[number] = unpacked(HostedModel, frame["describe"])
            except Unpackable as error:
                raise EngineError(f"No such model: {error}.") from error
        if number not in window.models:
            raise EngineError("A question about a model that was never described.")
        return window.models[number]

    def _totals(self, window: Window, frame: Json) -> Json:
        """What the model has done so far, for whoever it was."""
        number = frame.get("model", 0)
        model = window.models.get(number)
        status = self._shelf.status(model) if model is not None else None
        if status is None:
            return {}
        totals = [status.n_evaluated_total, status.n_generated_total]
        return {"model": number, "totals": totals}

    async def _part(self, window: Window) -> None:
        self._windows.discard(window)
        tasks = list(window.questions.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._shelf.leave(window.number)
        window.writer.close()
        with suppress(OSError):
            await window.writer.wait_closed()


def put_in_further(window: Window, frame: Json) -> None:
    """Put in the further text where it is the same as in the question before, and is not sent."""
    request, model = frame.get("request"), frame.get("model")
    segments = request.get("segments") if isinstance(request, dict) else None
    if not isinstance(segments, dict) or not isinstance(model, int):
        return
    if frame.get("further") == "same":
        segments["further"] = window.further.get(model, [])
    elif model in window.models and segments.get("further"):
        window.further[model] = segments["further"]


def _question(frame: Json, shelved: Shelved) -> tuple[Any, Callable[[Any], Any]]:
    try:
        if frame["do"] == "chat":
            return unpacked(ChatRequest, frame.get("request")), shelved.engine.chat
        return unpacked(GenerationRequest, frame.get("request")), shelved.engine.complete
    except Unpackable as error:
        raise EngineError(f"No such request: {error}.") from error


def _told(piece: Piece, waited_ms: float) -> Piece:
    """The piece, with the time that its question has waited for others."""
    timings = piece.timings
    return replace(
        piece,
        timings=replace(
            timings, queue_ms=timings.queue_ms + waited_ms, total_ms=timings.total_ms + waited_ms
        ),
    )


def _document(request: GenerationRequest | ChatRequest) -> str:
    return request.document if isinstance(request, GenerationRequest) else ""


def _private(request: Any, window: int) -> Any:
    """The request with a document that no other window has, so that caches are the window's own."""
    if not isinstance(request, GenerationRequest):
        return request
    document = f"{window}:{request.document}" if request.document else ""
    return replace(request, document=document, client=str(window))


def _refusal(number: int, error: EngineError) -> Json:
    return {"id": number, "error": {"kind": type(error).__name__, "text": str(error)}}
