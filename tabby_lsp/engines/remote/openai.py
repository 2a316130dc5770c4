"""Servers with OpenAI's `/v1/completions`: vLLM, llama-cpp-python, LM Studio, hosted ones.

Without a family the server gets prefix and `suffix` and puts its own control tokens between them;
with one it gets the whole prompt as text.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tabby_lsp.domain import Timings
from tabby_lsp.engines.remote import faults
from tabby_lsp.engines.remote.connection import DONE
from tabby_lsp.engines.remote.dialect import (
    Said,
    count_at,
    dig,
    max_bytes,
    text_at,
    texts_at,
)
from tabby_lsp.engines.remote.text_prompt import (
    DEFAULT_N_CTX,
    render_halves,
    render_text,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tabby_lsp.domain import GenerationRequest
    from tabby_lsp.engines.remote.connection import Connection
    from tabby_lsp.models.fim_table import FimFamily

# OpenAI's own limit; the rest is looked for here.
_MAX_STOPS = 4


class OpenAIDialect:
    """Knows the server's model after it has greeted."""

    load_timeout_s = 0.0

    def __init__(
        self, connection: Connection, model: str, family: FimFamily | None, n_ctx: int
    ) -> None:
        self._connection = connection
        self._configured = model
        self._family = family
        self._model = model
        self._configured_n_ctx = n_ctx
        self._n_ctx = n_ctx or DEFAULT_N_CTX

    async def greet(self, deadline_s: float) -> str:
        listing = await self._listing(deadline_s)
        names = texts_at(listing, "id", "data")
        if not self._configured and len(names) != 1:
            raise faults.no_model(self._connection.place, "", names)
        if self._family is None and text_at(listing, "data", 0, "owned_by") == "llamacpp":
            # It takes `suffix` without a word and leaves it out.
            place = self._connection.place
            raise faults.Fault(
                "suffix",
                f"{place.url} is a llama-server, whose `/v1` leaves the suffix out: set `kind` of"
                f' {place.table} to "llama-server".',
            )
        self._model = self._configured or names[0]
        if self._model in names:
            # vLLM's word for it; others do not say.
            n_ctx = count_at(listing, "data", names.index(self._model), "max_model_len")
            self._n_ctx = self._configured_n_ctx or n_ctx or DEFAULT_N_CTX
        return self._model

    async def ask(
        self, request: GenerationRequest, deadline_s: float
    ) -> AsyncGenerator[Said, None]:
        events = self._connection.events(
            "POST",
            "/completions",
            self._body(request),
            deadline_s,
            max_bytes(request.max_tokens),
            model=self._model,
        )
        is_finished = False
        async with aclosing(events):
            async for event in events:
                if event == DONE:
                    is_finished = True
                    break
                if dig(event, "choices") is None:
                    raise faults.strange(self._connection.place, "no `choices`")
                is_finished = is_finished or dig(event, "choices", 0, "finish_reason") is not None
                yield Said(text_at(event, "choices", 0, "text"), _timings(event))
        if not is_finished:
            raise faults.broken(self._connection.place)

    async def _listing(self, deadline_s: float) -> object:
        """The server's models; None where it has no such list and the settings name the model."""
        try:
            return await self._connection.fetch("GET", "/models", None, deadline_s)
        except faults.Fault as fault:
            if fault.kind == "place" and self._configured:
                return None
            raise

    def _body(self, request: GenerationRequest) -> dict[str, object]:
        n_room = max(0, self._n_ctx - request.max_tokens)
        body: dict[str, object] = {
            "model": self._model,
            "max_tokens": request.max_tokens,
            "temperature": 0,
            "stream": True,
        }
        if request.stop:
            body["stop"] = list(request.stop[:_MAX_STOPS])
        if self._family is None:
            halves = render_halves(request.segments, n_room)
            return body | {"prompt": halves.prefix, "suffix": halves.suffix}
        prompt = render_text(request.segments, self._family, n_room)
        # Otherwise vLLM leaves out the control token with which a model ends the file, and goes on
        # with the next file that the model makes up.
        return body | {"prompt": prompt, "skip_special_tokens": False}


def base_url(url: str) -> str:
    """An address as OpenAI's clients take it: where it has no path, `/v1` is meant."""
    return url if urlsplit(url).path.strip("/") else f"{url}/v1"


def _timings(event: object) -> Timings:
    """What the last event says of tokens; most servers say it nowhere."""
    n_prompt = count_at(event, "usage", "prompt_tokens")
    n_reused = count_at(event, "usage", "prompt_tokens_details", "cached_tokens")
    n_reused = min(n_reused, n_prompt)
    return Timings(
        n_prompt_tokens=n_prompt,
        n_reused_tokens=n_reused,
        n_evaluated_tokens=n_prompt - n_reused,
        n_generated_tokens=count_at(event, "usage", "completion_tokens"),
    )
