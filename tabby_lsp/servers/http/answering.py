"""One answer on its way: as a whole or as server-sent events, ended when its client has gone.

Invariant: nothing goes on for a client that has hung up, in the queue and in the prompt neither.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.responses import StreamingResponse

from tabby_lsp.domain import EngineError, TooLong, Unusable
from tabby_lsp.rack import Busy, NotLoaded
from tabby_lsp.servers.http.errors import Refusal
from tabby_lsp.servers.http.quirks import client_named

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

Result = TypeVar("Result")

# So long a stream may still become a refusal; a prompt can take minutes, and proxies and clients
# wait for headers for a minute at most.
_FIRST_WITHIN_S = 10.0
# How often a stream that has nothing to say shows that it is alive; some proxies wait for 30 s.
_COMMENT_EVERY_S = 15.0
_CLIENT_GONE = 499  # nginx' word for it; nobody sees it


async def while_listened_to(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`, which is cancelled when the client hangs up.

    Raises Refusal for what engines raise.
    """
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Refusal(_CLIENT_GONE, "The client has hung up.")
        return working.result()
    except EngineError as error:
        raise refusal_of(error) from error
    finally:
        for task in (working, gone):
            task.cancel()
        # Not `gather` with everything suppressed: being cancelled oneself must come through.
        await asyncio.wait({working, gone})
        if not working.cancelled():
            working.exception()  # Nobody else asks for it where the client has gone.


async def events(
    request: Request, chunks: AsyncGenerator[object, None], *, has_done: bool = True
) -> StreamingResponse:
    """A stream of JSON values; what goes wrong soon, before the first of them, is still a refusal.

    `has_done` says whether this API ends its streams with `[DONE]`, for clients that bear it.
    Starlette cancels it when the client hangs up, which closes `chunks`.
    """
    client = client_named(request.headers.get("user-agent", ""))
    pending: asyncio.Task[object] = asyncio.ensure_future(anext(chunks, None))

    async def close() -> None:
        await _ended(pending)
        await chunks.aclose()

    try:
        await while_listened_to(request, _first(pending))
    except BaseException:
        await close()
        raise

    async def encoded() -> AsyncGenerator[bytes, None]:
        nonlocal pending
        while True:
            while not (await asyncio.wait({pending}, timeout=_COMMENT_EVERY_S))[0]:
                if client.takes_comments:
                    yield b": still here\n\n"
            try:
                value = pending.result()
            except EngineError as error:
                yield _event(refusal_of(error).body)
                return
            if value is None:
                break
            yield _event(value)
            pending = asyncio.ensure_future(anext(chunks, None))
        if has_done and client.ends_with_done:
            yield b"data: [DONE]\n\n"

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return _Stream(close, encoded(), media_type="text/event-stream", headers=headers)


class _Stream(StreamingResponse):
    """One that closes what it sends also where the client has gone before its first word."""

    def __init__(self, close: Callable[[], Awaitable[None]], *args: Any, **words: Any) -> None:
        super().__init__(*args, **words)
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._close()


async def _first(pending: asyncio.Task[object]) -> None:
    """Wait for the first value, not too long; raises what is wrong with it."""
    if (await asyncio.wait({pending}, timeout=_FIRST_WITHIN_S))[0]:
        pending.result()


async def _ended(task: asyncio.Task[object]) -> None:
    """Cancel it and wait until it has ended.

    Starlette cancels who waits for it again and again, and `chunks` cannot be closed before.
    """
    task.cancel()
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({task})


def refusal_of(error: EngineError) -> Refusal:
    """What an engine's complaint is in HTTP's words."""
    if isinstance(error, Busy):
        return Refusal(429, str(error), retry_after_s=1)
    if isinstance(error, NotLoaded):
        return Refusal(501, str(error))
    if isinstance(error, TooLong):
        return Refusal(400, str(error), code="context_length_exceeded")
    if isinstance(error, Unusable):
        return Refusal(400, str(error))
    return Refusal(503, str(error), retry_after_s=5)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _event(value: object) -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"
