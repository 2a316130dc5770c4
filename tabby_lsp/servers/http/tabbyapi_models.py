"""TabbyAPI's routes for models: which there are, which one answers, load and unload.

TabbyAPI knows one model that generates; here completion and chat have one each, and `current` is
the one that was loaded last.

Invariant: a load that has begun is ended, whoever hangs up, and a model is never found by a path.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from tabby_lsp.domain import EngineError
from tabby_lsp.rack import Fit, NotLoaded
from tabby_lsp.servers.http.answering import events, while_listened_to
from tabby_lsp.servers.http.errands import Errands, ended
from tabby_lsp.servers.http.errors import Refusal
from tabby_lsp.stock import NotInStock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tabby_lsp.rack import Rack, Role
    from tabby_lsp.stock import Described, Stock

_MAX_UBATCH = 4_096
_CANNOT = {
    "draft_model": "Draft models are not used here",
    "cache_mode": "The cache holds 16 bits a number here",
    "rope_scale": "A model's positions are as its file says",
    "rope_alpha": "A model's positions are as its file says",
    "gpu_split": "llama.cpp divides a model among graphics cards by itself",
    "prompt_template": "The template in a model's file is the only one",
    "vision": "No model sees pictures here",
}
# Loads wait for each other, and whoever asks for more does not know what he wants.
_MAX_LOADS = 4
_MAX_NAME_CHARS = 200

ModelName = Annotated[str, Field(max_length=_MAX_NAME_CHARS)]
MaxTokens = Literal[-1] | Annotated[int, Field(ge=256, le=10_000_000)]


class DraftModel(BaseModel):
    """The small model of speculative decoding, which is not done here."""

    draft_model_name: ModelName | None = None


class LoadRequest(BaseModel):
    """Which model is to answer, and how it is to be loaded."""

    model_name: ModelName
    max_seq_len: MaxTokens | None = None  # -1 for all that it was trained for
    cache_size: MaxTokens | None = None  # one request is answered at a time, so it is no more
    chunk_size: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    cache_mode: Annotated[str, Field(max_length=100)] | None = None
    rope_scale: float | None = None
    rope_alpha: float | Annotated[str, Field(max_length=100)] | None = None
    gpu_split: list[float] | None = None
    prompt_template: Annotated[str, Field(max_length=_MAX_NAME_CHARS)] | None = None
    vision: bool | None = None
    # Ours: TabbyAPI's models have one role. Else it is what the model is for, and chat for both.
    role: Literal["completion", "chat", "embedding"] | None = None
    draft_model: DraftModel | None = None


class EmbeddingLoadRequest(BaseModel):
    """Which model is to turn texts into vectors."""

    embedding_model_name: ModelName
    embeddings_device: Annotated[str, Field(max_length=100)] | None = None


class LoadProgress(BaseModel):
    """How far a load is."""

    model_type: Literal["model", "embedding_model"] = "model"
    module: int = 1
    modules: int = 1
    status: Literal["processing", "finished"]


class CardParameters(BaseModel):
    """How a loaded model runs."""

    max_seq_len: int | None = None
    cache_size: int | None = None
    cache_mode: str = "FP16"
    rope_scale: float = 1.0
    rope_alpha: float = 1.0
    max_batch_size: int = 1
    chunk_size: int | None = None
    prompt_template: str | None = None
    prompt_template_content: str | None = None
    use_vision: bool = False
    draft: None = None


class ModelCard(BaseModel):
    """One model."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "tabby-lsp"
    logging: None = None
    parameters: CardParameters | None = None


