"""What TabbyAPI has and this server has not: LoRA, other templates, sampler overrides.

Each list is true, and each change is refused with the reason.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal, NoReturn

from fastapi import APIRouter
from pydantic import BaseModel

from tabby_lsp.servers.http.documented import ErrorBody
from tabby_lsp.servers.http.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tabby_lsp.rack import Rack
    from tabby_lsp.stock import Stock

_NO_LORA = "LoRA adapters are not loaded here: merge the adapter into the model's GGUF file."
_OWN_TEMPLATE = "A model chats with the template of its own file: choose another model."
_NO_OVERRIDES = "There are no sampler presets here: send the values with each request."

# Method and path of what is refused, with the reason.
_REFUSED: Sequence[tuple[str, str, str]] = (
    ("POST", "/v1/lora/load", _NO_LORA),
    ("POST", "/v1/loras/load", _NO_LORA),
    ("POST", "/v1/lora/unload", _NO_LORA),
    ("POST", "/v1/loras/unload", _NO_LORA),
    ("DELETE", "/v1/lora", _NO_LORA),
    ("DELETE", "/v1/loras/active", _NO_LORA),
    ("POST", "/v1/template/switch", _OWN_TEMPLATE),
    ("POST", "/v1/templates/switch", _OWN_TEMPLATE),
    ("POST", "/v1/template/unload", _OWN_TEMPLATE),
    ("POST", "/v1/templates/unload", _OWN_TEMPLATE),
    ("DELETE", "/v1/template", _OWN_TEMPLATE),
    ("DELETE", "/v1/templates/active", _OWN_TEMPLATE),
    ("POST", "/v1/sampling/override/switch", _NO_OVERRIDES),
    ("POST", "/v1/sampler/overrides/switch", _NO_OVERRIDES),
    ("POST", "/v1/sampling/override/unload", _NO_OVERRIDES),
    ("POST", "/v1/sampler/overrides/unload", _NO_OVERRIDES),
    ("DELETE", "/v1/sampling/override", _NO_OVERRIDES),
    ("DELETE", "/v1/sampler/overrides/active", _NO_OVERRIDES),
)


class Loras(BaseModel):
    """No adapters."""

    object: Literal["list"] = "list"
    data: list[str] = []


class Templates(BaseModel):
    """The names of templates."""

    object: Literal["list"] = "list"
    data: list[str]


class Overrides(BaseModel):
    """No presets."""

    selected_preset: None = None
    overrides: dict[str, str] = {}
    presets: list[str] = []


def router(rack: Rack, stock: Stock) -> APIRouter:
    """The routes, at TabbyAPI's paths and at its Go client's."""
    routes = APIRouter()

    @routes.get("/v1/loras", response_model=Loras)
    @routes.get("/v1/lora/list", response_model=Loras)
    @routes.get("/v1/lora", response_model=Loras)
    @routes.get("/v1/loras/active", response_model=Loras)
    async def loras() -> Loras:
        return Loras()

    @routes.get("/v1/templates", response_model=Templates)
    @routes.get("/v1/template/list", response_model=Templates)
    async def templates() -> Templates:
        # A template has no name of its own, so it goes by its model's.
        name = rack.name("chat")
        described = await asyncio.to_thread(stock.described, name) if name else None
        return Templates(data=[name] if described and described.template else [])

    @routes.get("/v1/sampling/overrides", response_model=Overrides)
    @routes.get("/v1/sampling/override/list", response_model=Overrides)
    @routes.get("/v1/sampler/overrides", response_model=Overrides)
    async def overrides() -> Overrides:
        return Overrides()

    for method, path, why in _REFUSED:
        _refuse(routes, method, path, why)
    return routes


def _refuse(routes: APIRouter, method: str, path: str, why: str) -> None:
    @routes.api_route(path, methods=[method], name=path, status_code=501, response_model=ErrorBody)
    async def refused() -> NoReturn:
        raise Refusal(501, why)
