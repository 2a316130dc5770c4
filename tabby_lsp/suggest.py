"""A completion for somebody who sends the text round the cursor and has no document here.

Invariant: the same stages as in the editor's own completions, without what needs a document.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from tabby_lsp.completion import pipeline
from tabby_lsp.completion.cache import CompletionCache
from tabby_lsp.completion.cursor import Cursor
from tabby_lsp.completion.imports import head_of, imports_of
from tabby_lsp.completion.rest import is_uneven
from tabby_lsp.completion.snippets import SourceText
from tabby_lsp.config import name_of
from tabby_lsp.domain import Sampling, Snippet, TextRequest, Timings
from tabby_lsp.rack import NotLoaded
from tabby_lsp.request import further_of, gathered_from
from tabby_lsp.secrets import holds_secret, is_secret_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tabby_lsp.config import CompletionSettings, ContextSettings, Repository
    from tabby_lsp.domain import Reason
    from tabby_lsp.index.neighbours import Neighbours
    from tabby_lsp.rack import Rack

_GATHER_TIMEOUT_S = 0.15
_QUERY_LINES = 10
_STEPS_OF_WINDOW = 4
_MAX_CONTINUED_TOKENS = 64  # as Tabby's own max_decoding_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Where a completion is wanted."""

    prefix: str
    suffix: str
    language: str
    path: str  # relative to the repository, with forward slashes
    git_url: str  # "" where its repository is not to be looked into
    snippets: tuple[Snippet, ...]  # the client's own choice, the best first
    client: str  # who asks; "" where nobody knows
    sampling: Sampling = field(default_factory=Sampling)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggested:
    """What to insert, and what the model was given for it."""

    text: str
    prompt: str
    snippets: tuple[Snippet, ...]
    timings: Timings
    suffix: str = ""
    reason: Reason | None = None  # why there is a text, or none


