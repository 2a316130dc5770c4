"""An engine that answers what it was told for the requests it was told: for tests and bug reports.

It looks at what it is asked and fails loudly on anything that its script does not name, so that a
test with it notices a changed context.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tabby_lsp.domain import EngineError, EngineStatus, Piece, Timings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from tabby_lsp.domain import ChatRequest, Finish, GenerationRequest, Segments


@dataclass(frozen=True, slots=True)
class Line:
    """One answer, and the text round the cursor for which it is given."""

    prefix: str  # what the segments' prefix ends with
    suffix: str  # what the segments' suffix begins with
    text: str


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer in a chat, and what the last message holds for which it is given."""

    message: str
    text: str


def read_script(path: Path) -> tuple[Line | Reply, ...]:
    """Read `[{"prefix": ..., "suffix": ..., "text": ...}, {"message": ..., "text": ...}, ...]`.

    Raises EngineError when the file is not there or says something else.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return tuple(
            Reply(entry["message"], entry["text"])
            if "message" in entry
            else Line(entry["prefix"], entry["suffix"], entry["text"])
            for entry in entries
        )
    except OSError as error:
        raise EngineError(f"The script {path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(
            f"The script {path} is not a JSON list of objects with prefix, suffix and text, or "
            f"with message and text: {error!r}."
        ) from error


class ScriptedEngine:
    """Keeps the promises of domain.Engine and ChatEngine by reading from a script.

    One token is one character.
    """

    def __init__(self, script: Sequence[Line | Reply]) -> None:
        self._script = script
        self._n_evaluated_total = 0
        self._n_generated_total = 0

    @property
    def status(self) -> EngineStatus:
        return EngineStatus(
            state="ready",
            model="scripted",
            n_evaluated_total=self._n_evaluated_total,
            n_generated_total=self._n_generated_total,
        )

    async def load(self) -> None:
        pass

    async def complete(self, request: GenerationRequest) -> AsyncGenerator[Piece, None]:
        answers = self._find(request.segments)[: request.n_candidates]
        n_prompt = len(request.segments.prefix) + len(request.segments.suffix)
        timings = Timings(n_prompt_tokens=n_prompt, n_evaluated_tokens=n_prompt)
        self._n_evaluated_total += n_prompt
        for candidate, answer in enumerate(answers):
            ends = [index for stop in request.stop if (index := answer.find(stop)) >= 0]
            answer = answer[: min([*ends, len(answer)])]
            finish: Finish = "stop" if len(answer) <= request.max_tokens else "length"
            for character in answer[: request.max_tokens]:
                self._n_generated_total += 1
                n_generated = timings.n_generated_tokens + 1
                timings = replace(timings, n_generated_tokens=n_generated)
                yield Piece(character, 0.0, timings, candidate=candidate)
            yield Piece("", 0.0, timings, finish, candidate=candidate)

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Piece, None]:
        last = request.messages[-1]
        asked = "\n\n".join([*last.attachments, last.content])
        answer = self._reply(asked)
        timings = Timings(n_prompt_tokens=len(asked), n_evaluated_tokens=len(asked))
        self._n_evaluated_total += len(asked)
        for n_generated, character in enumerate(answer[: request.max_tokens], start=1):
            self._n_generated_total += 1
            timings = replace(timings, n_generated_tokens=n_generated)
            # Other requests have their turn, as they have with engines that take their time.
            await asyncio.sleep(0)
            yield Piece(character, 0.0, timings)
        yield Piece("", 0.0, timings, "stop" if len(answer) <= request.max_tokens else "length")

    async def close(self) -> None:
        pass

    def _reply(self, asked: str) -> str:
        for reply in self._script:
            if isinstance(reply, Reply) and reply.message in asked:
                return reply.text
        raise EngineError(f"The script has no answer to a message that ends in {asked[-80:]!r}.")

    def _find(self, segments: Segments) -> list[str]:
        """The answers for a place, in the script's order; the first one is the best."""
        found = [
            line.text
            for line in self._script
            if isinstance(line, Line)
            and segments.prefix.endswith(line.prefix)
            and segments.suffix.startswith(line.suffix)
        ]
        if found:
            return found
        raise EngineError(
            f"The script has no answer for a prefix that ends in {segments.prefix[-40:]!r} "
            f"and a suffix that begins with {segments.suffix[:40]!r}."
        )
