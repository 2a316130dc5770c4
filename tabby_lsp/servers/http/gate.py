"""Who may ask what: judged before anything is looked up, parsed or loaded.

In this order: the Host that was asked for, the page that asks, the key, the kind of body, its size
and depth. A page of another origin can make a browser ask this server, also under a name of its own
that leads here (DNS rebinding), so names and origins are taken from a list and nothing is guessed.

Invariant: a request comes through only with a body that is read, small and not deep.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tabby_lsp.servers.http.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from tabby_lsp.servers.http.keys import Keys, Privilege

MAX_BODY_BYTES = 1_048_576
MAX_DEPTH = 64
BODY_TIMEOUT_S = 10.0
# Of a body that is refused so much is read all the same: whoever still sends when the connection is
# closed never sees why.
_MAX_DRAINED_BYTES = 64 * MAX_BODY_BYTES
_DRAIN_TIMEOUT_S = 10.0
MAX_REQUESTS = 256
MAX_HEADER_BYTES = 16_384

# The page holds no data, so that somebody without a key sees where to put one.
OPEN_PATHS = frozenset(
    {"/", "/page.css", "/page.js"}
    | {f"/page/{name}.js" for name in ("ask", "chat", "days", "dom", "markdown")}
    | {f"/page/{name}.js" for name in ("playground", "status")}
)

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?")
_KEY_HEADERS = ("x-admin-key", "x-api-key", "authorization")
# A string that does not end is one too, or each quote in it would be tried as the first.
_BRACKETS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a server lets in."""

    hosts: Collection[str]  # names, without a port; `[::1]` in brackets
    origins: Collection[str] = field(default_factory=tuple)  # other than the server's own
    keys: Keys | None = None  # None where everybody who reaches it may do everything
    admin_routes: Collection[tuple[str, str]] = field(default_factory=tuple)  # method and path


