"""Counts what is served, for whoever watches the server with Prometheus.

Invariant: of a request nothing is kept but its route, its status and how long it took.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Others are of somebody's own making, and could be any number.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Meter:
    """An ASGI application round another; lives as long as the server."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._n_requests: Counter[tuple[str, str, int]] = Counter()
        self._seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
        self.n_pending = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_s, status = time.perf_counter(), 500

        async def heard(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self.n_pending += 1
        try:
            await self._app(scope, receive, heard)
        finally:
            self.n_pending -= 1
            # What is asked for is only known by its route; paths of others' making are one.
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._n_requests[method, route, status] += 1
            self._seconds[method, route] += time.perf_counter() - started_s

    def as_text(self, gauges: Mapping[str, float]) -> str:
        """Prometheus' text format; `gauges` are what others count."""
        return "\n".join([*self._lines(), *_gauges(gauges), ""])

    def _lines(self) -> Iterator[str]:
        yield "# TYPE tabby_http_requests_total counter"
        for (method, route, status), n in sorted(self._n_requests.items()):
            labels = f'method="{method}",endpoint="{route}",status="{status}"'
            yield f"tabby_http_requests_total{{{labels}}} {n}"
        yield "# TYPE tabby_http_requests_duration_seconds_sum counter"
        for (method, route), seconds in sorted(self._seconds.items()):
            labels = f'method="{method}",endpoint="{route}"'
            yield f"tabby_http_requests_duration_seconds_sum{{{labels}}} {seconds:.6f}"


def _gauges(gauges: Mapping[str, float]) -> Iterator[str]:
    for name, value in gauges.items():
        yield f"# TYPE {name} {'counter' if name.endswith('_total') else 'gauge'}"
        yield f"{name} {int(value) if value == int(value) else value}"
