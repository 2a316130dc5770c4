"""A small hub on this machine that speaks Hugging Face's protocol, over real sockets, with faults.

Invariant: what it counts is what it handed to its sockets, by request.
"""

from __future__ import annotations

import hashlib
import re
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from tabby_lsp.models.catalog import Entry

if TYPE_CHECKING:
    from types import TracebackType

# Sends an answer in the place of the file's own.
Fault = Callable[["Answer"], None]

_PIECE_BYTES = 16_384
_RESOLVE = re.compile(r"/(?P<repository>[^/]+/[^/]+)/resolve/main/(?P<file>[^/?]+)")


@dataclass(slots=True)
class Request:
    """One request as it came, and how much of a file was sent for it."""

    path: str
    headers: dict[str, str]  # with names in small letters
    n_body_bytes: int = 0

    @property
    def start(self) -> int:
        """Where the client wants to go on; 0 for the whole file."""
        return int(self.headers.get("range", "bytes=0-").removeprefix("bytes=").rstrip("-"))


@dataclass(slots=True)
class Shelf:
    """One file of the hub."""

    content: bytes
    etag: str
    linked_etag: str
    faults: list[Fault] = field(default_factory=list)  # one for each request for the bytes
    front_faults: list[Fault] = field(default_factory=list)  # the same at the first address
    requests: list[Request] = field(default_factory=list)  # for the bytes
    front_requests: list[Request] = field(default_factory=list)
    keeps_ranges: bool = True
    minds_if_range: bool = True
    piece_wait_s: float = 0.0

    @property
    def n_body_bytes(self) -> int:
        return sum(request.n_body_bytes for request in self.requests)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Silence where a client was killed or has gone away; a fault of ours is told."""
        if not isinstance(sys.exception() or OSError(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class Hub:
    """The server; leaving it ends it."""

    def __init__(self) -> None:
        self.shelves: dict[str, Shelf] = {}
        hub = self

        class Handler(Answer):
            shelves = hub.shelves

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def offer(self, name: str, content: bytes, sha256: str = "") -> tuple[Entry, Shelf]:
        """Have a file, and its entry in a catalogue that may expect another one."""
        own = hashlib.sha256(content).hexdigest()
        entry = Entry(
            name=name,
            role="completion",
            repository=f"tests/{name}",
            file=f"{name}.gguf",
            sha256=sha256 or own,
            licence="Apache-2.0",
        )
        shelf = Shelf(content, etag=f'"{own[:32]}"', linked_etag=f'"{entry.sha256}"')
        self.shelves[f"{entry.repository}/{entry.file}"] = shelf
        return entry, shelf

    def __enter__(self) -> Hub:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class Answer(BaseHTTPRequestHandler):
    """Answers one request; faults use its methods too."""

    protocol_version = "HTTP/1.1"
    shelves: dict[str, Shelf]
    shelf: Shelf
    request_seen: Request

    def do_GET(self) -> None:
        path, _, _ = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.request_seen = Request(self.path, headers)
        resolved = _RESOLVE.fullmatch(path)
        name = f"{resolved['repository']}/{resolved['file']}" if resolved else path[5:]
        if name not in self.shelves:
            return self.reply(404)
        self.shelf = self.shelves[name]
        is_front = resolved is not None
        seen = self.shelf.front_requests if is_front else self.shelf.requests
        seen.append(self.request_seen)
        faults = self.shelf.front_faults if is_front else self.shelf.faults
        usual = self.redirect if is_front else self.send_file
        return faults.pop(0)(self) if faults else usual()

    def redirect(self, location: str = "") -> None:
        """To where the bytes are, with what the hub says of them."""
        where = (
            location
            or f"/cdn/{self.path.split('/resolve/')[0][1:]}/{self.path.split('/')[-1]}?signed=1"
        )
        self.reply(
            302,
            {
                "Location": where,
                "X-Linked-Etag": self.shelf.linked_etag,
                "X-Linked-Size": str(len(self.shelf.content)),
                "X-Repo-Commit": "0" * 40,
                "ETag": self.shelf.linked_etag,
            },
        )

    def reply(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_file(self, stop: int | None = None, content: bytes | None = None) -> None:
        """The bytes that are asked for, in pieces; the connection breaks at `stop`."""
        shelf = self.shelf
        content = shelf.content if content is None else content
        start = self._start(content)
        if start >= len(content) > 0 and start:
            return self.reply(416, {"Content-Range": f"bytes */{len(content)}"})
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if shelf.etag:
            self.send_header("ETag", shelf.etag)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.send_pieces(content[start : len(content) if stop is None else max(stop, start)])
        if stop is not None:
            self.close_connection = True

    def send_pieces(self, content: bytes) -> None:
        for at in range(0, len(content), _PIECE_BYTES):
            piece = content[at : at + _PIECE_BYTES]
            try:
                self.wfile.write(piece)
            except OSError:  # the client was killed
                self.close_connection = True
                return
            self.request_seen.n_body_bytes += len(piece)
            time.sleep(self.shelf.piece_wait_s)

    def _start(self, content: bytes) -> int:
        if not self.shelf.keeps_ranges:
            return 0
        wanted = self.headers.get("If-Range")
        if self.shelf.minds_if_range and wanted is not None and wanted != self.shelf.etag:
            return 0
        return self.request_seen.start

    def log_message(self, format: str, *args: object) -> None:
        """Silence: pytest shows what a test says."""


# Faults.


def busy(status: int, **headers: str) -> Fault:
    """An answer without a file; `retry_after` is the header of that name."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda answer: answer.reply(status, named, b"not now")


def breaks_at(n_bytes: int) -> Fault:
    """The connection ends after so many bytes of the file."""
    return lambda answer: answer.send_file(stop=n_bytes)


def sends_to(location: str) -> Fault:
    """A redirect to somewhere else."""
    return lambda answer: answer.redirect(location)


def sends(content: bytes) -> Fault:
    """Another file in the place of this one."""
    return lambda answer: answer.send_file(content=content)


class Gate:
    """Holds an answer back after so many bytes, until it is opened."""

    def __init__(self, n_bytes: int) -> None:
        self.n_bytes = n_bytes
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __call__(self, answer: Answer) -> None:
        answer.send_file(stop=self.n_bytes)
        self.reached.set()
        self.opened.wait(timeout=100)