class Suggest:
    """Lives as long as the server."""

    def __init__(
        self,
        rack: Rack,
        neighbours: Neighbours,
        repositories: Sequence[Repository],
        settings: tuple[CompletionSettings, ContextSettings],
    ) -> None:
        self._rack = rack
        self._neighbours = neighbours
        self._folders = {each.name: each.folder for each in repositories if each.folder}
        self._completion, self._context = settings

    async def at(self, wanted: Wanted) -> Suggested:
        """The completion at a cursor; raises EngineError."""
        nothing = Suggested(text="", prompt="", snippets=(), timings=Timings())
        cursor = self._cursor(wanted)
        question = pipeline.Question(
            uri=_document_of(wanted),
            cursor=cursor,
            imports=imports_of(head_of(wanted.prefix)),
            path=wanted.path,
            repository=name_of(wanted.git_url) if wanted.git_url else "",
            further=partial(_further, wanted, cursor),
            automatic=False,  # The client has decided that it wants one.
            sampling=wanted.sampling,
        )
        account = pipeline.Account()
        async with self._rack.using("completion", is_typing=True) as engine:
            languages = engine.status.languages
            if is_secret_path(wanted.path):
                return replace(nothing, reason="secret-file")
            if languages and wanted.language not in languages:
                return replace(nothing, reason="language-unknown-to-model")
            cache = CompletionCache()
            answer = pipeline.at_hand(question, cache)
            if answer is None:
                answer = await pipeline.ask_model(
                    question, self._limits(), cache, lambda: self._gather(wanted), engine, account
                )
        segments = account.segments
        return Suggested(
            text=_inserted(answer, cursor),
            prompt=segments.prefix if segments else "",
            snippets=segments.snippets if segments else (),
            timings=account.timings,
            suffix=segments.suffix if segments else "",
            reason=answer.reason,
        )

    async def continued(self, prompt: str, sampling: Sampling) -> Suggested:
        """What comes after a prompt that the client has written itself; raises EngineError."""
        text, timings = "", Timings()
        async with self._rack.using("completion") as engine:
            if not hasattr(engine, "continue_text"):
                raise NotLoaded(
                    f"{engine.status.model} runs on a server, which takes no text without a suffix:"
                    " send `segments`."
                )
            request = TextRequest(prompt, _MAX_CONTINUED_TOKENS, sampling=sampling)
            async with aclosing(engine.continue_text(request)) as pieces:
                async for piece in pieces:
                    text, timings = text + piece.text, piece.timings
        return Suggested(text=text, prompt=prompt, snippets=(), timings=timings)

    def _cursor(self, wanted: Wanted) -> Cursor:
        """As much text round it as an editor's own completions would see."""
        return Cursor(
            prefix=_end_of(wanted.prefix, self._context.prefix_chars),
            suffix=wanted.suffix[: self._context.suffix_chars],
            language=wanted.language,
        )

    def _limits(self) -> pipeline.Limits:
        return pipeline.Limits(
            max_block_tokens=self._completion.max_tokens,
            max_line_tokens=self._completion.max_line_tokens,
            offers_blocks=self._completion.block == "auto",
        )

    async def _gather(self, wanted: Wanted) -> pipeline.Gathered:
        """The client's snippets, then those of the repository that it names, as many as fit."""
        found = await self._from_repository(wanted)
        limits = self._context
        chosen: list[Snippet] = []
        n_chars = 0
        for snippet in (*wanted.snippets, *found.snippets):
            is_fit = n_chars + len(snippet.text) <= limits.snippet_chars
            is_safe = not is_secret_path(snippet.path) and not holds_secret(snippet.text)
            if is_fit and is_safe and len(chosen) < limits.max_snippets:
                chosen.append(snippet)
                n_chars += len(snippet.text)
        return pipeline.Gathered(tuple(chosen), found.texts)

    async def _from_repository(self, wanted: Wanted) -> pipeline.Gathered:
        root = self._folders.get(name_of(wanted.git_url)) if wanted.git_url else None
        relative = PurePosixPath(wanted.path)
        if root is None or not wanted.path or relative.is_absolute() or ".." in relative.parts:
            return pipeline.Gathered()
        path = root / Path(relative)
        found = await self._neighbours.around(path, root, wanted.language, (), _GATHER_TIMEOUT_S)
        candidates = [SourceText(name, texts) for name, texts in found.files]
        before = wanted.prefix.split("\n")[-_QUERY_LINES - 1 : -1]
        # Words of long files take a tenth of a second, which the event loop has not.
        return await asyncio.to_thread(gathered_from, candidates, "\n".join(before), self._context)


def _document_of(wanted: Wanted) -> str:
    """What a place is held fast under, so that a key costs the token that it adds.

    Nobody's snippets come into anybody else's prompt.
    """
    if not wanted.path or not wanted.client:
        return f"tabby:{uuid.uuid4()}"
    return f"tabby:{wanted.client}:{wanted.git_url}:{wanted.path}"


def _further(wanted: Wanted, cursor: Cursor) -> tuple[str, str]:
    """What else the client has sent of the document: below, and above."""
    above = wanted.prefix[: len(wanted.prefix) - len(cursor.prefix)]
    return further_of(above, wanted.suffix[len(cursor.suffix) :])


def _end_of(prefix: str, n_chars: int) -> str:
    """About its last `n_chars` characters, from a line's beginning that stays while it grows."""
    if len(prefix) <= n_chars:
        return prefix
    step = max(1, n_chars // _STEPS_OF_WINDOW)
    start = -((n_chars - len(prefix)) // step) * step
    line_start = prefix.find("\n", start) + 1
    return prefix[line_start:] if line_start else prefix[-n_chars:]


def _inserted(answer: pipeline.Answer, cursor: Cursor) -> str:
    """What to insert at the cursor, where nothing right of it can be replaced."""
    if answer.completion is None:
        return ""
    text, replaced = answer.completion.text, answer.completion.replaced
    if text.endswith(replaced):
        return text.removesuffix(replaced)
    # What it goes on to say behind the closer that stands there already has no place.
    closers = (n for n, character in enumerate(text) if character == replaced[0])
    return next((text[:n] for n in closers if not is_uneven(text[:n], cursor)), "")
