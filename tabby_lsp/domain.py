"""The values that travel between the floors, and the promise that every engine keeps.

Invariant: imports nothing but the standard library, and nothing of this package.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

Outcome = Literal["shown", "empty", "cancelled", "superseded", "failed"]
# `failed` stays; `away` is tried again by the engine itself, with the requests that come.
EngineState = Literal["unloaded", "loading", "ready", "away", "failed"]
Role = Literal["system", "user", "assistant"]
# By itself, or cut off at `max_tokens`; "" before the end, and where nobody says.
Finish = Literal["", "stop", "length"]
# How an answer is drawn: grey behind the cursor, or as an entry of the completion menu.
Shape = Literal["ghost-text", "menu"]
# Why a request was answered as it was; docs/lsp-extensions.md says what each one means.
Reason = Literal[
    "line",
    "block",
    "cached",
    "cached-nothing",
    "nothing-to-add",
    "filtered",
    "first-lines",
    "not-yet",
    "cannot-be-drawn",
    "blank-document",
    "inside-word",
    "code-after-cursor",
    "secret-on-line",
    "secret-file",
    "too-large",
    "disabled",
    "language-disabled",
    "language-unknown-to-model",
    "model-loading",
    "model-failed",
    "engine-away",
    "engine-failed",
    "internal-error",
    "cancelled",
    "superseded",
]
# What became of a suggestion: put in as a whole, in part, typed key by key, or not wanted.
Fate = Literal["accepted", "accepted-in-part", "typed-along", "dismissed"]


class EngineError(Exception):
    """An engine cannot do what it was asked; the text is a sentence with cause and remedy."""


@dataclass(frozen=True, slots=True)
class Snippet:
    """A piece of another file that may help to complete this one."""

    path: str  # relative to the workspace folder, with forward slashes
    text: str  # whole lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """What there is to complete, as text: each engine renders it in its own way."""

    prefix: str  # ends at the cursor
    suffix: str  # begins at the cursor
    path: str = ""  # relative to the workspace folder, with forward slashes; "" where there is none
    repository: str = ""  # the workspace folder's name
    language: str = ""  # LSP language id
    snippets: tuple[Snippet, ...] = ()  # what changes most slowly stands first


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """What one answer cost; `n_prompt_tokens == n_reused_tokens + n_evaluated_tokens`."""

    n_prompt_tokens: int = 0
    n_reused_tokens: int = 0
    n_evaluated_tokens: int = 0
    n_generated_tokens: int = 0
    queue_ms: float = 0.0
    prefill_ms: float = 0.0
    decode_ms: float = 0.0
    total_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One question to an engine."""

    segments: Segments
    max_tokens: int
    stop: tuple[str, ...] = ()  # the text ends before the first of these


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """What one side of a conversation said."""

    role: Role
    content: str
    # What the content is about, such as code: stands before it, the most important first. What
    # does not fit is left out from the end.
    attachments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A conversation to be continued; an engine crops it to what its model can hold in mind."""

    messages: tuple[ChatMessage, ...]  # the last one is the user's
    max_tokens: int
    temperature: float = 0.0  # 0 for the likeliest text, the same each time


@dataclass(frozen=True, slots=True)
class Piece:
    """The next bit of an answer: whole characters, never half of one."""

    text: str
    logprob: float  # natural logarithm, summed over the piece's tokens
    timings: Timings  # of the answer so far
    finish: Finish = ""  # of a chat's last piece: why it ended


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStatus:
    """What an engine says of itself, for status lines, `tabby.inspect` and `doctor`."""

    state: EngineState
    model: str
    languages: tuple[str, ...] = ()  # language ids the model knows; () where it does not say
    message: str = ""  # why it failed and what to do, or what it is loading
    is_remote: bool = False  # whether each request goes to a server
    n_evaluated_total: int = 0
    n_generated_total: int = 0


class Engine(Protocol):
    """Who runs a model: local, remote or scripted."""

    @property
    def status(self) -> EngineStatus:
        """The present state; never waits."""

    async def load(self) -> None:
        """Make the model ready; returns at once where it is.

        Raises EngineError when the model cannot be used.
        """

    def complete(self, request: GenerationRequest) -> AsyncGenerator[Piece, None]:
        """Stream the answer; closing the generator, at any moment, stops the work behind it.

        Raises EngineError when no answer can be given.
        """

    async def close(self) -> None:
        """Give everything back; what still runs is stopped."""


class ChatEngine(Protocol):
    """Who runs a chat model: local, remote or scripted."""

    @property
    def status(self) -> EngineStatus:
        """As an Engine's."""

    async def load(self) -> None:
        """As an Engine's."""

    def chat(self, request: ChatRequest) -> AsyncGenerator[Piece, None]:
        """Stream the assistant's next message; as an Engine's `complete` in all else."""

    async def close(self) -> None:
        """As an Engine's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """Text to put in the place of `replaced` at the cursor."""

    text: str
    replaced: str = ""  # what right of the cursor, on its line, the text takes the place of


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Why a request was answered as it was: what `tabby.inspect` shows."""

    uri: str
    version: int
    line: int
    character: int  # in the client's own units
    outcome: Outcome
    reason: Reason
    model: str
    timings: Timings
    shape: Shape = "ghost-text"
    segments: Segments | None = None  # as they went to the engine; None where no engine was asked
