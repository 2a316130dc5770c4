"""The HTTP application: every route of every API, behind the gate and the meter."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from tabby_lsp import __version__
from tabby_lsp.rack import ROLES
from tabby_lsp.servers.http import openai, shared, tabby, tabbyapi
from tabby_lsp.servers.http.documented import ERRORS
from tabby_lsp.servers.http.errors import Refusal
from tabby_lsp.servers.http.gate import Gate, Rules
from tabby_lsp.servers.http.meter import Meter
from tabby_lsp.servers.http.page import files, routes

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from tabby_lsp.consult import Consult
    from tabby_lsp.rack import Rack
    from tabby_lsp.servers.http.journal import Journal
    from tabby_lsp.servers.http.machine import Devices
    from tabby_lsp.stock import Stock
    from tabby_lsp.suggest import Suggest

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the routes work with."""

    rack: Rack
    stock: Stock
    suggest: Suggest
    consult: Consult
    journal: Journal
    logs_prompts: bool
    devices: Devices
    max_chat_tokens: int  # of an answer, where a request does not say
    rules: Rules


def face(parts: Parts) -> ASGIApp:
    """The whole application."""
    _, meter = routes_and_meter(parts)
    return Gate(meter, parts.rules)


def routes_and_meter(parts: Parts) -> tuple[FastAPI, Meter]:
    """Every route, and what counts their answers; nobody is served without the gate before it."""
    app = FastAPI(
        title="tabby-lsp",
        version=__version__,
        summary="Completion and chat from a model on your own machine.",
        docs_url=None,  # It would load scripts from elsewhere.
        redoc_url=None,
        responses=ERRORS,
    )
    meter = Meter(app)
    journal = parts.journal if parts.logs_prompts else None
    # Before OpenAI's, whose `/v1/models/{id}` would take `current` for a model.
    app.include_router(tabbyapi.router(parts.rack, parts.stock))
    app.include_router(shared.router(parts.suggest, parts.rack, journal))
    app.include_router(openai.router(parts.rack, parts.max_chat_tokens))
    app.include_router(tabby.router(parts.rack, parts.journal, parts.devices))
    app.include_router(files.router())
    app.include_router(routes.router(_behind(parts)))

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> str:
        return meter.as_text(_gauges(parts.rack, meter))

    _tell_errors(app)
    return app, meter


def _behind(parts: Parts) -> routes.Behind:
    return routes.Behind(
        rack=parts.rack,
        suggest=parts.suggest,
        consult=parts.consult,
        device=parts.devices.completion,
        needs_key=parts.rules.keys is not None,
    )


def _gauges(rack: Rack, meter: Meter) -> dict[str, float]:
    gauges: dict[str, float] = {"tabby_http_requests_pending": meter.n_pending}
    for role in ROLES:
        status = rack.status(role)
        if status is not None:
            n_waiting = min(status.n_waiting, rack.n_users(role))
            gauges[f"tabby_{role}_requests_running"] = rack.n_users(role) - n_waiting
            gauges[f"tabby_{role}_requests_waiting"] = n_waiting
            gauges[f"tabby_{role}_tokens_evaluated_total"] = status.n_evaluated_total
            gauges[f"tabby_{role}_tokens_generated_total"] = status.n_generated_total
    return gauges


def _tell_errors(app: FastAPI) -> None:
    """Every error in the one body that all clients can read."""

    @app.exception_handler(Refusal)
    async def refused(request: Request, refusal: Refusal) -> JSONResponse:
        return _told(refusal)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return _told(Refusal(400, _why_invalid(error)))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        why = {404: "There is no such route.", 405: "This route does not take that method."}
        return _told(Refusal(error.status_code, why.get(error.status_code, str(error.detail))))

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> JSONResponse:
        logger.error("a fault of tabby-lsp itself", exc_info=error)
        return _told(Refusal(500, "This is a fault of tabby-lsp; its log has more."))


def _told(refusal: Refusal) -> JSONResponse:
    return JSONResponse(refusal.body, refusal.status, headers=dict(refusal.headers))


def _why_invalid(error: RequestValidationError) -> str:
    """The first few faults, each with its place; what was sent is not repeated."""
    faults: list[dict[str, Any]] = list(error.errors())[:3]
    said = [f"{_place(each['loc'])}: {each['msg']}" for each in faults]
    return "; ".join(said)[:500]


def _place(location: tuple[int | str, ...]) -> str:
    """Where in the body, without our word for whose body it is."""
    inside = list(map(str, location[1:]))
    return ".".join(inside[1:] if inside[:1] in (["tabby"], ["openai"]) else inside) or "body"