class Gate:
    """An ASGI application round another; lives as long as the server."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app = app
        self._rules = rules
        self._n_running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"nothing is served over {scope['type']}")
        headers, incoming = _headers(scope), _Incoming(receive)
        if headers.get("origin") in self._rules.origins:
            send = _readable_to(headers["origin"], send)
        self._n_running += 1
        try:
            _weigh(scope)
            if _asks_first(scope["method"], headers, self._rules):
                await _permit(send)
                return
            privilege = _judge(scope["method"], scope["path"], headers, self._rules)
            if self._n_running > MAX_REQUESTS:
                raise Refusal(503, "Too many requests at once: try again.", retry_after_s=1)
            body = await _body(headers, incoming)
        except Refusal as refusal:
            await incoming.drain()
            await _refuse(refusal, send)
        else:
            # Starlette's `request.state`, for what shows more to who may do more.
            scope.setdefault("state", {})["privilege"] = privilege
            await self._app(scope, _Replayed(body, receive), send)
        finally:
            self._n_running -= 1


def _asks_first(method: str, headers: Mapping[str, str], rules: Rules) -> bool:
    """Whether a browser asks, without any key, what a page of another origin may do here."""
    is_preflight = method == "OPTIONS" and "access-control-request-method" in headers
    return is_preflight and headers.get("origin") in rules.origins and _knows_host(headers, rules)


def _knows_host(headers: Mapping[str, str], rules: Rules) -> bool:
    found = _HOST.fullmatch(headers.get("host", ""))
    return found is not None and found["name"].lower() in rules.hosts


def _judge(method: str, path: str, headers: Mapping[str, str], rules: Rules) -> Privilege | None:
    """What the request may do; None where it may only see the page. Raises Refusal."""
    host = headers.get("host", "")
    if not _knows_host(headers, rules):
        raise Refusal(
            421, "This server is not known by that Host: add it to `hosts` under `[serve]`."
        )
    origin = headers.get("origin")
    is_own = origin in (f"http://{host}", f"https://{host}")
    if origin is not None and not is_own and origin not in rules.origins:
        raise Refusal(403, "Pages of other origins may not ask this server.")
    is_foreign = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
    if origin is None and is_foreign and not (method in ("GET", "HEAD") and path == "/"):
        raise Refusal(403, "Pages of other origins may not ask this server.")
    if rules.keys is None:
        return "admin"
    if method in ("GET", "HEAD") and path in OPEN_PATHS:
        return None
    privilege = _privilege(headers, rules.keys)
    if (method, path) in rules.admin_routes and privilege != "admin":
        raise Refusal(403, "This needs the admin key.")
    return privilege


def _privilege(headers: Mapping[str, str], keys: Keys) -> Privilege:
    given = [_bare(headers[name]) for name in _KEY_HEADERS if name in headers]
    if not any(given):
        raise Refusal(401, "A key is needed: `Authorization: Bearer KEY`, or `X-API-Key: KEY`.")
    privileges = {keys.privilege_of(key) for key in given}
    if privileges == {None}:
        raise Refusal(401, "There is no such key.")
    return "admin" if "admin" in privileges else "api"


def _bare(value: str) -> str:
    """The key of a header; Tabby looks at no scheme, and some clients send none."""
    return value.strip().rpartition(" ")[2]


async def _body(headers: Mapping[str, str], incoming: _Incoming) -> bytes:
    length = headers.get("content-length", "0")
    has_body = length != "0" or "transfer-encoding" in headers
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if has_body and kind != "application/json":
        raise Refusal(415, "The body must be JSON, with `Content-Type: application/json`.")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal(415, "The body must not be compressed.")
    if not length.isdigit() or int(length) > MAX_BODY_BYTES:
        raise Refusal(413, f"The body must not be larger than {MAX_BODY_BYTES} bytes.")
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            body = await incoming.read()
    except TimeoutError:
        raise Refusal(408, "The body did not come in time.") from None
    if _depth(body) > MAX_DEPTH:
        raise Refusal(400, f"The body is nested deeper than {MAX_DEPTH} levels.")
    return body


def _depth(body: bytes) -> int:
    """How deep the brackets of a JSON text are nested."""
    depth = deepest = 0
    for found in _BRACKETS.finditer(body):
        first = found[0][:1]
        depth += (first in b"[{") - (first in b"]}")
        deepest = max(deepest, depth)
    return deepest


class _Incoming:
    """A body on its way."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._has_more = True

    async def read(self) -> bytes:
        """All of it; raises Refusal."""
        parts: list[bytes] = []
        n_bytes = 0
        while self._has_more:
            parts.append(await self._next())
            n_bytes += len(parts[-1])
            if n_bytes > MAX_BODY_BYTES:
                raise Refusal(413, f"The body must not be larger than {MAX_BODY_BYTES} bytes.")
        return b"".join(parts)

    async def drain(self) -> None:
        """Read what is left to the end, if that comes soon."""
        n_bytes = 0
        with suppress(Refusal, TimeoutError):
            async with asyncio.timeout(_DRAIN_TIMEOUT_S):
                while self._has_more and n_bytes <= _MAX_DRAINED_BYTES:
                    n_bytes += len(await self._next())

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._has_more = False
            raise Refusal(400, "The body is not whole.")
        self._has_more = message.get("more_body", False)
        part: bytes = message.get("body", b"")
        return part


class _Replayed:
    """Gives the body that was read once more, then what comes after it."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


def _weigh(scope: Scope) -> None:
    """uvicorn's own limit is for heads that come in parts. Raises Refusal."""
    n_bytes = sum(len(name) + len(value) for name, value in scope["headers"])
    if n_bytes > MAX_HEADER_BYTES:
        raise Refusal(431, f"The headers must not be larger than {MAX_HEADER_BYTES} bytes.")


def _headers(scope: Scope) -> dict[str, str]:
    """The last of each name; a second Host is none that is known."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _readable_to(origin: str, send: Send) -> Send:
    """Sends what a page of that origin may read as well."""
    words = [(b"access-control-allow-origin", origin.encode("latin-1")), (b"vary", b"Origin")]

    async def send_with_words(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *words]}
        await send(message)

    return send_with_words


async def _permit(send: Send) -> None:
    words = {
        "access-control-allow-methods": "GET, POST",
        "access-control-allow-headers": "authorization, content-type, x-admin-key, x-api-key",
        "access-control-max-age": "600",
    }
    raw = [(name.encode(), value.encode()) for name, value in words.items()]
    await send({"type": "http.response.start", "status": 204, "headers": raw})
    await send({"type": "http.response.body", "body": b""})


async def _refuse(refusal: Refusal, send: Send) -> None:
    body = refusal.encoded()
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",  # What is left of the request's body is not read.
        **{name.lower(): value for name, value in refusal.headers.items()},
    }
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
