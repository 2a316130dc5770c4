"""What the page asks for: what is loaded, the last days, a conversation, a completion.

Invariant: repositories by name only, and nothing that may be secret is shown to a model.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from tabby_lsp import __version__, ledger
from tabby_lsp.app import stats_path
from tabby_lsp.choice import NO_CHAT_MODEL
from tabby_lsp.consult import Asked, Shown
from tabby_lsp.domain import ChatMessage, Snippet
from tabby_lsp.languages import LANGUAGES
from tabby_lsp.rack import ROLES
from tabby_lsp.servers.http.answering import events, while_listened_to
from tabby_lsp.servers.http.documented import STREAMED
from tabby_lsp.servers.http.errors import Refusal
from tabby_lsp.suggest import Wanted

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tabby_lsp.consult import Consult
    from tabby_lsp.ledger import Day
    from tabby_lsp.rack import Rack, Role
    from tabby_lsp.suggest import Suggest, Suggested

Text = Annotated[str, Field(max_length=1_000_000)]
Name = Annotated[str, Field(max_length=500)]


class Strict(BaseModel):
    """A request of our own page, which sends nothing that is unknown."""

    model_config = ConfigDict(extra="forbid")


class Said(Strict):
    """One message of a conversation."""

    role: Literal["user", "assistant"]
    content: Text


class File(Strict):
    """A file that was chosen in the browser."""

    name: Annotated[str, Field(min_length=1, max_length=500)]
    text: Text


class ChatAsked(Strict):
    """A conversation to go on with; the last message is the user's."""

    messages: Annotated[list[Said], Field(min_length=1, max_length=200)]
    files: Annotated[list[File], Field(max_length=20)] = Field(default_factory=list)
    repository: Name = ""


class CompletionAsked(Strict):
    """A cursor: what stands before it and after it."""

    prefix: Text
    suffix: Text = ""
    language: Annotated[str, Field(max_length=100)] = "plaintext"


class Piece(BaseModel):
    """A piece of another file."""

    path: str
    text: str


class Cost(BaseModel):
    """What an answer cost, in tokens and milliseconds."""

    n_prompt_tokens: int
    n_reused_tokens: int
    n_evaluated_tokens: int
    n_generated_tokens: int
    queue_ms: float
    prefill_ms: float
    decode_ms: float
    total_ms: float


class CompletionSegments(BaseModel):
    """What the model was given."""

    prefix: str
    suffix: str
    snippets: list[Piece]


class CompletionAnswered(BaseModel):
    """The text to insert, empty where there is none, and why."""

    text: str
    reason: str
    segments: CompletionSegments
    timings: Cost


class Model(BaseModel):
    """A model that is loaded, and how busy it is."""

    role: str
    name: str
    state: str
    message: str
    is_remote: bool
    n_requests: int  # running or waiting
    n_waiting: int  # of them, for others to end
    n_evaluated_total: int
    n_generated_total: int


class Status(BaseModel):
    """What is loaded."""

    version: str
    device: str
    needs_key: bool
    models: list[Model]
    languages: list[str]  # that can be completed
    repositories: list[str]
    no_chat: str  # what to do where no model chats; "" where one does


class DayCounted(BaseModel):
    """What became of one day's suggestions."""

    day: str  # YYYY-MM-DD, by the server's clock
    n_shown: int
    n_accepted: int
    n_typed_along: int


class DaysCounted(BaseModel):
    """Oldest first, today last."""

    days: list[DayCounted]


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """What answers the page."""

    rack: Rack
    suggest: Suggest
    consult: Consult
    device: str
    needs_key: bool


def router(behind: Behind) -> APIRouter:
    """The routes below `/v1/page/`."""
    routes = APIRouter(tags=["Page"])

    @routes.get("/v1/page/status")
    async def status() -> Status:
        return _status(behind)

    @routes.get("/v1/page/days")
    async def days(n_days: Annotated[int, Query(ge=1, le=90)] = 14) -> DaysCounted:
        counted = await asyncio.to_thread(_days, n_days)
        return DaysCounted(
            days=[DayCounted(**asdict(each) | {"day": each.day.isoformat()}) for each in counted]
        )

    @routes.post("/v1/page/suggest")
    async def suggest(request: Request, body: CompletionAsked) -> CompletionAnswered:
        wanted = Wanted(
            prefix=body.prefix,
            suffix=body.suffix,
            language=body.language,
            path="",
            git_url="",
            snippets=(),
            client="",
        )
        return _answered(await while_listened_to(request, behind.suggest.at(wanted)))

    @routes.post(
        "/v1/page/chat",
        response_class=StreamingResponse,
        responses=STREAMED,
    )
    async def chat(request: Request, body: ChatAsked) -> StreamingResponse:
        if body.messages[-1].role != "user":
            raise Refusal(400, "The last message must be the user's.")
        if body.repository and body.repository not in behind.consult.repositories:
            raise Refusal(404, "No repository of that name is configured on this machine.")
        return await events(request, _conversation(behind, body))

    return routes


async def _conversation(behind: Behind, body: ChatAsked) -> AsyncGenerator[object, None]:
    """First what the model is shown, then what it says, at the end what it cost."""
    asked = Asked(
        messages=tuple(ChatMessage(each.role, each.content) for each in body.messages),
        files=tuple(Snippet(each.name, each.text) for each in body.files),
        repository=body.repository,
    )
    last = None
    async with aclosing(behind.consult.answer(asked)) as answer:
        async for each in answer:
            if isinstance(each, Shown):
                yield {
                    "shown": [asdict(snippet) for snippet in each.snippets],
                    "left_out": [{"name": name, "why": why} for name, why in each.left_out],
                }
            else:
                last = each
                if each.text:
                    yield {"delta": each.text}
    if last is not None:
        yield {"finish": last.finish or "stop", "timings": asdict(last.timings)}


def _status(behind: Behind) -> Status:
    rack = behind.rack
    completing = rack.status("completion")
    return Status(
        version=__version__,
        device=behind.device,
        needs_key=behind.needs_key,
        models=[model for role in ROLES if (model := _model(rack, role)) is not None],
        languages=list(
            (completing.languages if completing else ()) or (each.id for each in LANGUAGES)
        ),
        repositories=list(behind.consult.repositories),
        no_chat="" if rack.name("chat") else NO_CHAT_MODEL,
    )


def _model(rack: Rack, role: Role) -> Model | None:
    status = rack.status(role)
    if status is None:
        return None
    return Model(
        role=role,
        name=rack.name(role),
        state=status.state,
        message=status.message,
        is_remote=status.is_remote,
        n_requests=rack.n_users(role),
        n_waiting=min(status.n_waiting, rack.n_users(role)),
        n_evaluated_total=status.n_evaluated_total,
        n_generated_total=status.n_generated_total,
    )


def _days(n_days: int) -> list[Day]:
    today = datetime.now().astimezone().date()
    try:
        return ledger.days(ledger.read(stats_path()), today, n_days)
    except OSError as error:
        raise Refusal(503, f"The log of suggestions cannot be read: {error.strerror}.") from error


def _answered(suggested: Suggested) -> CompletionAnswered:
    return CompletionAnswered(
        text=suggested.text,
        reason=suggested.reason or "",
        segments=CompletionSegments(
            prefix=suggested.prompt,
            suffix=suggested.suffix,
            snippets=[Piece(path=each.path, text=each.text) for each in suggested.snippets],
        ),
        timings=Cost(**asdict(suggested.timings)),
    )
