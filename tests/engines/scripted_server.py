"""An HTTP server on loopback that answers what it is told, byte by byte, and remembers everything.

Invariant: a connection is a real socket, and nothing of ours reads or writes HTTP but this file.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import ssl

Answer = Callable[["Asked"], Iterable[bytes]]

PATIENCE_S = 60.0  # only against a test that hangs


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: Any  # None where there was none


class ScriptedServer:
    """Answers every request with the bytes that `answer` gives for it; lives until its `with` ends.

    A connection stays open after an answer where `keeps` is true.
    """

    def __init__(
        self, answer: Answer, *, keeps: bool = False, tls: ssl.SSLContext | None = None
    ) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.n_connections = 0
        self.hung_up = threading.Event()  # the client closed a connection before its answer's end
        self._keeps = keeps
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._is_over = False
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def bodies(self) -> list[Any]:
        """What was posted, in order."""
        return [asked.body for asked in self.asked if asked.method == "POST"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        # `close` alone leaves the thread in its `accept`.
        with _quiet():
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with _quiet():
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self) -> None:
        while not self._is_over:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.n_connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with _quiet():
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            with connection.makefile("rb") as stream:
                if stream.peek(1)[:1] == b"\x16":  # TLS, of which this server knows nothing
                    connection.sendall(head(400, content_length=0))
                while (asked := _read(stream)) is not None:
                    self.asked.append(asked)
                    for data in self.answer(asked):
                        self._send(connection, data)
                    if not self._keeps:
                        break
        with _quiet():
            connection.close()

    def _send(self, connection: socket.socket, data: bytes) -> None:
        try:
            connection.sendall(data)
        except OSError:
            self.hung_up.set()
            raise


class _quiet:
    """Ignores what a socket says when the other end is gone."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, OSError | ValueError)


def _read(stream: Any) -> Asked | None:
    first = stream.readline().decode("latin-1").split()
    if len(first) < 2:
        return None
    headers: dict[str, str] = {}
    while (line := stream.readline().decode("latin-1").strip()) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    data = stream.read(int(headers.get("content-length", 0)))
    return Asked(first[0], first[1], headers, json.loads(data) if data else None)


# Answers, as bytes.


def head(status: int = 200, content_type: str = "application/json", **headers: object) -> bytes:
    """A status line and headers; underscores in names stand for hyphens."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {content_type}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def reply(value: object, status: int = 200, **headers: Any) -> list[bytes]:
    """One JSON value."""
    data = json.dumps(value).encode()
    return [head(status, content_length=len(data), **headers) + data]


def page(text: str, status: int = 200, content_type: str = "text/html") -> list[bytes]:
    """Something that is no JSON."""
    data = text.encode()
    return [head(status, content_type, content_length=len(data)) + data]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def stream(pieces: Iterable[bytes], content_type: str = "text/event-stream") -> Iterator[bytes]:
    """A chunked answer, piece by piece, with its proper end."""
    yield head(content_type=content_type, transfer_encoding="chunked")
    for piece in pieces:
        yield chunk(piece)
    yield chunk(b"")


def event(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def line(value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"


def said(text: str, finish: str | None = None) -> bytes:
    """One event of OpenAI's completions."""
    return event({"choices": [{"index": 0, "text": text, "finish_reason": finish}]})


def openai_answer(*texts: str, model: str = "m") -> Answer:
    """A server that has one model and says this to everybody."""

    def answer(asked: Asked) -> Iterable[bytes]:
        if asked.path.endswith("/models"):
            return reply({"object": "list", "data": [{"id": model}]})
        return stream([*map(said, texts), said("", "stop"), DONE])

    return answer


def delta(text: object, finish: str | None = None, **more: object) -> bytes:
    """One event of OpenAI's chat."""
    choice = {"index": 0, "delta": {"content": text} | more, "finish_reason": finish}
    return event({"choices": [choice]})


def chat_answer(*texts: str, model: str = "m", owner: str = "") -> Answer:
    """A server that has one model and says this in every chat."""

    def answer(asked: Asked) -> Iterable[bytes]:
        if asked.path.endswith("/models"):
            return reply({"object": "list", "data": [{"id": model, "owned_by": owner}]})
        return stream([delta("", role="assistant"), *map(delta, texts), delta(None, "stop"), DONE])

    return answer
