"""Tabby's own API, as its extensions for VSCode, IntelliJ and Vim use it.

Contract: TabbyML/tabby 0.32 and tabby-agent 1.5 and 1.9. Unknown fields are ignored, as there.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from tabby_lsp.domain import Sampling, Snippet
from tabby_lsp.servers.http import machine
from tabby_lsp.servers.http.answering import while_listened_to
from tabby_lsp.servers.http.errors import Refusal
from tabby_lsp.suggest import Suggested, Wanted

if TYPE_CHECKING:
    from tabby_lsp.rack import Rack, Role
    from tabby_lsp.servers.http.journal import Journal
    from tabby_lsp.servers.http.machine import Devices
    from tabby_lsp.suggest import Suggest

Text = Annotated[str, Field(max_length=1_000_000)]


class Declaration(BaseModel):
    """A definition that the code refers to."""

    filepath: Text
    body: Text


class ScoredSnippet(Declaration):
    """A piece of another file."""

    score: float = 1.0


class TabbySegments(BaseModel):
    """The text round the cursor, and what helps to complete it."""

    prefix: Text
    suffix: Text | None = None
    filepath: Text | None = None
    git_url: Text | None = None
    declarations: list[Declaration] | None = Field(default=None, max_length=1_000)
    relevant_snippets_from_changed_files: list[ScoredSnippet] | None = Field(
        default=None, max_length=1_000
    )
    relevant_snippets_from_recently_opened_files: list[ScoredSnippet] | None = Field(
        default=None, max_length=1_000
    )
    clipboard: Text | None = None
    edit_history: dict[str, Any] | None = None

    def snippets(self) -> tuple[Snippet, ...]:
        """In Tabby's order."""
        listed: list[Declaration] = [
            *(self.declarations or ()),
            *(self.relevant_snippets_from_changed_files or ()),
            *(self.relevant_snippets_from_recently_opened_files or ()),
        ]
        return tuple(Snippet(each.filepath, each.body) for each in listed if each.body.strip())


class DebugOptions(BaseModel):
    """What to tell besides the answer."""

    raw_prompt: Text | None = None
    return_snippets: bool = False
    return_prompt: bool = False
    disable_retrieval_augmented_code_completion: bool = False


