"""The page's own files, which hold no data and need no key.

Invariant: nothing is served but the files listed here, as they were when the server began, and the
page may load, ask and show nothing that comes from elsewhere.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from fastapi import APIRouter, Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_HTML, _CSS, _JS = (f"text/{kind}; charset=utf-8" for kind in ("html", "css", "javascript"))
FILES = {
    "/": ("index.html", _HTML),
    "/page.css": ("page.css", _CSS),
    "/page.js": ("page.js", _JS),
    **{
        f"/page/{name}.js": (f"{name}.js", _JS)
        for name in ("ask", "chat", "dom", "markdown", "playground", "status", "days")
    },
}

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # Another version's page would ask for what this server does not have.
    "Cache-Control": "no-cache",
}


def router() -> APIRouter:
    """`GET` and `HEAD` of each file."""
    routes = APIRouter(include_in_schema=False)
    for path, (name, media_type) in FILES.items():
        routes.add_api_route(path, _answer(name, media_type), methods=["GET", "HEAD"])
    return routes


def _answer(name: str, media_type: str) -> Callable[[], Awaitable[Response]]:
    content = files(__package__).joinpath(name).read_bytes()

    async def answer() -> Response:
        return Response(content, media_type=media_type, headers=_HEADERS)

    return answer
