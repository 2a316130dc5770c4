"""Every route there is: nobody comes to it without a key, from elsewhere, or by another name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tabby_lsp.servers.http.gate import OPEN_PATHS
from tabby_lsp.servers.http.tabbyapi import ADMIN_ROUTES
from tests.http.inside import ADMIN, API, Inside, inside, routes_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import httpx2

# What reads and does not change, though it is sent with POST.
_HARMLESS = {"/v1/token/encode", "/v1/tokens/encode", "/v1/token/decode", "/v1/tokens/decode"}


@dataclass(frozen=True, slots=True)
class Known:
    """One way to ask."""

    method: str
    path: str
    tags: list[str]


@pytest.fixture
def routes(tmp_path: Path) -> list[Known]:
    """Every one, also those that stand in no document."""
    app = routes_in(tmp_path)
    found = [
        Known(method, route.path, list(getattr(route, "tags", [])))
        for route in walked(app.routes)
        for method in sorted(route.methods or ())
    ]
    documented = {
        (method.upper(), path)
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    }
    assert documented
    assert {(route.method, route.path) for route in found} >= documented
    return found


def walked(routes: Iterable[Any]) -> Iterator[Any]:
    """From FastAPI 0.140 on, what was included stays together."""
    for route in routes:
        if hasattr(route, "effective_route_contexts"):
            yield from route.effective_route_contexts()
        else:
            yield route


async def asked(server: Inside, method: str, path: str, **headers: str) -> httpx2.Response:
    path = re.sub(r"\{.*?\}", "x", path)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    body: dict[str, Any] = {"json": {}} if method in ("POST", "PUT") else {}
    return await server.http.request(method, path, headers=names, **body)


def test_nobody_comes_without_a_key(tmp_path: Path, routes: list[Known]) -> None:
    async def work(server: Inside) -> None:
        for route in routes:
            if route.path not in OPEN_PATHS:
                answer = await asked(server, route.method, route.path)
                assert answer.status_code == 401, route
                assert answer.headers["www-authenticate"] == "Bearer"

    inside(tmp_path, {}, work, has_keys=True)


def test_nobody_comes_from_another_origin(tmp_path: Path, routes: list[Known]) -> None:
    async def work(server: Inside) -> None:
        for route in routes:
            answer = await asked(
                server, route.method, route.path, origin="http://evil.example", **ADMIN
            )
            assert answer.status_code == 403, route

    for has_keys in (True, False):
        inside(tmp_path, {}, work, has_keys=has_keys)


def test_nobody_comes_by_another_name(tmp_path: Path, routes: list[Known]) -> None:
    async def work(server: Inside) -> None:
        for route in routes:
            answer = await asked(server, route.method, route.path, host="evil.example", **ADMIN)
            assert answer.status_code == 421, route

    for has_keys in (True, False):
        inside(tmp_path, {}, work, has_keys=has_keys)


def test_whoever_has_the_small_key_changes_nothing(tmp_path: Path) -> None:
    async def work(server: Inside) -> None:
        for method, path in ADMIN_ROUTES:
            assert (await asked(server, method, path, **API)).status_code == 403, (method, path)
            answer = await asked(server, method, path, **ADMIN)
            assert answer.status_code in (400, 501, 503), (method, path, answer.text)

    inside(tmp_path, {}, work, has_keys=True)


def test_every_route_that_changes_the_server_stands_in_the_table(
    routes: list[Known],
) -> None:
    there = {(route.method, route.path) for route in routes}
    assert there >= ADMIN_ROUTES, ADMIN_ROUTES - there
    changing = {
        (route.method, route.path)
        for route in routes
        if "TabbyAPI" in route.tags and route.method != "GET" and route.path not in _HARMLESS
    }
    assert changing == ADMIN_ROUTES
