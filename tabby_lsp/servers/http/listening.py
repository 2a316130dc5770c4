"""Listens at an address: taken before the models are loaded, answered at when they are.

Invariant: a signal to end is obeyed at once, whatever runs.
"""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from tabby_lsp.servers.http.gate import MAX_HEADER_BYTES

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from types import FrameType

    from starlette.types import ASGIApp

_BACKLOG = 128
_KEEP_ALIVE_S = 30
# How long the head of a request may take, and how long a client may take nothing of its answer.
HEAD_TIMEOUT_S = 30.0
SEND_TIMEOUT_S = 60.0
# More than requests that run, since browsers and agents hold connections open.
MAX_CONNECTIONS = 512
_LISTENING = "0A"  # /proc/net/tcp's word for it


class Taken(Exception):
    """The address cannot be listened at; the text is a sentence with the reason."""


@dataclass(frozen=True, slots=True)
class Listener:
    """An address that is ours."""

    socket: socket.socket

    @property
    def url(self) -> str:
        """What clients are told."""
        host, port = self.socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listener_at(host: str, port: int) -> Listener:
    """The address, at which nobody is answered yet; raises Taken."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise Taken(f"{host} is no address of this machine: {error.strerror}.") from error
    except UnicodeError as error:  # what no name can be: a part of it is empty or too long
        raise Taken(f"{host} is no address of this machine: {error}.") from error
    try:
        if os.name != "nt":  # There it would let others take the port as well.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # From now on a second server is refused; who connects waits for this one.
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise Taken(_why_taken(host, port, error)) from error
    return Listener(listener)


class _Connection(H11Protocol):
    """One of so many, that asks soon and takes what it is answered."""

    _asking: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.close()
        else:
            self._watch_the_request()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_the_request()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch_the_request()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._taking = self._taking or self.loop.call_later(SEND_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for timer in (self._asking, self._taking):
            if timer is not None:
                timer.cancel()

    def _watch_the_request(self) -> None:
        """As long as none is there, its head has to come; the gate looks after its body."""
        is_answered = self.cycle is not None and not self.cycle.response_complete
        if not is_answered and not self.transport.is_closing():
            self._asking = self._asking or self.loop.call_later(
                HEAD_TIMEOUT_S, self.transport.abort
            )
        elif self._asking is not None:
            self._asking.cancel()
            self._asking = None


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, tell: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = tell

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """uvicorn would wait for the answers that run."""
        self.should_exit = self.force_exit = True


async def serve(app: ASGIApp, listener: Listener, tell: Callable[[], None]) -> None:
    """Answer until a signal ends it; `tell` is called when it answers."""
    config = uvicorn.Config(
        app,
        http=_Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=0,
    )
    await _Server(config, tell).serve(sockets=[listener.socket])


def _why_taken(host: str, port: int, error: OSError) -> str:
    if error.errno in (getattr(socket, "EADDRINUSE", 98), 98, 48, 10048):
        pid = holder_of(port)
        who = f"the process {pid}" if pid else "another program"
        return f"Port {port} is taken by {who}: end it, or choose another with --port."
    return f"{host}:{port} cannot be listened at: {error.strerror}."


def holder_of(port: int) -> int | None:
    """The process that listens at a port; None where that cannot be found out."""
    if not sys.platform.startswith("linux"):
        return None
    inodes = {
        f"socket:[{fields[9]}]"
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for fields in _rows(table)
        if len(fields) > 9 and fields[3] == _LISTENING and fields[1].endswith(f":{port:04X}")
    }
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(link) in inodes for link in (process / "fd").iterdir()):
                return int(process.name)
        except OSError:  # Gone already, or not ours to look at.
            continue
    return None


def _rows(table: str) -> list[list[str]]:
    try:
        return [line.split() for line in Path(table).read_text().splitlines()[1:]]
    except OSError:
        return []
