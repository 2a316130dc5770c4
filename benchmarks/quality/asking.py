"""Asks the product at a place, and lets a person type there who takes what is right."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from tabby_lsp.app import App, build
from tabby_lsp.completion.imports import head_of
from tabby_lsp.domain import EngineError, GenerationRequest
from tabby_lsp.index.neighbours import OpenFile
from tabby_lsp.request import Ask, further_of

if TYPE_CHECKING:
    from benchmarks.quality.places import Place
    from tabby_lsp.config import Settings
    from tabby_lsp.domain import Segments

Context = Literal["off", "siblings", "all"]

_MIN_ACCEPTED_CHARS = 3  # a person does not look at less
_MAX_OPEN = 4
_PATIENCE_S = 30.0
_MAX_OPEN_CHARS = 40_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking at one place."""

    place: str
    file: str
    kind: str
    is_cross_file: bool
    rest: str
    said: str  # the model's own line, with no filter and no refusal
    shown: str | None  # the first line of what the person sees, if anything
    reason: str
    ms: float


@dataclass(frozen=True, slots=True)
class Typed:
    """A line that was typed key by key."""

    place: str
    file: str
    n_chars: int
    n_keys: int
    n_accepted: int


class Asker:
    """The product with one model and one choice of context; in use from `start` to `close`."""

    def __init__(self, settings: Settings, context: Context) -> None:
        snippets = replace(settings.context, snippets=context != "off")
        self._settings = replace(
            settings, context=snippets, stats=replace(settings.stats, enabled=False)
        )
        self._context = context
        self._app: App = build(self._settings)
        self._n_asked = 0

    async def start(self) -> None:
        """Raises EngineError where the model cannot be used."""
        await self._app.engine.load()
        if self._app.engine.status.state == "failed":
            raise EngineError(self._app.engine.status.message)

    async def close(self) -> None:
        """Give the model back."""
        await self._app.close()

    async def answer(self, place: Place) -> Answer:
        """At the cursor, as an editor asks on its own; and what the model says without filters."""
        ask = self._ask(place, place.before, automatic=True)
        await self._read_neighbours(ask)
        started_s = time.perf_counter()
        reply = await self._app.complete(ask)
        ms = (time.perf_counter() - started_s) * 1000
        segments = reply.decision.segments
        if segments is None:
            explicit = await self._app.complete(replace(ask, automatic=False))
            segments = explicit.decision.segments
        said = await self._said(segments) if segments else ""
        shown = reply.completion.text.split("\n")[0] if reply.completion else None
        return Answer(
            place=place.name,
            file=place.file,
            kind=place.kind,
            is_cross_file=place.is_cross_file,
            rest=place.rest,
            said=said,
            shown=shown,
            reason=reply.decision.reason,
            ms=ms,
        )

    async def type_line(self, place: Place) -> Typed:
        """The place's whole line, from its indentation on; what is right to its end is taken.

        A key is pressed for each character and one more for each suggestion that is taken.
        """
        line_start = place.before.rfind("\n") + 1
        line = place.before[line_start:] + place.rest
        code = line.lstrip()
        above = place.before[:line_start] + line[: len(line) - len(code)]
        wanted = code + place.after
        n_typed = n_keys = n_accepted = 0
        while n_typed < len(code):
            n_typed, n_keys = n_typed + 1, n_keys + 1
            if code[n_typed - 1] == " " or n_typed == len(code):
                continue
            ask = self._ask(place, above + code[:n_typed], automatic=True)
            reply = await self._app.complete(ask)
            text = reply.completion.text if reply.completion else ""
            if is_right(text, wanted[n_typed:]):
                n_typed, n_keys, n_accepted = n_typed + len(text), n_keys + 1, n_accepted + 1
        # A block that is right goes beyond the line: what it saved there counts too.
        return Typed(
            place.name, f"{place.repository.name}/{place.path}", n_typed, n_keys, n_accepted
        )

    async def _read_neighbours(self, ask: Ask) -> None:
        """As with a file that has been open for a while: a first request waits 150 ms at most."""
        if self._context != "off" and ask.path and ask.root:
            around = self._app.talk().neighbours.around
            await around(ask.path, ask.root, ask.language, ask.others, _PATIENCE_S)

    async def _said(self, segments: Segments) -> str:
        """The first line of the answer; "" where the engine cannot answer, as `reason` tells."""
        said = ""
        request = GenerationRequest(segments, self._settings.completion.max_line_tokens)
        with suppress(EngineError):
            async with aclosing(self._app.engine.complete(request)) as pieces:
                async for piece in pieces:
                    said += piece.text
                    if "\n" in said:
                        break
        return said.split("\n")[0].rstrip()

    def _ask(self, place: Place, before: str, *, automatic: bool) -> Ask:
        self._n_asked += 1
        limits = self._settings.context
        path = place.repository / place.path
        return Ask(
            uri=path.as_uri(),
            version=self._n_asked,
            language="python",
            path=path,
            root=place.repository,
            line=before.count("\n"),
            character=len(before) - before.rfind("\n") - 1,
            prefix=before[-limits.prefix_chars :],
            suffix=place.after[: limits.suffix_chars],
            head=head_of(before),
            further=lambda: further_of(
                before[: max(0, len(before) - limits.prefix_chars)],
                place.after[limits.suffix_chars :],
            ),
            n_document_chars=len(before) + len(place.after),
            automatic=automatic,
            others=_imported(place) if self._context == "all" else (),
        )


def is_right(text: str, ahead: str) -> bool:
    """Whether somebody who wants to write `ahead` would take this."""
    ends_there = ahead[len(text) : len(text) + 1] in ("", "\n")
    return len(text) >= _MIN_ACCEPTED_CHARS and ahead.startswith(text) and ends_there


def _imported(place: Place) -> list[OpenFile]:
    """The repository's modules that the file imports, as if they were open beside it."""
    folder = (place.repository / place.path).parent
    words = {
        word
        for line in place.before.split("\n")
        if line.lstrip().startswith(("import ", "from "))
        for word in line.replace(".", " ").replace(",", " ").split()
    }
    found = []
    for path in sorted(folder.glob("*.py")):
        if path.stem in words and path.name != place.path.rpartition("/")[2]:
            text = path.read_text("utf-8", "replace")
            if len(text) <= _MAX_OPEN_CHARS:
                found.append(OpenFile(path=path, language="python", read=partial(str, text)))
    return found[:_MAX_OPEN]


def run(
    settings: Settings, context: Context, places: list[Place], n_lines: int
) -> tuple[list[Answer], list[Typed]]:
    """The answers at all places, and the first `n_lines` of them typed."""

    async def all_of_them() -> tuple[list[Answer], list[Typed]]:
        asker = Asker(settings, context)
        try:
            await asker.start()
            answers = [await asker.answer(place) for place in places]
            typed = [await asker.type_line(place) for place in places[:n_lines]]
            return answers, typed
        finally:
            await asker.close()

    return asyncio.run(all_of_them())
