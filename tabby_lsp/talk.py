"""Questions about code, and orders to change it: what the chat model is shown, and what it says.

Invariant: nothing that may be secret is shown to a model, and no code that holds a secret is
rewritten, since what was hidden from the model would be lost.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabby_lsp.chat import prompts
from tabby_lsp.chat.edits import NoEdit, Selection, addition, replacement
from tabby_lsp.chat.prompts import Material
from tabby_lsp.chat.session import Answer, listen
from tabby_lsp.completion.cursor import whole_lines
from tabby_lsp.completion.discretion import without_secrets
from tabby_lsp.completion.snippets import SourceText, best_snippets
from tabby_lsp.domain import ChatRequest, EngineError, Sampling
from tabby_lsp.index.outline import outline
from tabby_lsp.secrets import is_secret_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tabby_lsp.chat.prompts import Task
    from tabby_lsp.config import ChatSettings, ContextSettings
    from tabby_lsp.domain import ChatEngine, ChatMessage, Snippet
    from tabby_lsp.index.neighbours import Neighbours, OpenFile

    Hear = Callable[[str], None]

# Nobody waits for each key here, and what is found helps.
_GATHER_TIMEOUT_S = 1.0
# Qwen's advice for its chat models, and no harm to others; code is changed at a temperature of 0.
SAMPLING = Sampling(temperature=0.7, top_k=20, top_p=0.8)
_MAX_DOCUMENT_CHARS = 5_000_000
_CHARS_PER_TOKEN = 2  # at least, so that an order to change much code is not cut off


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """The code that a question is about, in its document."""

    uri: str
    language: str
    name: str  # its path below the workspace folder, with forward slashes; "" where it is no file
    path: Path | None
    root: Path | None
    text: str  # of the whole document
    start: int  # where the code begins in it
    end: int  # `end == start`: the whole document is meant
    others: Sequence[OpenFile]  # the other documents that are open, latest first

    @property
    def code(self) -> str:
        return self.text[self.start : self.end] if self.end > self.start else self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """What takes the place of the code, and who wrote it."""

    text: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class Talk:
    """The chat model, and what it may be shown and asked by the settings."""

    engine: ChatEngine
    neighbours: Neighbours
    chat: ChatSettings
    context: ContextSettings

    async def answer(
        self, messages: Sequence[ChatMessage], passage: Passage | None, hear: Hear
    ) -> Answer:
        """The assistant's next message; raises EngineError."""
        material = await self._material(passage) if passage else None
        return await self._ask(prompts.conversation(messages, material), hear)

    async def explain(self, passage: Passage, hear: Hear) -> Answer:
        """What the code does; raises EngineError."""
        return await self._ask(prompts.explanation(await self._material(passage)), hear)

    async def rewrite(
        self, task: Task, instruction: str, passage: Passage, hear: Hear
    ) -> Rewritten:
        """The code with the task done; raises EngineError and NoEdit."""
        material = await self._material(passage)
        if material.code != passage.code:
            raise NoEdit(
                "The selected code holds what looks like a secret, which no model is shown, "
                "so that it would be lost: select other lines."
            )
        request = ChatRequest(
            messages=prompts.order(task, instruction, material),
            max_tokens=max(self.chat.max_tokens, len(passage.code) // _CHARS_PER_TOKEN),
        )
        answer = await listen(self.engine, request, hear)
        if not answer.is_whole:
            raise NoEdit(
                "The answer was cut off, so nothing was changed: select less code, or set a larger "
                "`max_tokens` under `[chat]`, or a larger `n_ctx`, in config.toml."
            )
        put_in = addition if task == "tests" else replacement
        return Rewritten(text=put_in(answer.text, _selection(passage)), answer=answer)

    async def _ask(self, messages: tuple[ChatMessage, ...], hear: Hear) -> Answer:
        request = ChatRequest(messages=messages, max_tokens=self.chat.max_tokens, sampling=SAMPLING)
        return await listen(self.engine, request, hear)

    async def _material(self, passage: Passage) -> Material:
        if is_secret_uri(passage.uri):
            raise EngineError(f"{passage.name} holds secrets by its name: no model is shown it.")
        if len(passage.text) > _MAX_DOCUMENT_CHARS:
            raise EngineError(f"{passage.name} is too large for a model.")
        snippets = await self._snippets(passage)
        return await asyncio.to_thread(_material, passage, snippets)

    async def _snippets(self, passage: Passage) -> tuple[Snippet, ...]:
        if not self.context.snippets or passage.path is None or passage.root is None:
            return ()
        found = await self.neighbours.around(
            passage.path, passage.root, passage.language, passage.others, _GATHER_TIMEOUT_S
        )
        candidates = [SourceText(path, texts) for path, texts in found.files]
        return await asyncio.to_thread(
            best_snippets,
            passage.code,
            candidates,
            self.context.max_snippets,
            self.context.snippet_chars,
        )


def _material(passage: Passage, snippets: Sequence[Snippet]) -> Material:
    is_part = passage.end > passage.start
    return Material(
        path=passage.name,
        language=passage.language,
        first_line=passage.text.count("\n", 0, passage.start) + 1 if is_part else 0,
        code=_code_without_secrets(passage),
        outline=without_secrets(outline(passage.text, passage.language)) if is_part else "",
        snippets=snippets,
    )


def _code_without_secrets(passage: Passage) -> str:
    """The code, without what is a secret in its document.

    Code that begins behind the name of a password, or below the first line of a key, does not look
    like one.
    """
    if passage.end == passage.start:
        return without_secrets(passage.text)
    lines, shown = whole_lines(passage.text), whole_lines(without_secrets(passage.text))
    pieces, line_start = [], 0
    for line, shown_line in zip(lines, shown, strict=True):
        line_end = line_start + len(line)
        start, end = max(passage.start, line_start), min(passage.end, line_end)
        if start < end:
            is_whole = (start, end) == (line_start, line_end)
            piece = line[start - line_start : end - line_start]
            kept = piece[len(piece.rstrip("\r\n")) :]
            pieces.append(piece if line == shown_line else shown_line if is_whole else f"...{kept}")
        line_start = line_end
    return without_secrets("".join(pieces))


def _selection(passage: Passage) -> Selection:
    line_start = re.split(r"\r\n|\r|\n", passage.text[: passage.start])[-1]
    line_end = re.search(r"\r\n|\r|\n", passage.text)
    return Selection(
        text=passage.code,
        line_start=line_start if passage.end > passage.start else "",
        line_end=line_end[0] if line_end else "\n",
    )
