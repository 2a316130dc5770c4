"""What an engine has said, in the terms of OpenAI's answers: the text, why it ended, the tokens."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel

from tabby_lsp.domain import Timings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tabby_lsp.domain import Finish, Piece, TokenLogprobs

# JSON knows no infinity.
_LEAST_LOGPROB = -9_999.0


class PromptTokens(BaseModel):
    """What the prompt's tokens cost."""

    cached_tokens: int  # known from the request before


class Usage(BaseModel):
    """How many tokens were read and written."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokens


@dataclass(slots=True)
class Spoken:
    """One answer."""

    text: str = ""
    finish: Finish = ""
    timings: Timings = field(default_factory=Timings)
    tokens: list[TokenLogprobs] = field(default_factory=list)

    def add(self, piece: Piece) -> None:
        """The next bit."""
        self.text += piece.text
        self.finish = piece.finish
        self.timings = piece.timings
        self.tokens.extend(piece.logprobs)

    def end(self, max_tokens: int) -> Literal["stop", "length"]:
        """Why it ended, also where the engine does not say."""
        is_cut_off = self.timings.n_generated_tokens >= max_tokens
        return self.finish or ("length" if is_cut_off else "stop")


@dataclass(slots=True)
class Tally:
    """The tokens of all answers to one request."""

    n_prompt: int = 0
    n_reused: int = 0
    n_generated: int = 0

    def add(self, timings: Timings, *, is_first_of_prompt: bool) -> None:
        """One more answer; a prompt counts once, however many answers it has."""
        self.n_generated += timings.n_generated_tokens
        if is_first_of_prompt:
            self.n_prompt += timings.n_prompt_tokens
            self.n_reused += timings.n_reused_tokens

    @property
    def usage(self) -> Usage:
        """As it is told."""
        return Usage(
            prompt_tokens=self.n_prompt,
            completion_tokens=self.n_generated,
            total_tokens=self.n_prompt + self.n_generated,
            prompt_tokens_details=PromptTokens(cached_tokens=self.n_reused),
        )


@dataclass(frozen=True, slots=True)
class Label:
    """What all parts of one answer bear."""

    id: str
    created: int  # seconds since 1970
    model: str


def label(kind: str, model: str) -> Label:
    """A new one; `kind` is "cmpl" or "chatcmpl"."""
    return Label(f"{kind}-{uuid.uuid4()}", int(time.time()), model)


async def hear(pieces: AsyncGenerator[Piece, None]) -> Spoken:
    """The whole answer."""
    spoken = Spoken()
    async for piece in pieces:
        spoken.add(piece)
    return spoken


def finite(logprob: float) -> float:
    """A logarithm that JSON can hold."""
    return max(logprob, _LEAST_LOGPROB)
