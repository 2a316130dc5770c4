"""What the OpenAPI document says of errors and streams, which no type of an answer says."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel


class ErrorDetail(BaseModel):
    """An error as OpenAI's clients read it."""

    message: str
    type: str
    param: None
    code: str | None


class ErrorBody(BaseModel):
    """An error as all clients read it."""

    detail: str
    message: str
    details: None
    request_id: str
    error: ErrorDetail


# 500 is a fault of ours, and told in the same body.
_STATUSES = (400, 401, 403, 404, 405, 408, 413, 415, 421, 429, 500, 501, 503)

# By reference, since a route that answers with plain text would tell of errors as plain text.
_JSON = {"application/json": {"schema": {"$ref": f"#/components/schemas/{ErrorBody.__name__}"}}}

# `default` also keeps FastAPI from telling of a 422, which is never sent.
ERRORS: dict[int | str, dict[str, Any]] = {
    **{
        status: {"description": HTTPStatus(status).phrase, "content": _JSON} for status in _STATUSES
    },
    "default": {"description": "Any other error", "content": _JSON},
}

# One route must name the type, so that there is something to refer to.
NOT_FOUND: dict[int | str, dict[str, Any]] = {
    404: {"description": "There is no such thing.", "model": ErrorBody}
}

# Before OpenAPI 3.2 there is no word for the shape of an event, and `schema` is read in two ways.
STREAMED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer, as a whole or as server-sent events.",
        "content": {"text/event-stream": {}},
    }
}
