"""OpenAI's `POST /v1/embeddings`: what texts mean, as vectors of length 1."""

from __future__ import annotations

import asyncio
import base64
import struct
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from tabby_lsp.rack import ROLES
from tabby_lsp.servers.http.answering import while_listened_to
from tabby_lsp.servers.http.errors import Refusal
from tabby_lsp.servers.http.named import ANY_MODEL, check_able, role_named
from tabby_lsp.servers.http.openai_text import Text, Tokens, as_texts

if TYPE_CHECKING:
    from starlette.requests import Request

    from tabby_lsp.domain import Embedding
    from tabby_lsp.rack import Rack, Role

_MAX_INPUTS = 2_048  # as OpenAI
_FIRST_EMBEDDING: tuple[Role, ...] = ("embedding", *(r for r in ROLES if r != "embedding"))


class EmbeddingsRequest(BaseModel):
    """`POST /v1/embeddings`."""

    texts: (
        Text
        | Annotated[list[Text], Field(min_length=1, max_length=_MAX_INPUTS)]
        | Tokens
        | Annotated[list[Tokens], Field(min_length=1, max_length=_MAX_INPUTS)]
    ) = Field(alias="input")
    model: Annotated[str, Field(max_length=500)] | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class EmbeddingObject(BaseModel):
    """One text's vector: numbers, or base64 of them as 32-bit floats, little end first."""

    object: Literal["embedding"] = "embedding"
    embedding: list[float] | str
    index: int


class EmbeddingsUsage(BaseModel):
    """How many tokens were read."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(BaseModel):
    """The vectors, in the texts' order."""

    object: Literal["list"] = "list"
    data: list[EmbeddingObject]
    model: str
    usage: EmbeddingsUsage


async def embed(request: Request, body: EmbeddingsRequest, rack: Rack) -> Response:
    """Answer; raises Refusal."""
    answer = await while_listened_to(request, _answered(rack, body))
    return JSONResponse(answer.model_dump())


async def _answered(rack: Rack, body: EmbeddingsRequest) -> EmbeddingList:
    """By the embedding model; where there is none, by the model that is named, pooled."""
    if (body.model or "").lower() in ANY_MODEL and not rack.name("embedding"):
        raise Refusal(
            501,
            "No embedding model is loaded: name a loaded model, or set `embedding_model` under "
            "`[serve]` in config.toml.",
        )
    role = role_named(rack, body.model, _FIRST_EMBEDDING)
    has_own = rack.name("embedding") != "" and not rack.is_copy("embedding")
    if role != "embedding" and not has_own:
        status = rack.status(role)
        if status is not None and not status.is_remote:
            # The same file once more, in a context for vectors; its weights are shared.
            # Whoever hangs up meanwhile leaves it to the next.
            await asyncio.shield(rack.copy("embedding", role))
            role = "embedding"
    return await _embedded(rack, role, body)


async def _embedded(rack: Rack, role: Role, body: EmbeddingsRequest) -> EmbeddingList:
    async with rack.using(role) as engine:
        name = rack.name(role)
        check_able(engine, "embed", "gives no vectors: load an embedding model")
        embeddings: list[Embedding] = await engine.embed(await as_texts(engine, body.texts))
    width = len(embeddings[0].vector)
    if body.dimensions not in (None, width):
        raise Refusal(400, f"{name} gives {width} dimensions, no other number of them.")
    n_tokens = sum(embedding.n_tokens for embedding in embeddings)
    return EmbeddingList(
        data=[
            EmbeddingObject(embedding=_encoded(embedding.vector, body), index=index)
            for index, embedding in enumerate(embeddings)
        ],
        model=name,
        usage=EmbeddingsUsage(prompt_tokens=n_tokens, total_tokens=n_tokens),
    )


def _encoded(vector: tuple[float, ...], body: EmbeddingsRequest) -> Any:
    if body.encoding_format == "base64":
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    return list(vector)
