"""The routes that Tabby, OpenAI and TabbyAPI all have, and who of them is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Discriminator, Tag

from tabby_lsp.servers.http import openai_text, tabby
from tabby_lsp.servers.http.documented import STREAMED

if TYPE_CHECKING:
    from tabby_lsp.rack import Rack
    from tabby_lsp.servers.http.journal import Journal
    from tabby_lsp.suggest import Suggest


def _who(body: Any) -> str:
    """Tabby sends segments or its own field for a prompt, the others `prompt`."""
    if not isinstance(body, dict):
        return "tabby"
    debug = body.get("debug_options")
    has_raw_prompt = isinstance(debug, dict) and debug.get("raw_prompt") is not None
    is_tabbys = body.get("segments") is not None or has_raw_prompt
    return "openai" if "prompt" in body and not is_tabbys else "tabby"


CompletionRequest = Annotated[
    Annotated[tabby.TabbyCompletionRequest, Tag("tabby")]
    | Annotated[openai_text.TextCompletionRequest, Tag("openai")],
    Discriminator(_who),
]


def router(suggest: Suggest, rack: Rack, journal: Journal | None) -> APIRouter:
    """`POST /v1/completions`: with `segments` it is Tabby's, with `prompt` OpenAI's."""
    routes = APIRouter()

    @routes.post(
        "/v1/completions",
        tags=["Tabby", "OpenAI"],
        response_model=tabby.TabbyCompletion | openai_text.TextCompletion,
        response_model_exclude_none=True,
        responses=STREAMED,
    )
    async def completions(request: Request, body: CompletionRequest) -> Any:
        if isinstance(body, openai_text.TextCompletionRequest):
            return await openai_text.complete(request, body, rack)
        return await tabby.complete(request, body, suggest, journal)

    return routes
