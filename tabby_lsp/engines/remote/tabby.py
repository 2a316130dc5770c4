"""A Tabby server: it gets the segments as they are, and renders, cuts and decides by itself.

Nothing is reported back to it: what became of a suggestion stays on this machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabby_lsp.engines.remote import faults
from tabby_lsp.engines.remote.dialect import Said, dig, text_at
from tabby_lsp.engines.remote.sampling import tabby_fill_words

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tabby_lsp.domain import GenerationRequest, Segments
    from tabby_lsp.engines.remote.connection import Connection
    from tabby_lsp.engines.remote.deadline import Deadline
    from tabby_lsp.engines.remote.dialect import Target


class TabbyDialect:
    """Answers come whole: Tabby's server does not stream them."""

    load_timeout_s = 0.0

    def __init__(self, target: Target) -> None:
        self._connection = target.connection

    async def greet(self, deadline: Deadline) -> str:
        health = await health_of(self._connection, deadline)
        model = text_at(health, "model")
        if not model:
            raise faults.Fault(
                "model",
                f"{self._connection.place.url} runs no model for completion: start it as"
                " `tabby serve --model NAME`, or correct `url` of"
                f" {self._connection.place.table}.",
            )
        return model

    async def ask(
        self, request: GenerationRequest, deadline: Deadline
    ) -> AsyncGenerator[Said, None]:
        body = {
            "language": request.segments.language,
            "segments": _segments(request.segments),
            **tabby_fill_words(request),
        }
        answer = await self._connection.fetch("POST", "/v1/completions", body, deadline)
        if not isinstance(dig(answer, "choices"), list):
            raise faults.strange(self._connection.place, "no `choices`")
        yield Said(text_at(answer, "choices", 0, "text"))


async def health_of(connection: Connection, deadline: Deadline) -> object:
    """What the server says of itself; some versions want to be asked by POST. Raises Fault."""
    try:
        return await connection.fetch("GET", "/v1/health", None, deadline)
    except faults.Fault as fault:
        if fault.kind != "place":
            raise
        return await connection.fetch("POST", "/v1/health", {}, deadline)


def _segments(segments: Segments) -> dict[str, object]:
    """Tabby's names for ours; snippets are from files that are open or lie beside this one."""
    snippets = [{"filepath": s.path, "body": s.text, "score": 1.0} for s in segments.snippets]
    shown: dict[str, object] = {"prefix": segments.prefix, "suffix": segments.suffix}
    if segments.path:
        shown["filepath"] = segments.path
    if snippets:
        shown["relevant_snippets_from_recently_opened_files"] = snippets
    return shown
