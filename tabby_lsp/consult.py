"""A conversation with somebody who has files and the name of a repository, and no editor.

Invariant: nothing that may be secret is shown to the model, and whatever it is shown is told.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabby_lsp.chat import prompts
from tabby_lsp.chat.prompts import Material
from tabby_lsp.chat.relevance import relevant
from tabby_lsp.completion.discretion import without_secrets
from tabby_lsp.domain import ChatRequest, Snippet
from tabby_lsp.index.survey import Survey
from tabby_lsp.secrets import is_secret_path
from tabby_lsp.talk import SAMPLING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from tabby_lsp.config import ChatSettings, ContextSettings, Repository
    from tabby_lsp.domain import ChatMessage, Piece
    from tabby_lsp.rack import Rack


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was said so far, and what it is about."""

    messages: tuple[ChatMessage, ...]  # the user's and the assistant's; the last one is the user's
    files: tuple[Snippet, ...] = ()  # the user's own choice, each with its name
    repository: str = ""  # one of `Consult.repositories`, or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the model is shown besides what was said."""

    snippets: tuple[Snippet, ...]
    left_out: tuple[tuple[str, str], ...]  # what, and why


class Consult:
    """Lives as long as the server."""

    def __init__(
        self,
        rack: Rack,
        repositories: Sequence[Repository],
        settings: tuple[ChatSettings, ContextSettings],
    ) -> None:
        self._rack = rack
        self._folders = {each.name: each.folder for each in repositories if each.folder}
        self._chat, self._context = settings
        self._survey = Survey()

    @property
    def repositories(self) -> tuple[str, ...]:
        """The names of those that can be looked into."""
        return tuple(self._folders)

    async def answer(self, asked: Asked) -> AsyncGenerator[Shown | Piece, None]:
        """What the model is shown, then what it says; raises EngineError."""
        async with self._rack.using("chat") as engine:
            files, left_out = await asyncio.to_thread(_safe, asked.files)
            found = await self._found(asked)
            yield Shown(snippets=(*files, *found), left_out=left_out)
            material = Material(path="", language="", snippets=files) if files else None
            request = ChatRequest(
                messages=prompts.with_found(prompts.conversation(asked.messages, material), found),
                max_tokens=self._chat.max_tokens,
                sampling=SAMPLING,
            )
            async with aclosing(engine.chat(request)) as pieces:
                async for piece in pieces:
                    yield piece

    async def _found(self, asked: Asked) -> tuple[Snippet, ...]:
        """What of the repository the last question is about."""
        root = self._folders.get(asked.repository)
        if root is None:
            return ()
        files = await self._survey.of(root)
        limits = self._context
        question = asked.messages[-1].content
        return await asyncio.to_thread(
            relevant, question, files, limits.max_snippets, limits.snippet_chars
        )


def _safe(files: Sequence[Snippet]) -> tuple[tuple[Snippet, ...], tuple[tuple[str, str], ...]]:
    """The files without secrets, and what was left out of them."""
    safe: list[Snippet] = []
    left_out: list[tuple[str, str]] = []
    for file in files:
        name = _plain(file.path)
        if is_secret_path(file.path):
            left_out.append((name, "by its name it holds secrets"))
            continue
        text = without_secrets(file.text)
        if text != file.text:
            left_out.append((name, "values that look like secrets"))
        safe.append(Snippet(name, text))
    return tuple(safe), tuple(left_out)


def _plain(name: str) -> str:
    """A name that is one line, and closes no quotation."""
    return "".join(each if each.isprintable() and each != "`" else "_" for each in name)
