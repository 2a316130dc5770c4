"""HTTP with one server: asked, bounded in time and size, and let go at any moment.

Invariant: the only module that knows the HTTP client; whatever a server does comes out as JSON
values or as a Fault, never later than the deadline. No redirect is followed and no proxy is taken
from the environment, where an editor may have put a repository's.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
from codecs import BOM_UTF8
from contextlib import aclosing, contextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpx2

from tabby_lsp import __version__
from tabby_lsp.engines.remote import faults

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping

    from tabby_lsp.engines.remote.deadline import Deadline
    from tabby_lsp.engines.remote.faults import Fault, Place

# Lists of models and the last line of an Ollama answer, which holds every token of the context.
_MAX_JSON_BYTES = 4_194_304
_MAX_ERROR_BYTES = 65_536
# uvicorn, and so vLLM, hangs up after five idle seconds; a request must not meet that.
_KEEP_ALIVE_S = 4.0
_LONGEST_RETRY_AFTER_S = 300.0

# With what OpenAI's servers end a stream.
DONE = "[DONE]"

_EVENTS, _JSON = "text/event-stream", "application/json"
_JSON_LINES = ("application/x-ndjson", "application/jsonl", "application/json-lines")

_WHY_AWAY: Mapping[type[BaseException], str] = {
    ssl.SSLError: "it does not speak TLS, so `http://` may be right",
    socket.gaierror: "there is no machine of that name",
    ConnectionRefusedError: "the connection is refused",
}


class Connection:
    """Speaks with one server; lives until `close`."""

    def __init__(self, place: Place, api_key: str, connect_timeout_s: float) -> None:
        self.place = place
        self._api_key = api_key
        self._connect_timeout_s = connect_timeout_s
        headers = {
            "User-Agent": f"tabby-lsp/{__version__}",
            "Accept": f"{_EVENTS}, {_JSON_LINES[0]}, {_JSON}",
            # What is not compressed cannot be larger than it looks.
            "Accept-Encoding": "identity",
        }
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        self._client = httpx2.AsyncClient(
            headers=headers,
            timeout=httpx2.Timeout(None, connect=connect_timeout_s),
            limits=httpx2.Limits(keepalive_expiry=_KEEP_ALIVE_S),
            follow_redirects=False,
            trust_env=False,
        )

    async def fetch(
        self, method: str, path: str, body: object, deadline: Deadline, *, model: str = ""
    ) -> object:
        """The one JSON value that is answered; raises Fault.

        `model` is for the message of a 404.
        """
        async with aclosing(
            self.events(method, path, body, deadline, _MAX_JSON_BYTES, model=model)
        ) as values:
            async for value in values:
                return value
        raise faults.strange(self.place, "nothing")

    async def events(
        self,
        method: str,
        path: str,
        body: object,
        deadline: Deadline,
        max_bytes: int,
        *,
        model: str = "",
    ) -> AsyncGenerator[object, None]:
        """The JSON values of an answer as they come: server-sent events, lines, or just one.

        Ends with `DONE` where the server says so; closing the generator closes the connection.
        Raises Fault.
        """
        sent = b"" if body is None else _compact(body)
        response = await self._send(method, path, sent, deadline)
        try:
            if response.status_code != 200:
                raise await self._refusal(response, body, deadline, model)
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind not in (_EVENTS, _JSON, *_JSON_LINES) or _is_encoded(response):
                raise faults.strange(self.place, f"{faults.quoted(kind) if kind else 'no type'}")
            if kind == _JSON:
                yield self._value(await self._whole(response, deadline, max_bytes), body)
                return
            async with aclosing(self._lines(response, deadline, max_bytes)) as lines:
                async for line in lines:
                    if kind == _EVENTS and not line.startswith(b"data:"):
                        continue
                    data = line.removeprefix(b"data:").strip()
                    if data == DONE.encode():
                        yield DONE
                        return
                    if data:
                        yield self._value(data, body)
        finally:
            await response.aclose()

    async def close(self) -> None:
        await self._client.aclose()

    async def _send(
        self, method: str, path: str, body: bytes, deadline: Deadline
    ) -> httpx2.Response:
        """The response as soon as its headers are there.

        A server may hang up an idle connection at the very moment that it is used again, so one
        that is closed without a word is tried a second time.
        """
        for is_last in (False, True):
            headers = {"Content-Type": _JSON} if body else {}
            request = self._client.build_request(
                method, f"{self.place.url}{path}", content=body, headers=headers
            )
            with self._faults():
                try:
                    async with asyncio.timeout_at(deadline.at_s):
                        return await self._client.send(request, stream=True)
                except (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError):
                    if is_last:
                        raise
        raise AssertionError("the second try returns or raises")

    async def _refusal(
        self, response: httpx2.Response, asked: object, deadline: Deadline, model: str
    ) -> Fault:
        if 300 <= response.status_code < 400:
            return faults.redirected(self.place)
        try:
            body = json.loads(await self._whole(response, deadline, _MAX_ERROR_BYTES))
        except (ValueError, RecursionError, faults.Fault):
            body = None  # Its status says enough.
        said = self._quotable(body, asked)
        retry_after_s = _retry_after_s(response.headers.get("retry-after", ""))
        return faults.refused(
            self.place, response.status_code, said, model=model, retry_after_s=retry_after_s
        )

    async def _whole(self, response: httpx2.Response, deadline: Deadline, max_bytes: int) -> bytes:
        parts = []
        async with aclosing(self._chunks(response, deadline, max_bytes)) as chunks:
            async for chunk in chunks:
                parts.append(chunk)
        return b"".join(parts)

    async def _lines(
        self, response: httpx2.Response, deadline: Deadline, max_bytes: int
    ) -> AsyncGenerator[bytes, None]:
        parts: list[bytes] = []
        async with aclosing(self._chunks(response, deadline, max_bytes)) as chunks:
            async for chunk in _without_mark(chunks):
                end, *begun = chunk.split(b"\n")
                parts.append(end)
                for begin in begun:
                    yield b"".join(parts).strip()
                    parts = [begin]
        yield b"".join(parts).strip()

    async def _chunks(
        self, response: httpx2.Response, deadline: Deadline, max_bytes: int
    ) -> AsyncGenerator[bytes, None]:
        n_bytes = 0
        stream = response.aiter_raw()
        while True:
            with self._faults(is_answering=True):
                async with asyncio.timeout_at(deadline.at_s):
                    chunk = await anext(stream, None)
            if chunk is None:
                return
            n_bytes += len(chunk)
            if n_bytes > max_bytes:
                raise faults.flood(self.place)
            yield chunk

    @contextmanager
    def _faults(self, *, is_answering: bool = False) -> Iterator[None]:
        """What the client raises, as what went wrong."""
        try:
            yield
        except httpx2.ConnectTimeout as error:
            why = f"no connection within {self._connect_timeout_s:g} s"
            raise faults.away(self.place, why) from error
        except (httpx2.TimeoutException, TimeoutError) as error:
            raise faults.slow(self.place) from error
        except httpx2.ConnectError as error:
            if _has_cause(error, ssl.SSLCertVerificationError):
                raise faults.untrusted(self.place) from error
            reasons = (why for kind, why in _WHY_AWAY.items() if _has_cause(error, kind))
            raise faults.away(self.place, next(reasons, "it cannot be reached")) from error
        except httpx2.LocalProtocolError as error:
            raise faults.strange(self.place, "what is no HTTP") from error
        except (httpx2.RequestError, httpx2.StreamError, httpx2.InvalidURL) as error:
            if isinstance(error, httpx2.RemoteProtocolError) and not is_answering:
                raise faults.strange(self.place, "what is no HTTP, or hangs up") from error
            raise faults.broken(self.place) from error

    def _value(self, data: bytes, asked: object) -> object:
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise faults.strange(self.place, "what is no JSON") from error
        if isinstance(value, dict) and value.get("error"):
            raise faults.failed(self.place, self._quotable(value, asked))
        return value

    def _quotable(self, body: object, asked: object) -> str:
        return faults.quotable(_word(body), self._api_key, "\n".join(_texts(asked)))


def _compact(body: object) -> bytes:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


async def _without_mark(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The chunks without a byte order mark, which may stand before the first event."""
    head: bytes | None = b""
    async for chunk in chunks:
        if head is None:
            yield chunk
        elif len(head := head + chunk) >= len(BOM_UTF8):
            yield head.removeprefix(BOM_UTF8)
            head = None
    if head:
        yield head


