"""A window's side of the socket: one lasting connection, on which many questions are answered.

Invariant: a question whose generator is closed costs the host nothing more, and a host that has
stopped to answer is noticed as one that has died.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
from typing import TYPE_CHECKING

from tabby_lsp import __version__
from tabby_lsp.domain import EngineError, TooLong, Unusable
from tabby_lsp.host import processes
from tabby_lsp.host.frames import MAX_FRAME_BYTES, WIRE, Broken, framed, read_frame, write_frame
from tabby_lsp.host.place import HAS_UNIX_SOCKETS
from tabby_lsp.host.turns import Superseded
from tabby_lsp.models.memory import DoesNotFit

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tabby_lsp.host.frames import Json
    from tabby_lsp.host.place import Place

_OPENING_S = 2.0
# While something is asked, the host says something at least so often, or it is asked whether it
# lives. A process that was stopped is given up after so many silent rounds, one that may only be
# short of processor time after more.
_ROUND_S = 0.4
_STOPPED_ROUNDS, _SILENT_ROUNDS = 3, 25
_UNKNOWN_ROUNDS = 6  # where nobody says whether it was stopped

_ERRORS: dict[str, type[EngineError]] = {
    "TooLong": TooLong,
    "Unusable": Unusable,
    "Superseded": Superseded,
    "DoesNotFit": DoesNotFit,
}


class HostGone(EngineError):
    """The host has ended while it answered."""


class Hung(Exception):
    """Somebody listens, and does not answer."""

    def __init__(self, pid: int | None) -> None:
        super().__init__(f"the engine host {pid} does not answer")
        self.pid = pid


class Conversation:
    """Lives as long as its connection; `on_end` is called once, before anybody hears of the end."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        pid: int,
        *,
        is_proved: bool,
    ) -> None:
        """The host's number `is_proved` by the system, not just told by whoever answers."""
        self.pid = pid
        self._identity = processes.identity(pid) if is_proved else ""
        self.is_open = True
        self.was_parting = False  # the host said goodbye, so its end is no death
        self.has_hung = False
        # By model: who is told how many tokens were read and said.
        self.totals: dict[int, Callable[[int, int], None]] = {}
        self.listeners: list[Callable[[], None]] = []
        self._reader = reader
        self._writer = writer
        self._n_questions = 0
        self._answers: dict[int, asyncio.Queue[Json | None]] = {}
        self._has_spoken = True
        self._tasks = [asyncio.ensure_future(self._listen()), asyncio.ensure_future(self._watch())]

    async def ask(self, question: Json) -> AsyncGenerator[Json, None]:
        """The replies to one question; raises EngineError, HostGone where the host has ended."""
        if not self.is_open:
            raise HostGone("The engine host has ended.")
        self._n_questions += 1
        number = self._n_questions
        try:
            frame = framed({**question, "id": number})
        except Broken:
            raise TooLong(
                f"This is more than the {MAX_FRAME_BYTES >> 20} MB that the engine host takes at"
                " once: ask about less."
            ) from None
        answers: asyncio.Queue[Json | None] = asyncio.Queue()
        self._answers[number] = answers
        self._send(frame)
        has_ended = False
        try:
            while True:
                reply = await answers.get()
                has_ended = reply is None or "end" in reply or "error" in reply
                if reply is None or (self.was_parting and "error" in reply):
                    raise HostGone("The engine host has ended while it answered.")
                if "error" in reply:
                    raise _error(reply["error"])
                if has_ended:
                    return
                yield reply
        finally:
            self._answers.pop(number, None)
            if not has_ended:
                self._send(framed({"do": "cancel", "id": number}))

    def leave(self, model: int) -> None:
        """Say that a model is of no more use here."""
        self._send(framed({"do": "leave", "model": model}))

    async def close(self) -> None:
        """Part from the host; what was asked is stopped there."""
        self.listeners.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    def _send(self, frame: bytes) -> None:
        # Where the connection has broken, the listener tells everybody; a host that does not read
        # is silent as well, and long questions may be on their way when others are asked.
        if not self._writer.is_closing():
            self._writer.write(frame)

    async def _listen(self) -> None:
        try:
            while True:
                frame = await read_frame(self._reader)
                self._has_spoken = True
                self.was_parting = self.was_parting or "bye" in frame
                if "totals" in frame and (take := self.totals.get(frame["model"])) is not None:
                    take(*frame["totals"])
                answers = self._answers.get(frame.get("id", 0))
                if answers is not None:
                    answers.put_nowait(frame)
        except Broken:
            pass
        finally:
            self._end()

    async def _watch(self) -> None:
        """Look after a host that is silent while it is asked; counted in rounds of our own.

        So a laptop that slept does not make it look dead.
        """
        n_silent = 0
        while self.is_open:
            await asyncio.sleep(_ROUND_S)
            if self._has_spoken or not self._answers:
                n_silent, self._has_spoken = 0, not self._answers
            else:
                n_silent += 1
            if self._answers:
                self._send(framed({"do": "ping"}))
            if n_silent >= _rounds(processes.stands_still(self.pid)):
                self.has_hung = True
                if self._identity == processes.identity(self.pid):
                    processes.end(self.pid)
                self._writer.transport.abort()
                return

    def _end(self) -> None:
        self.is_open = False
        self._writer.close()
        listeners, self.listeners = self.listeners, []
        for listener in listeners:
            listener()
        for answers in self._answers.values():
            answers.put_nowait(None)


