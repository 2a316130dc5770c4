"""TabbyAPI's route for downloads: of a model of the catalogue, and of nothing else.

Invariant: what is fetched, from where, and where it goes is the catalogue's word; a request only
chooses. No path of this machine is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from tabby_lsp.domain import EngineError
from tabby_lsp.servers.http.answering import while_listened_to
from tabby_lsp.servers.http.errands import Errands, ended, on_a_thread
from tabby_lsp.servers.http.errors import Refusal
from tabby_lsp.stock import offers

if TYPE_CHECKING:
    from tabby_lsp.models.catalog import Entry
    from tabby_lsp.stock import Stock

_MAX_PULLS = 2

Words = Annotated[str, Field(max_length=200)]


class DownloadRequest(BaseModel):
    """Which model; TabbyAPI's folder, token and times are not asked for here."""

    repo_id: Words  # a name of the catalogue, or the repository of one of its models
    repo_type: Words | None = None
    revision: Words | None = None
    include: list[Words] | None = Field(default=None, max_length=100)  # names of files


class Downloaded(BaseModel):
    """What is installed now, by its name, which is what `model_name` takes."""

    download_path: str


def router(stock: Stock) -> APIRouter:
    """The routes, at TabbyAPI's path and at its Go client's."""
    routes = APIRouter()
    pulls = Errands(_MAX_PULLS)

    @routes.post("/v1/download", response_model=Downloaded)
    @routes.post("/v1/models/download", response_model=Downloaded)
    async def download(request: Request, body: DownloadRequest) -> Downloaded:
        entry = _chosen(body)

        async def pull() -> None:
            try:
                await on_a_thread(lambda: stock.pull(entry))
            except EngineError as error:
                raise EngineError(stock.without_paths(str(error))) from error

        # A client whose patience is at its end asks again, and finds it further on.
        await while_listened_to(request, ended(pulls.begin(entry.name, pull)))
        return Downloaded(download_path=entry.name)

    return routes


def _chosen(body: DownloadRequest) -> Entry:
    """The one model that is meant; raises Refusal."""
    if body.repo_type not in (None, "", "model"):
        raise Refusal(400, "Only models are downloaded: `repo_type` is `model`.")
    if body.revision not in (None, "", "main"):
        raise Refusal(400, "The catalogue has one revision of each model: leave `revision` out.")
    found = offers(body.repo_id)
    if not found:
        raise Refusal(
            403,
            "Only models of the catalogue are downloaded: `tabby-lsp models list` shows them.",
        )
    if body.include:
        found = [entry for entry in found if entry.file in body.include]
    if len(found) != 1:
        names = ", ".join(entry.name for entry in offers(body.repo_id))
        raise Refusal(400, f"Give the name of one model as `repo_id`: {names}.")
    return found[0]