def _is_encoded(response: httpx2.Response) -> bool:
    return response.headers.get("content-encoding", "identity").strip().lower() != "identity"


def _has_cause(error: BaseException | None, kind: type[BaseException]) -> bool:
    seen = 0
    while error is not None and seen < 10:
        if isinstance(error, kind):
            return True
        if isinstance(error, BaseExceptionGroup):
            return any(_has_cause(inner, kind) for inner in error.exceptions)
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False


def _word(body: object) -> object:
    """Where OpenAI's servers, llama-server, Ollama and FastAPI each put their message."""
    if not isinstance(body, dict):
        return None
    error = body.get("error", body)
    if isinstance(error, dict):
        return next((error[key] for key in ("message", "detail") if key in error), None)
    return error


def _texts(body: object) -> Iterator[str]:
    """What of the user's is in a request: all its texts but the model's name."""
    if isinstance(body, str):
        yield body
    elif isinstance(body, dict):
        for key, value in body.items():
            if key != "model":
                yield from _texts(value)
    elif isinstance(body, list):
        for value in body:
            yield from _texts(value)


def _retry_after_s(header: str) -> float:
    """Seconds, or the time of a date; 0 where the server does not say."""
    header = header.strip()
    if header.isascii() and header.isdigit():
        return min(float(header[:9]), _LONGEST_RETRY_AFTER_S)
    try:
        wait_s = parsedate_to_datetime(header).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError, IndexError):
        return 0
    return min(max(0.0, wait_s), _LONGEST_RETRY_AFTER_S)
