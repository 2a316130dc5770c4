"""What somebody is offered who asks explicitly: the pipeline with an engine of several answers."""

from __future__ import annotations

import asyncio

from tabby_lsp.completion import pipeline
from tabby_lsp.completion.cache import CompletionCache
from tabby_lsp.engines.scripted import Line, ScriptedEngine
from tests.completion.drawn import parse

LIMITS = pipeline.Limits(max_block_tokens=96, max_line_tokens=48, offers_blocks=True)


def ask(
    drawing: str, *answers: str, automatic: bool = False, cache: CompletionCache | None = None
) -> pipeline.Answer:
    """What is answered at ║ by an engine that knows so many answers."""
    drawn = parse(drawing)
    question = pipeline.Question(
        uri="untitled:a",
        cursor=drawn.cursor(),
        path="",
        repository="",
        automatic=automatic,
        n_candidates=1 if automatic else 3,
    )
    cache = cache or CompletionCache()
    engine = ScriptedEngine([Line("", "", answer) for answer in answers])

    async def no_files() -> pipeline.Gathered:
        return pipeline.Gathered()

    async def run() -> pipeline.Answer:
        known = pipeline.at_hand(question, cache)
        return known or await pipeline.ask_model(
            question, LIMITS, cache, no_files, engine, pipeline.Account()
        )

    return asyncio.run(run())


def texts(answer: pipeline.Answer) -> list[str]:
    return [each.text for each in (answer.completion, *answer.others) if each]


def test_three_are_offered_the_best_first() -> None:
    assert texts(ask("x = ║\n", "a", "b", "c", "d")) == ["a", "b", "c"]


def test_nobody_who_has_not_asked_is_offered_more_than_one() -> None:
    assert texts(ask("x = ║\n", "a", "b", "c", automatic=True)) == ["a"]


def test_the_same_is_offered_once() -> None:
    assert texts(ask("x = ║\n", "a", "a  # \n", " a", "b")) == ["a", "a  #"]
    assert texts(ask("f(║)\n", "a", "a)", "b")) == ["a", "b"]


def test_what_is_not_worth_showing_is_left_out() -> None:
    assert texts(ask("x = ║\n", "", "  ", "b")) == ["b"]
    assert ask("x = ║\n", "", "", "").reason == "nothing-to-add"


def test_each_ends_where_a_single_one_would() -> None:
    body = "\n    if x:\n        return 1\n    return 2\n\nprint(f(1))\n"
    other = "\n    return x\n\n\n\n\ndef g"
    assert texts(ask("def f(x):║\n", body, other)) == [
        "\n    if x:\n        return 1\n    return 2",
        "\n    return x",
    ]


def test_what_stands_on_the_screen_stays_first() -> None:
    cache = CompletionCache()
    ask("x = ║\n", "b", automatic=True, cache=cache)
    assert texts(ask("x = ║\n", "a", "b", "c", cache=cache)) == ["b", "a", "c"]


def test_asking_again_offers_the_same() -> None:
    cache = CompletionCache()
    ask("x = ║\n", "a", "b", cache=cache)
    again = ask("x = ║\n", cache=cache)
    assert (texts(again), again.reason) == (["a", "b"], "cached")
    assert texts(ask("x = ║\n", cache=cache, automatic=True)) == ["a", "b"]


def test_typing_along_any_of_them_needs_no_model() -> None:
    cache = CompletionCache()
    ask("x = ║\n", "foo(a)", "bar(b)", "fork()", cache=cache)
    for typed, rest in (("f", "oo(a)"), ("b", "ar(b)"), ("for", "k()"), ("ba", "r(b)")):
        answer = ask(f"x = {typed}║\n", cache=cache, automatic=True)
        assert (texts(answer), answer.reason) == ([rest], "cached")