async def connect(place: Place) -> Conversation | None:
    """A conversation with the host there; None where nobody listens. Raises Hung."""
    try:
        async with asyncio.timeout(_OPENING_S):
            reader, writer, token = await _opened(place)
    except TimeoutError:
        raise Hung(pid_of_holder(place)) from None
    except (OSError, ValueError, KeyError):
        return None
    pid = _pid_of_peer(writer) or pid_of_holder(place)
    answering = asyncio.ensure_future(read_frame(reader))
    try:
        write_frame(writer, framed({"wire": WIRE, "version": __version__, "token": token}))
        n_silent = 0
        while not (await asyncio.wait({answering}, timeout=_ROUND_S))[0]:
            n_silent += 1
            if n_silent >= _rounds(processes.stands_still(pid) if pid else None):
                raise Hung(pid)
        answer = answering.result()
        if answer.get("wire") != WIRE:
            raise Broken("it speaks in another way")
    except Broken:
        writer.close()
        return None
    except BaseException:
        answering.cancel()
        writer.transport.abort()
        raise
    told: int = answer["pid"]
    return Conversation(reader, writer, pid or told, is_proved=pid is not None)


async def _opened(place: Place) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, str]:
    if HAS_UNIX_SOCKETS:
        reader, writer = await asyncio.open_unix_connection(str(place.socket))
        return reader, writer, ""
    found = json.loads(place.socket.read_text("utf-8"))
    reader, writer = await asyncio.open_connection("127.0.0.1", found["port"])
    return reader, writer, found["token"]


def _pid_of_peer(writer: asyncio.StreamWriter) -> int | None:
    if sys.platform != "linux":
        return None
    peer: socket.socket = writer.get_extra_info("socket")
    size = struct.calcsize("3i")
    pid: int = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))[0]
    return pid or None


def pid_of_holder(place: Place) -> int | None:
    """The process that holds the lock, as far as it has said so."""
    try:
        return processes.pid_in(place.lock.read_text("utf-8").strip())
    except OSError:
        return None


def _rounds(is_stopped: bool | None) -> int:
    if is_stopped is None:
        return _UNKNOWN_ROUNDS
    return _STOPPED_ROUNDS if is_stopped else _SILENT_ROUNDS


def _error(error: Json) -> EngineError:
    return _ERRORS.get(str(error.get("kind")), EngineError)(str(error.get("text")))