class TabbyCompletionRequest(BaseModel):
    """`POST /v1/completions` with segments."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["segments"]}, {"required": ["debug_options"]}]}
    )

    language: Annotated[str, Field(max_length=100)] | None = None
    segments: TabbySegments | None = None
    user: Text | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**64)] | None = None
    mode: Literal["standard", "next_edit_suggestion"] | None = None
    debug_options: DebugOptions | None = None


class TabbyChoice(BaseModel):
    """The text to insert at the cursor; empty where there is nothing to say."""

    index: int
    text: str


class TabbyCompletion(BaseModel):
    """The answer to segments."""

    id: str
    choices: list[TabbyChoice]
    mode: str = "standard"
    debug_data: dict[str, Any] | None = None


class LogEvent(BaseModel):
    """What became of a completion."""

    type: Literal["view", "select", "dismiss"]
    completion_id: Annotated[str, Field(max_length=200)] | None = None
    choice_index: int | None = None
    view_id: Annotated[str, Field(max_length=200)] | None = None
    elapsed: int | None = None
    select_kind: Annotated[str, Field(max_length=100)] | None = None


async def complete(
    request: Request, body: TabbyCompletionRequest, suggest: Suggest, journal: Journal | None
) -> dict[str, Any]:
    """Answer segments, or a prompt as it is; `journal` where prompts are written down."""
    debug = body.debug_options or DebugOptions()
    if debug.raw_prompt is None and body.segments is None:
        raise Refusal(400, "`segments` are needed, or `debug_options.raw_prompt`.")
    if body.mode == "next_edit_suggestion":
        raise Refusal(501, "No model here suggests the next edit.")
    completion_id = f"cmpl-{uuid.uuid4()}"
    # Where nothing is said, the likeliest text: Tabby's own default of 0.1 is nearly that.
    sampling = Sampling(temperature=body.temperature or 0.0, seed=body.seed)
    if debug.raw_prompt is not None:
        continued = suggest.continued(debug.raw_prompt, sampling)
        suggested = await while_listened_to(request, continued)
    else:
        assert body.segments is not None
        uses_index = not debug.disable_retrieval_augmented_code_completion
        client = _client_of(request, body.user)
        wanted = _wanted(body.language, body.segments, uses_index, sampling, client)
        suggested = await while_listened_to(request, suggest.at(wanted))
    answer = TabbyCompletion(
        id=completion_id,
        choices=[TabbyChoice(index=0, text=suggested.text)],
        debug_data=_debug_data(debug, suggested) if body.debug_options else None,
    )
    if journal is not None and body.segments is not None:
        said = {"completion_id": completion_id, "language": body.language or "unknown"}
        shown = {"segments": body.segments.model_dump(exclude_none=True)}
        choices = {"choices": [choice.model_dump() for choice in answer.choices]}
        agent = {"user_agent": request.headers.get("user-agent")}
        event = {"completion": said | {"prompt": suggested.prompt} | shown | choices | agent}
        await asyncio.to_thread(journal.add, event)
    return answer.model_dump(exclude_none=True)


def _client_of(request: Request, user: str | None) -> str:
    """Who asks, without telling the key."""
    address = request.client.host if request.client else ""
    told = (address, request.headers.get("authorization", ""), user or "")
    return hashlib.sha256("\0".join(told).encode("utf-8", "replace")).hexdigest()


def _wanted(
    language: str | None,
    segments: TabbySegments,
    uses_index: bool,
    sampling: Sampling,
    client: str,
) -> Wanted:
    return Wanted(
        prefix=segments.prefix,
        suffix=segments.suffix or "",
        language=(language or "plaintext").lower(),
        path=segments.filepath or "",
        git_url=(segments.git_url or "") if uses_index else "",
        snippets=segments.snippets(),
        client=client,
        sampling=sampling,
    )


def _debug_data(debug: DebugOptions, suggested: Suggested) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if debug.return_snippets:
        data["snippets"] = [
            {"filepath": each.path, "body": each.text, "score": 1.0} for each in suggested.snippets
        ]
    if debug.return_prompt:
        data["prompt"] = suggested.prompt
    return data


def router(rack: Rack, journal: Journal, devices: Devices) -> APIRouter:
    """The routes that nobody else has; completions and chat are shared with OpenAI's."""
    routes = APIRouter(tags=["Tabby"])

    @routes.get("/v1/health")
    @routes.post("/v1/health", include_in_schema=False)
    async def health() -> dict[str, Any]:
        names: dict[Role, str] = {
            role: rack.name(role) for role in ("completion", "chat", "embedding")
        }
        local = {
            role: {"local": {"model_id": name, "device": devices.of(role)}}
            for role, name in names.items()
            if name
        }
        told = {"model": names["completion"], "chat_model": names["chat"]}
        return {
            **{key: name for key, name in told.items() if name},
            "device": devices.completion,
            **({"chat_device": devices.chat} if names["chat"] else {}),
            "models": local,
            **machine.machine(),
            "version": machine.version(),
            # There is no page that the extensions' side panels could show.
            "webserver": False,
        }

    @routes.post("/v1/events", response_class=Response)
    async def events(event: LogEvent, select_kind: str | None = None) -> Response:
        told = {"completion_id": event.completion_id, "choice_index": event.choice_index}
        if event.type == "select":
            told["kind"] = select_kind or event.select_kind
        if event.view_id is not None:
            told["view_id"] = event.view_id
        if event.elapsed is not None:
            told["elapsed"] = event.elapsed
        await asyncio.to_thread(journal.add, {event.type: told})
        return Response(status_code=200)

    @routes.get("/v1beta/server_setting")
    async def server_setting() -> dict[str, bool]:
        # Nothing here sends telemetry, and the clients should not either.
        return {"disable_client_side_telemetry": True}

    @routes.get("/v1beta/models")
    async def models() -> dict[str, list[str] | None]:
        told: tuple[Role, ...] = ("completion", "chat")
        return {role: [rack.name(role)] if rack.name(role) else None for role in told}

    return routes
