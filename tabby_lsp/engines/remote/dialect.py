"""What differs between servers: how each is greeted, asked, and understood.

Invariant: what a server says is distrusted; a value of another shape than it should have is absent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from tabby_lsp.domain import ChatRequest, Finish, GenerationRequest, Timings, TokenLogprobs

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tabby_lsp.engines.remote.connection import Connection
    from tabby_lsp.engines.remote.deadline import Deadline
    from tabby_lsp.models.fim_table import FimFamily

# What surrounds a piece of text in a stream; llama-server's timings take the most.
_MAX_BYTES_PER_TOKEN = 4_096
_MAX_BYTES_BESIDES = 1_048_576
_MAX_BYTES_PER_LOGPROB = 512

Request_contra = TypeVar(
    "Request_contra", bound=GenerationRequest | ChatRequest, contravariant=True
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Whom a dialect speaks with, and what the settings say of the model there."""

    connection: Connection
    model: str  # as the server spells it; "" for the only one that it has
    n_ctx: int  # 0 where the settings do not say
    families: tuple[FimFamily, ...] = ()  # those of its name; () where the server knows better

    @property
    def family(self) -> FimFamily | None:
        """How a prompt in text is spelled, where it is written here."""
        return self.families[0] if self.families else None


@dataclass(frozen=True, slots=True)
class Said:
    """The next bit of an answer, and what the server has said of its cost so far."""

    text: str
    timings: Timings = field(default_factory=Timings)
    reasoning: str = ""  # what the model says to itself before it answers
    finish: Finish = ""
    logprobs: tuple[TokenLogprobs, ...] = ()  # where they were asked for


class Dialect(Protocol[Request_contra]):
    """How one kind of server is spoken with about completions, or in a chat."""

    async def greet(self, deadline: Deadline) -> str:
        """Find out whether the server can do that, and its model's name; raises Fault."""

    def ask(self, request: Request_contra, deadline: Deadline) -> AsyncGenerator[Said, None]:
        """Stream the answer; closing the generator stops the server. Raises Fault."""

    @property
    def load_timeout_s(self) -> float:
        """How long `greet` may take; 0 for no longer than an answer."""


def finish_of(reason: object) -> Finish:
    """Why an answer ends, in the word of OpenAI's API and Ollama's; "" where it goes on."""
    return "" if reason is None else "length" if reason == "length" else "stop"


def max_bytes(max_tokens: int, n_logprobs: int) -> int:
    """More than any honest answer of so many tokens, each told with so many others."""
    per_token = _MAX_BYTES_PER_TOKEN + n_logprobs * _MAX_BYTES_PER_LOGPROB
    return _MAX_BYTES_BESIDES + max_tokens * per_token


def dig(value: object, *path: str | int) -> object:
    """What stands there in a JSON value, or None."""
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def text_at(value: object, *path: str | int) -> str:
    """The text there, or ""."""
    found = dig(value, *path)
    return found if isinstance(found, str) else ""


def count_at(value: object, *path: str | int) -> int:
    """The whole number there, or 0."""
    found = dig(value, *path)
    is_count = isinstance(found, int) and not isinstance(found, bool) and 0 <= found < 2**31
    return found if is_count and isinstance(found, int) else 0


def number_at(value: object, *path: str | int) -> float:
    """The number there, not negative and finite, or 0."""
    return max(0.0, finite_at(value, *path) or 0.0)


def finite_at(value: object, *path: str | int) -> float | None:
    """The finite number there, or None."""
    found = dig(value, *path)
    if not isinstance(found, int | float) or isinstance(found, bool):
        return None
    try:
        number = float(found)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def texts_at(value: object, key: str, *path: str | int) -> tuple[str, ...]:
    """In the list there, each entry's text under `key`."""
    found = dig(value, *path)
    entries = found if isinstance(found, list) else []
    return tuple(text for entry in entries[:1_000] if (text := text_at(entry, key)))
