"""The law of typing along: whatever part of a suggestion stands in the document, the rest is known.

It holds for a word, a line or all of it accepted, for keys that are typed, and for deleting back.
"""

from __future__ import annotations

import asyncio
import random
import re
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tabby_lsp.completion import pipeline
from tabby_lsp.completion.cache import CompletionCache
from tabby_lsp.completion.cursor import Cursor
from tabby_lsp.completion.following import accepted
from tabby_lsp.completion.trigger import scope
from tabby_lsp.domain import Completion
from tabby_lsp.engines.scripted import Line, ScriptedEngine

LIMITS = pipeline.Limits(max_block_tokens=96, max_line_tokens=96, offers_blocks=True)


def question(cursor: Cursor) -> pipeline.Question:
    return pipeline.Question(
        uri="untitled:a", cursor=cursor, path="", repository="", automatic=True
    )


def show(cursor: Cursor, said: str, cache: CompletionCache) -> Completion | None:
    """Ask a model that says this."""

    async def no_files() -> pipeline.Gathered:
        return pipeline.Gathered()

    async def run() -> pipeline.Answer:
        engine = ScriptedEngine([Line("", "", said)])
        return await pipeline.ask_model(
            question(cursor), LIMITS, cache, no_files, engine, pipeline.Account()
        )

    return asyncio.run(run()).completion


befores = st.sampled_from(
    ["x = ", "def f(x):", "def f(x):\n    ", "f(", "if a", "    return ", "a = [", "x.", "y = '"]
)
saids = st.text("ab1()[]:,'= \n.", min_size=1, max_size=40)
behinds = st.sampled_from(["", "\n", ")\n", "):\n", "']\n", "\n\nprint()\n"])


@given(befores, saids, behinds, st.lists(st.integers(0, 40), min_size=1, max_size=12))
@example("def f(x):", "\n    if x:\n        return 1\n    return 2", "\n", [5, 12, 3, 40, 0])
@example("f(", "a, b)", ")\n", [1, 2, 3, 1, 0, 4, 5])
def test_the_rest_of_what_is_shown_is_known_at_every_point_of_it(
    before: str, said: str, behind: str, walk: list[int]
) -> None:
    cache = CompletionCache()
    cursor = Cursor(prefix=before, suffix=behind, language="python")
    shown = show(cursor, said, cache)
    assume(shown is not None)
    assert shown is not None
    for step in walk:
        n_taken = step % (len(shown.text) + 1)
        if n_taken < len(shown.text) and shown.replaced:
            continue  # What is replaced leaves the document with the whole text only.
        taken = Completion(text=shown.text[:n_taken], replaced=shown.replaced)
        there = accepted(cursor, taken)
        answer = pipeline.at_hand(question(there), cache)
        if n_taken < len(shown.text):
            assert answer is not None
            assert answer.completion == Completion(text=shown.text[n_taken:])
        elif scope(there) == "line":
            assert answer is not None
            assert answer.completion is None


@pytest.mark.parametrize("step", [r"\w+|\W", r"[^\n]*\n?"], ids=["words", "lines"])
def test_accepting_in_parts_needs_no_model(step: str) -> None:
    cache = CompletionCache()
    cursor = Cursor(prefix="def f(x):", suffix="\n\nprint(f)\n", language="python")
    shown = show(cursor, "\n    if x:\n        return [x]\n    return None", cache)
    assert shown is not None
    rest = shown.text
    while rest:
        part = re.match(step, rest)
        assert part is not None
        cursor, rest = accepted(cursor, Completion(text=part[0])), rest[part.end() :]
        answer = pipeline.at_hand(question(cursor), cache)
        assert answer is not None
        assert answer.completion == (Completion(text=rest) if rest else None)


PAIRS = {"(": ")", "[": "]", "{": "}", '"': '"', "'": "'"}


class Typist:
    """An editor that closes brackets and quotes by itself, as VSCode does, and a text to type."""

    def __init__(self, before: str, behind: str) -> None:
        self.before, self.behind = before, behind
        self._open: list[str] = []  # closers that the editor has put in

    def press(self, key: str) -> None:
        if self._open and key == self._open[-1] and self.behind.startswith(key):
            self._open.pop()
            self.behind = self.behind[1:]
        elif key in PAIRS and not (key in "\"'" and self.before[-1:].isalnum()):
            self._open.append(PAIRS[key])
            self.behind = PAIRS[key] + self.behind
        self.before += key


def code_lines() -> list[tuple[str, str, str]]:
    """Real lines: what stands before a place in them, the rest of the line, and what follows."""
    rng = random.Random("along")
    places = []
    for file in sorted(Path(pipeline.__file__).parent.glob("*.py")):
        text = file.read_text("utf-8")
        ends = [m.end() for m in re.finditer(r"^ +[a-z][^\n#]{20,}$", text, re.MULTILINE)]
        for end in rng.sample(ends, min(8, len(ends))):
            at = end - rng.randint(8, 16)
            places.append((text[:at], text[at:end], text[end:]))
    return places


def test_typing_along_in_an_editor_that_closes_brackets_needs_no_model() -> None:
    n_keys = n_known = 0
    for before, rest, behind in code_lines():
        cache = CompletionCache()
        cursor = Cursor(prefix=before, suffix=behind, language="python")
        shown = show(cursor, rest, cache)
        if shown is None:
            continue
        meant = before + shown.text + behind
        typist = Typist(before, behind)
        for key in shown.text:
            typist.press(key)
            there = Cursor(prefix=typist.before, suffix=typist.behind, language="python")
            answer = pipeline.at_hand(question(there), cache)
            n_keys += 1
            n_known += answer is not None and answer.reason in ("cached", "cached-nothing")
            if answer is not None and answer.completion is not None:
                kept = typist.behind[len(answer.completion.replaced) :]
                assert typist.before + answer.completion.text + kept == meant
    assert n_keys > 800
    assert n_known >= 0.95 * n_keys
