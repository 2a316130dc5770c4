"""The one body that an error has, which clients of all three families can read.

Tabby's clients look at the status only, OpenAI's at `error`, TabbyAPI's at `detail`, its Go client
at `message`.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


class Refusal(Exception):
    """A request that is not answered, and why; the text is a sentence that says what to do."""

    def __init__(
        self, status: int, why: str, *, code: str | None = None, retry_after_s: int = 0
    ) -> None:
        super().__init__(why)
        self.status = status
        self.code = code  # OpenAI's word for it
        self.retry_after_s = retry_after_s

    @property
    def body(self) -> dict[str, Any]:
        """What is sent."""
        why = str(self)
        kind = _TYPES.get(self.status, "server_error" if self.status >= 500 else "api_error")
        return {
            "detail": why,
            "message": why,
            "details": None,
            "request_id": uuid.uuid4().hex,
            "error": {"message": why, "type": kind, "param": None, "code": self.code},
        }

    @property
    def headers(self) -> Mapping[str, str]:
        """What stands in the head of the answer besides the usual."""
        headers = {"Retry-After": str(self.retry_after_s)} if self.retry_after_s else {}
        return headers | ({"WWW-Authenticate": "Bearer"} if self.status == 401 else {})

    def encoded(self) -> bytes:
        """The body as bytes."""
        return json.dumps(self.body).encode()
