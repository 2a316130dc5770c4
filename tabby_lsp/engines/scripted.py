"""An engine that answers what it was told for the requests it was told: for tests and bug reports.

It looks at what it is asked and fails loudly on anything that its script does not name, so that a
test with it notices a changed context.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tabby_lsp.domain import EngineError, EngineStatus, Piece, Timings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from tabby_lsp.domain import GenerationRequest, Segments


@dataclass(frozen=True, slots=True)
class Line:
    """One answer, and the text round the cursor for which it is given."""

    prefix: str  # what the segments' prefix ends with
    suffix: str  # what the segments' suffix begins with
    text: str


def read_script(path: Path) -> tuple[Line, ...]:
    """Read `[{"prefix": ..., "suffix": ..., "text": ...}, ...]`.

    Raises EngineError when the file is not there or says something else.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return tuple(Line(entry["prefix"], entry["suffix"], entry["text"]) for entry in entries)
    except OSError as error:
        raise EngineError(f"The script {path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(
            f"The script {path} is not a JSON list of objects with prefix, suffix and text: "
            f"{error!r}."
        ) from error


class ScriptedEngine:
    """Keeps domain.Engine's promise by reading from a script; one token is one character."""

    def __init__(self, script: Sequence[Line]) -> None:
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
        answer = self._find(request.segments)
        n_prompt = len(request.segments.prefix) + len(request.segments.suffix)
        timings = Timings(n_prompt_tokens=n_prompt, n_evaluated_tokens=n_prompt)
        self._n_evaluated_total += n_prompt
        ends = [index for stop in request.stop if (index := answer.find(stop)) >= 0]
        answer = answer[: min([request.max_tokens, *ends])]
        for n_generated, character in enumerate(answer, start=1):
            self._n_generated_total += 1
            timings = replace(timings, n_generated_tokens=n_generated)
            yield Piece(character, 0.0, timings)

    async def close(self) -> None:
        pass

    def _find(self, segments: Segments) -> str:
        for line in self._script:
            if segments.prefix.endswith(line.prefix) and segments.suffix.startswith(line.suffix):
                return line.text
        raise EngineError(
            f"The script has no answer for a prefix that ends in {segments.prefix[-40:]!r} "
            f"and a suffix that begins with {segments.suffix[:40]!r}."
        )
