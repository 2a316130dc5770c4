"""The routes that Tabby, OpenAI and TabbyAPI all have, and who of them is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request

from tabby_lsp.servers.http import tabby

if TYPE_CHECKING:
    from tabby_lsp.servers.http.journal import Journal
    from tabby_lsp.suggest import Suggest


def router(suggest: Suggest, journal: Journal | None) -> APIRouter:
    """`POST /v1/completions`: with `segments` it is Tabby's."""
    routes = APIRouter()

    @routes.post(
        "/v1/completions",
        tags=["Tabby"],
        response_model=tabby.TabbyCompletion,
        response_model_exclude_none=True,
    )
    async def completions(request: Request, body: tabby.TabbyCompletionRequest) -> Any:
        return await tabby.complete(request, body, suggest, journal)

    return routes
