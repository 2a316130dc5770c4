"""The shapes of OpenAI's chat: what is asked, and what is answered.

Tabby's chunks have every field of OpenAI's, those without a value too; so have all here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator

from tabby_lsp.domain import ChatMessage
from tabby_lsp.servers.http.sampling import AnswerRequest
from tabby_lsp.servers.http.spoken import Usage  # noqa: TC001 - pydantic evaluates the annotations

Text = Annotated[str, Field(max_length=1_000_000)]


class ContentPart(BaseModel):
    """A part of a message."""

    type: Annotated[str, Field(max_length=100)]
    text: Text = ""

    @field_validator("type")
    @classmethod
    def _is_text(cls, kind: str) -> str:
        if kind != "text":
            raise ValueError("models here read text only, so send parts of type `text`")
        return kind


class Message(BaseModel):
    """What one side has said."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | Annotated[list[ContentPart], Field(max_length=1_000)]
    tool_calls: list[Any] | None = None

    @field_validator("role", mode="before")
    @classmethod
    def _is_no_tool(cls, role: object) -> object:
        if role in ("tool", "function"):
            raise ValueError("no model here calls tools, so leave messages of tools out")
        return role

    @field_validator("tool_calls")
    @classmethod
    def _has_no_calls(cls, calls: list[Any] | None) -> list[Any] | None:
        if calls:
            raise ValueError("no model here calls tools, so leave `tool_calls` out")
        return calls

    @property
    def said(self) -> ChatMessage:
        """In our words."""
        parts = self.content
        text = parts if isinstance(parts, str) else "\n".join(part.text for part in parts)
        return ChatMessage("system" if self.role == "developer" else self.role, text)


class ChatCompletionRequest(AnswerRequest):
    """`POST /v1/chat/completions`."""

    messages: list[Message] = Field(min_length=1, max_length=2_000)
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: list[Any] | None = None
    functions: list[Any] | None = None
    tool_choice: Any = None


class TopLogprob(BaseModel):
    """A token that could have stood here."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(TopLogprob):
    """A token of the answer."""

    top_logprobs: list[TopLogprob]


class ChatLogprobs(BaseModel):
    """The tokens of the answer."""

    content: list[TokenLogprob]
    refusal: None = None


class AssistantMessage(BaseModel):
    """The answer."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class ChatChoice(BaseModel):
    """One of the answers."""

    index: int
    message: AssistantMessage
    logprobs: ChatLogprobs | None
    finish_reason: Literal["stop", "length"] | None


class ChatCompletion(BaseModel):
    """The answer to a conversation."""

    id: str
    choices: list[ChatChoice]
    created: int
    model: str
    service_tier: None = None
    system_fingerprint: None = None
    object: Literal["chat.completion"] = "chat.completion"
    usage: Usage


class Delta(BaseModel):
    """The next bit of a message."""

    content: str | None = None
    function_call: None = None
    tool_calls: None = None
    role: Literal["assistant"] | None = None
    refusal: None = None


class ChatChunkChoice(BaseModel):
    """The next bit of one of the answers."""

    index: int
    delta: Delta
    finish_reason: Literal["stop", "length"] | None = None
    logprobs: ChatLogprobs | None = None


class ChatCompletionChunk(BaseModel):
    """One event of a stream."""

    id: str
    choices: list[ChatChunkChoice]
    created: int
    model: str
    service_tier: None = None
    system_fingerprint: None = None
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    usage: Usage | None = None
