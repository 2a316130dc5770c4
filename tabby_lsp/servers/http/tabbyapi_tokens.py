"""TabbyAPI's routes for tokens: a text as the ids that a model reads, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from tabby_lsp.domain import ChatMessage
from tabby_lsp.servers.http.answering import while_listened_to
from tabby_lsp.servers.http.errors import Refusal
from tabby_lsp.servers.http.named import check_able

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tabby_lsp.rack import Rack, Role

_MAX_CHARS = 1_000_000
_MAX_TOKENS = 200_000
_ELSEWHERE = "runs elsewhere, and its tokens are not known"

TokenId = Annotated[int, Field(ge=0, lt=2**31)]


class TokenOptions(BaseModel):
    """How control tokens are read and written."""

    add_bos_token: bool = True
    encode_special_tokens: bool = True
    decode_special_tokens: bool = True


class EncodedMessage(BaseModel):
    """A message of a conversation, which the model's chat template puts into its form."""

    role: Literal["system", "user", "assistant"]
    content: Annotated[str, Field(max_length=_MAX_CHARS)]


class EncodeRequest(TokenOptions):
    """A text, or the messages of a conversation."""

    text: (
        Annotated[str, Field(max_length=_MAX_CHARS)]
        | Annotated[list[EncodedMessage], Field(min_length=1, max_length=1_000)]
    )


class Encoded(BaseModel):
    """The ids, and how many they are."""

    tokens: list[int]
    length: int


class DecodeRequest(TokenOptions):
    """The ids of a text's tokens."""

    tokens: Annotated[list[TokenId], Field(max_length=_MAX_TOKENS)]


class Decoded(BaseModel):
    """The text; what is half of a character is a mark."""

    text: str


def router(rack: Rack) -> APIRouter:
    """The routes, at TabbyAPI's paths and at its Go client's; the current model's tokens."""
    routes = APIRouter()

    @routes.post("/v1/token/encode", response_model=Encoded)
    @routes.post("/v1/tokens/encode", response_model=Encoded)
    async def encode(request: Request, body: EncodeRequest) -> Encoded:
        text = body.text

        async def tokens() -> list[int]:
            if not isinstance(text, str):
                async with rack.using("chat") as engine:
                    check_able(engine, "spell", _ELSEWHERE)
                    spelled: list[int] = await engine.spell(_messages(text))
                    return spelled
            async with rack.using(_role(rack)) as engine:
                check_able(engine, "encode", _ELSEWHERE)
                found: list[int] = await engine.encode(
                    text, controls=body.encode_special_tokens, bos=body.add_bos_token
                )
                return found

        found = await while_listened_to(request, tokens())
        return Encoded(tokens=found, length=len(found))

    @routes.post("/v1/token/decode", response_model=Decoded)
    @routes.post("/v1/tokens/decode", response_model=Decoded)
    async def decode(request: Request, body: DecodeRequest) -> Decoded:
        async def text() -> str:
            async with rack.using(_role(rack)) as engine:
                check_able(engine, "decode", _ELSEWHERE)
                found: str = await engine.decode(body.tokens, controls=body.decode_special_tokens)
                return found

        return Decoded(text=await while_listened_to(request, text()))

    return routes


def _messages(messages: Sequence[EncodedMessage]) -> list[ChatMessage]:
    return [ChatMessage(message.role, message.content) for message in messages]


def _role(rack: Rack) -> Role:
    role = rack.latest()
    if role is None:
        raise Refusal(503, "No models are currently loaded: load one first.")
    return role
