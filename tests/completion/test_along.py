"""The law of typing along: whatever part of a suggestion stands in the document, the rest is known.

It holds for a word, a line or all of it accepted, for keys that are typed, and for deleting back.
"""

from __future__ import annotations

import asyncio
import re

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

    async def no_snippets() -> tuple[()]:
        return ()

    async def run() -> pipeline.Answer:
        engine = ScriptedEngine([Line("", "", said)])
        return await pipeline.ask_model(
            question(cursor), LIMITS, cache, no_snippets, engine, pipeline.Account()
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
