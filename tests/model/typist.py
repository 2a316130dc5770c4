"""Somebody who types in real files: the places that an engine is asked about, key by key."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tabby_lsp.completion.imports import HEAD_CHARS, imports_of
from tabby_lsp.documents import Document, Position
from tabby_lsp.domain import GenerationRequest, Segments

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Kind = Literal["mid-line", "newline", "jump", "switch", "back"]
PAIRS = {"(": ")", "[": "]", "{": "}", '"': '"', "'": "'"}
WINDOW_CHARS = 6_000, 2_000
CLOSERS = "".join(PAIRS.values()) + ":,"


@dataclass(frozen=True, slots=True)
class Key:
    """One key, and what is asked behind it."""

    kind: Kind
    request: GenerationRequest


@dataclass(slots=True)
class Page:
    """A file as somebody rewrites a part of it."""

    name: str
    above: str
    below: str
    coming: list[str]  # what will be typed, line by line
    closers: str = ""  # what the editor has put right of the cursor


class Typist:
    """Types the very text of some files, with the editor's closers, slips, jumps and switches."""

    def __init__(self, sources: Mapping[str, str], seed: str, max_tokens: int = 8) -> None:
        self._rng = random.Random(seed)
        self._sources = sources
        self._max_tokens = max_tokens
        self._pages = {name: self._opened(name) for name in sources}
        self._name = next(iter(sources))

    def keys(self) -> Iterator[Key]:
        """Without end."""
        while True:
            yield from self._some_lines()
            if self._rng.random() < 0.25 and len(self._sources) > 1:
                others = [name for name in self._sources if name != self._name]
                self._name = self._rng.choice(others)
                yield self._key("switch")
            else:
                self._pages[self._name] = self._opened(self._name)
                yield self._key("jump")

    def _some_lines(self) -> Iterator[Key]:
        for _ in range(self._rng.randint(2, 5)):
            page = self._pages[self._name]
            if not page.coming:
                return
            line = page.coming.pop(0)
            for character in line.lstrip(" "):
                yield from self._typed(character)
            indentation = next((each for each in page.coming if each.strip()), "")
            indentation = indentation[: len(indentation) - len(indentation.lstrip(" "))]
            page.above += page.closers + "\n" + indentation
            page.closers = ""
            yield self._key("newline")

    def _typed(self, character: str) -> Iterator[Key]:
        page = self._pages[self._name]
        if self._rng.random() < 0.02:
            page.above += "q"
            yield self._key("mid-line")
            page.above = page.above[:-1]
            yield self._key("back")
        if page.closers.startswith(character):
            page.closers = page.closers[1:]
        elif character in PAIRS:
            page.closers = PAIRS[character] + page.closers
        page.above += character
        yield self._key("mid-line")

    def _opened(self, name: str) -> Page:
        lines = self._sources[name].split("\n")
        at = self._rng.randint(len(lines) // 4, len(lines) * 3 // 4)
        coming = lines[at : at + 12]
        indentation = coming[0][: len(coming[0]) - len(coming[0].lstrip(" "))]
        above = "\n".join([*lines[:at], indentation])
        return Page(name, above, "\n" + "\n".join(lines[at + 12 :]), coming)

    def _key(self, kind: Kind) -> Key:
        page = self._pages[self._name]
        text = page.above + page.closers + page.below
        document = Document(page.name, "python", 0, text, "utf-32")
        line = page.above.count("\n")
        position = Position(line, len(page.above) - page.above.rfind("\n") - 1)
        prefix, suffix = document.windows(position, *WINDOW_CHARS)
        rest = suffix.partition("\n")[0]
        segments = Segments(
            prefix=prefix,
            suffix=suffix,
            imports=imports_of(document.head(position, HEAD_CHARS)),
            path=page.name,
            language="python",
            rest_closes=not rest.strip(CLOSERS),
        )
        return Key(kind, GenerationRequest(segments, self._max_tokens, document=page.name))