class ModelList(BaseModel):
    """Some models."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


class Props(BaseModel):
    """What llama-server tells of itself, as far as TabbyAPI does too."""

    total_slots: int = 1
    chat_template: str
    default_generation_settings: dict[str, int]


class _Models:
    """What the routes do."""

    def __init__(self, rack: Rack, stock: Stock) -> None:
        self._rack = rack
        self._stock = stock
        self._loads = Errands(_MAX_LOADS)
        self._started_s = int(time.time())

    async def listed(self, request: Request, names: list[str], role: Role | None) -> ModelList:
        """What can be loaded, for the admin; what is, for others."""
        loaded = [self._rack.name(role)] if role else [self._current()[1]]
        shown = names if request.state.privilege == "admin" else loaded
        data = [self._card(name, await self._described(name)) for name in shown if name]
        return ModelList(data=data)

    async def of_role(self, role: Role) -> list[str]:
        """The names of the models for a role; a file that cannot be read is for none."""

        def look() -> list[str]:
            return [name for name in self._stock.names() if self._is_for(role, name)]

        return await asyncio.to_thread(look)

    async def card(self, role: Role | None) -> ModelCard:
        """The loaded model of a role, or the current one; raises Refusal."""
        name = self._rack.name(role) if role else self._current()[1]
        if not name:
            raise _none_loaded(role)
        described = await self._described(name)
        card = self._card(name, described)
        if described is not None:
            n_ctx = self._n_ctx(role or self._rack.latest()) or described.n_ctx
            card.parameters = CardParameters(
                max_seq_len=n_ctx,
                cache_size=n_ctx,
                chunk_size=described.n_batch,
                prompt_template=name if described.template else None,
                prompt_template_content=described.template or None,
            )
        return card

    async def props(self) -> Props:
        """Of the current model; raises Refusal."""
        role, name = self._current()
        if not name:
            raise _none_loaded(None)
        described = await self._described(name)
        if described is None:
            raise Refusal(501, f"{name} runs elsewhere, and nothing is known of it here.")
        return Props(
            chat_template=described.template,
            default_generation_settings={"n_ctx": self._n_ctx(role) or described.n_ctx},
        )

    async def fit(self, body: LoadRequest) -> Fit:
        """How a model is to be loaded; raises Refusal for what llama.cpp or its file cannot do."""
        _refuse_settings(body)
        asked = {"max_seq_len": body.max_seq_len, "cache_size": body.cache_size}
        wanted = {key: value for key, value in asked.items() if value}
        n_ctx = 0
        if wanted:
            described = await self._described(await self._own_name(body.model_name))
            if described is None:
                raise Refusal(501, f"How {body.model_name} is loaded is not decided here.")
            most = described.n_ctx_train
            for key, value in wanted.items():
                if key == "max_seq_len" and value > most:
                    raise Refusal(
                        400, f"{body.model_name} was trained for a `max_seq_len` of {most}."
                    )
            n_ctx = min(most if value == -1 else value for value in wanted.values())
            n_ctx = min(n_ctx, most)
        return Fit(n_ctx=n_ctx, n_ubatch=min(body.chunk_size or 0, _MAX_UBATCH))

    async def begin(self, name: str, role: Role | None, fit: Fit) -> asyncio.Task[None]:
        """Have a model loaded for a role, or for its own; raises Refusal for what is no model."""
        try:
            own_name, own_role = await asyncio.to_thread(self._found, name, role)
        except NotInStock as error:
            raise Refusal(400, str(error)) from error
        except EngineError as error:
            raise Refusal(400, self._stock.without_paths(str(error))) from error

        async def load() -> None:
            try:
                await self._rack.put(own_role, self._stock.asked(own_name), fit)
            except EngineError as error:
                raise EngineError(self._stock.without_paths(str(error))) from error

        return self._loads.begin((own_role, own_name, fit), load)

    async def unload(self, role: Role | None) -> None:
        """Have the model of a role, or the current one, answer no more; raises Refusal."""
        wanted = role or self._current()[0]
        try:
            if wanted is None:
                raise _none_loaded(None)
            await self._rack.take(wanted)
        except NotLoaded as error:
            raise _none_loaded(wanted) from error

    def _current(self) -> tuple[Role | None, str]:
        role = self._rack.latest()
        return role, self._rack.name(role) if role else ""

    def _n_ctx(self, role: Role | None) -> int:
        status = self._rack.status(role) if role else None
        return status.n_ctx if status else 0

    async def _own_name(self, name: str) -> str:
        try:
            return await asyncio.to_thread(self._stock.named, name)
        except NotInStock as error:
            raise Refusal(400, str(error)) from error

    def _found(self, name: str, role: Role | None) -> tuple[str, Role]:
        own_name = self._stock.named(name)
        return own_name, role or self._stock.role_of(own_name)

    def _card(self, name: str, described: Described | None) -> ModelCard:
        return ModelCard(id=name, created=described.created_s if described else self._started_s)

    async def _described(self, name: str) -> Described | None:
        return await asyncio.to_thread(self._stock.described, name)

    def _is_for(self, role: Role, name: str) -> bool:
        try:
            return self._stock.role_of(name) == role
        except EngineError:
            return False


def router(rack: Rack, stock: Stock) -> APIRouter:
    """The routes, at TabbyAPI's paths and at its Go client's; `/v1/models` is OpenAI's."""
    routes = APIRouter()
    models = _Models(rack, stock)
    _add_looks(routes, models, stock)
    _add_changes(routes, models)
    return routes


