"""TabbyAPI's own routes, for programs that manage the models of a server.

Contract: theroyallab/tabbyAPI of August 2026, at its own paths and at those that its Go client
(pixelsquared/go-tabbyapi) really sends. Unknown fields are ignored, as there.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from tabby_lsp import __version__
from tabby_lsp.rack import ROLES
from tabby_lsp.servers.http import (
    tabbyapi_cannot,
    tabbyapi_downloads,
    tabbyapi_models,
    tabbyapi_tokens,
)

if TYPE_CHECKING:
    from tabby_lsp.rack import Rack
    from tabby_lsp.stock import Stock

# What changes the server for everybody; each is a method and a path.
ADMIN_ROUTES = frozenset(
    (method, path)
    for method, paths in {
        "POST": (
            "/v1/model/load", "/v1/models/load",
            "/v1/model/unload", "/v1/models/unload",
            "/v1/model/embedding/load", "/v1/models/embedding/load",
            "/v1/model/embedding/unload", "/v1/models/embedding/unload",
            "/v1/download", "/v1/models/download",
            "/v1/lora/load", "/v1/loras/load", "/v1/lora/unload", "/v1/loras/unload",
            "/v1/template/switch", "/v1/templates/switch",
            "/v1/template/unload", "/v1/templates/unload",
            "/v1/sampling/override/switch", "/v1/sampler/overrides/switch",
            "/v1/sampling/override/unload", "/v1/sampler/overrides/unload",
        ),
        "DELETE": (
            "/v1/model", "/v1/models/current", "/v1/model/unload",
            "/v1/model/embedding", "/v1/models/embedding/current", "/v1/model/embedding/unload",
            "/v1/lora", "/v1/loras/active",
            "/v1/template", "/v1/templates/active",
            "/v1/sampling/override", "/v1/sampler/overrides/active",
        ),
    }.items()
    for path in paths
)  # fmt: skip


class Issue(BaseModel):
    """What is wrong, and since when it is known."""

    time: str  # ISO 8601, UTC
    description: str


class Health(BaseModel):
    """Whether the loaded models can answer."""

    # go-tabbyapi's own programs test for "ok"; TabbyAPI says "healthy".
    status: Literal["ok", "unhealthy"]
    issues: list[Issue]


class Permission(BaseModel):
    """What the key of the request allows."""

    permission: Literal["admin", "api"]


def router(rack: Rack, stock: Stock) -> APIRouter:
    """Every route of TabbyAPI that no other API has."""
    routes = APIRouter(tags=["TabbyAPI"])

    @routes.get("/health", response_model=Health, responses={503: {"model": Health}})
    async def health(response: Response) -> Health:
        issues = _issues(rack, stock)
        if issues:
            response.status_code = 503
        return Health(status="unhealthy" if issues else "ok", issues=issues)

    @routes.get("/.well-known/serviceinfo")
    async def service_info() -> dict[str, Any]:
        return {
            "version": 0.1,
            "software": {"name": "tabby-lsp", "version": __version__},
            "api": {"openai": {"name": "OpenAI API", "relative_url": "/v1", "version": 1}},
        }

    @routes.get("/v1/auth/permission", response_model=Permission)
    async def permission(request: Request) -> Permission:
        return Permission(permission=request.state.privilege)

    routes.include_router(tabbyapi_models.router(rack, stock))
    routes.include_router(tabbyapi_downloads.router(stock))
    routes.include_router(tabbyapi_tokens.router(rack))
    routes.include_router(tabbyapi_cannot.router(rack, stock))
    return routes


def _issues(rack: Rack, stock: Stock) -> list[Issue]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    states = [(role, rack.status(role)) for role in ROLES]
    return [
        Issue(time=now, description=f"{role}: {stock.without_paths(status.message)}")
        for role, status in states
        if status is not None and status.state in ("failed", "away")
    ]
