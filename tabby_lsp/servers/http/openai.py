"""OpenAI's API, as every client of it expects: models, chat and embeddings.

Its text completions share their route with Tabby's, in `shared.py`.
Contract: openai-openapi 2.3 and openai-python 3. Unknown fields are ignored.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from tabby_lsp.rack import ROLES
from tabby_lsp.servers.http import openai_chat, openai_embeddings, openai_shapes
from tabby_lsp.servers.http.documented import NOT_FOUND, STREAMED
from tabby_lsp.servers.http.named import no_such_model

if TYPE_CHECKING:
    from tabby_lsp.rack import Rack


class ModelCard(BaseModel):
    """A model that is loaded."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "tabby-lsp"


class ModelList(BaseModel):
    """The models that are loaded: the one that completes, the one that chats, and so on."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


def router(rack: Rack, max_chat_tokens: int) -> APIRouter:
    """`max_chat_tokens`: of an answer in a chat, where a request does not say."""
    routes = APIRouter(tags=["OpenAI"])
    started_s = int(time.time())

    def cards() -> dict[str, ModelCard]:
        names = list(dict.fromkeys(name for role in ROLES if (name := rack.name(role))))
        return {name.lower(): ModelCard(id=name, created=started_s) for name in names}

    @routes.get("/v1/models")
    async def models() -> ModelList:
        return ModelList(data=list(cards().values()))

    @routes.get("/v1/models/{model_id}", responses=NOT_FOUND)
    async def model(model_id: str) -> ModelCard:
        card = cards().get(model_id.lower())
        if card is None:
            raise no_such_model(model_id)
        return card

    async def chat(request: Request, body: openai_shapes.ChatCompletionRequest) -> Any:
        return await openai_chat.chat(request, body, rack, max_chat_tokens)

    for path in ("/v1/chat/completions", "/v1beta/chat/completions"):
        routes.post(
            path,
            response_model=openai_shapes.ChatCompletion,
            responses=STREAMED,
            operation_id=f"chat{path.replace('/', '_')}",
        )(chat)

    @routes.post("/v1/embeddings", response_model=openai_embeddings.EmbeddingList)
    async def embeddings(request: Request, body: openai_embeddings.EmbeddingsRequest) -> Any:
        return await openai_embeddings.embed(request, body, rack)

    return routes