def _add_looks(routes: APIRouter, models: _Models, stock: Stock) -> None:
    @routes.get("/v1/model/list", response_model=ModelList)
    async def model_list(request: Request) -> ModelList:
        return await models.listed(request, stock.names(), None)

    @routes.get("/v1/model", response_model=ModelCard)
    @routes.get("/v1/models/current", response_model=ModelCard)
    async def current_model() -> ModelCard:
        return await models.card(None)

    @routes.get("/props", response_model=Props)
    @routes.get("/v1/models/props", response_model=Props)
    async def props() -> Props:
        return await models.props()

    @routes.get("/v1/model/draft/list", response_model=ModelList)
    @routes.get("/v1/models/draft", response_model=ModelList)
    async def draft_list() -> ModelList:
        return ModelList(data=[])

    @routes.get("/v1/model/embedding/list", response_model=ModelList)
    @routes.get("/v1/models/embedding", response_model=ModelList)
    async def embedding_list(request: Request) -> ModelList:
        return await models.listed(request, await models.of_role("embedding"), "embedding")

    @routes.get("/v1/model/embedding", response_model=ModelCard)
    @routes.get("/v1/models/embedding/current", response_model=ModelCard)
    async def current_embedding() -> ModelCard:
        return await models.card("embedding")


def _add_changes(routes: APIRouter, models: _Models) -> None:
    @routes.post(
        "/v1/model/load",
        response_class=StreamingResponse,
        responses={
            200: {"description": "Progress, as events.", "content": {"text/event-stream": {}}}
        },
    )
    async def load_and_tell(request: Request, body: LoadRequest) -> StreamingResponse:
        errand = await models.begin(body.model_name, body.role, await models.fit(body))

        async def progress() -> AsyncGenerator[object, None]:
            yield LoadProgress(status="processing").model_dump()
            await ended(errand)
            yield LoadProgress(status="finished").model_dump()

        return await events(request, progress(), has_done=False)

    @routes.post("/v1/models/load", response_model=LoadProgress)
    async def load(request: Request, body: LoadRequest) -> LoadProgress:
        # The Go client sends the same for a stream and for JSON; one line without an end is both.
        errand = await models.begin(body.model_name, body.role, await models.fit(body))
        await while_listened_to(request, ended(errand))
        return LoadProgress(status="finished")

    @routes.post("/v1/model/embedding/load", response_model=LoadProgress)
    @routes.post("/v1/models/embedding/load", response_model=LoadProgress)
    async def load_embedding(request: Request, body: EmbeddingLoadRequest) -> LoadProgress:
        fit = Fit(is_on_processor=(body.embeddings_device or "").lower() == "cpu")
        errand = await models.begin(body.embedding_model_name, "embedding", fit)
        await while_listened_to(request, ended(errand))
        return LoadProgress(model_type="embedding_model", status="finished")

    @routes.post("/v1/model/unload")
    @routes.delete("/v1/model/unload")
    @routes.delete("/v1/model")
    @routes.post("/v1/models/unload")
    @routes.delete("/v1/models/current")
    async def unload() -> None:
        await models.unload(None)

    @routes.post("/v1/model/embedding/unload")
    @routes.delete("/v1/model/embedding/unload")
    @routes.delete("/v1/model/embedding")
    @routes.post("/v1/models/embedding/unload")
    @routes.delete("/v1/models/embedding/current")
    async def unload_embedding() -> None:
        await models.unload("embedding")


def _refuse_settings(body: LoadRequest) -> None:
    """What would change the answers and is not done is refused; hints are not looked at."""
    own = {"", body.model_name.lower()}
    refused = {
        "draft_model": body.draft_model is not None and bool(body.draft_model.draft_model_name),
        "cache_mode": (body.cache_mode or "fp16").lower() != "fp16",
        "rope_scale": body.rope_scale not in (None, 0, 1),
        "rope_alpha": body.rope_alpha not in (None, 0, 1, "auto"),
        "gpu_split": any(body.gpu_split or ()),
        "prompt_template": (body.prompt_template or "").lower() not in own,
        "vision": bool(body.vision),
    }
    for name in (name for name, is_asked in refused.items() if is_asked):
        raise Refusal(501, f"{_CANNOT[name]}: leave `{name}` out.")


def _none_loaded(role: Role | None) -> Refusal:
    which = "embedding model is" if role == "embedding" else "models are"
    return Refusal(503, f"No {which} currently loaded: load one first.")
