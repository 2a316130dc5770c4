"""What differs between servers: how each is greeted, asked, and understood.

Invariant: what a server says is distrusted; a value of another shape than it should have is absent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tabby_lsp.domain import Timings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tabby_lsp.domain import GenerationRequest

# What surrounds a piece of text in a stream; llama-server's timings take the most.
_MAX_BYTES_PER_TOKEN = 4_096
_MAX_BYTES_BESIDES = 1_048_576


@dataclass(frozen=True, slots=True)
class Said:
    """The next bit of an answer, and what the server has said of its cost so far."""

    text: str
    timings: Timings = field(default_factory=Timings)


class Dialect(Protocol):
    """How one kind of server is spoken with."""

    async def greet(self, deadline_s: float) -> str:
        """Find out whether the server can complete, and its model's name; raises Fault."""

    def ask(self, request: GenerationRequest, deadline_s: float) -> AsyncGenerator[Said, None]:
        """Stream the answer; closing the generator stops the server. Raises Fault."""

    @property
    def load_timeout_s(self) -> float:
        """How long `greet` may take; 0 for no longer than an answer."""


def max_bytes(max_tokens: int) -> int:
    """More than any honest answer of so many tokens."""
    return _MAX_BYTES_BESIDES + max_tokens * _MAX_BYTES_PER_TOKEN


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
    found = dig(value, *path)
    if not isinstance(found, int | float) or isinstance(found, bool):
        return 0.0
    try:
        number = float(found)
    except OverflowError:
        return 0.0
    return number if math.isfinite(number) and number >= 0 else 0.0


def texts_at(value: object, key: str, *path: str | int) -> tuple[str, ...]:
    """In the list there, each entry's text under `key`."""
    found = dig(value, *path)
    entries = found if isinstance(found, list) else []
    return tuple(text for entry in entries[:1_000] if (text := text_at(entry, key)))
