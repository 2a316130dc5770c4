"""Which answers are kept back because the model itself doubts them."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tabby_lsp.completion import pipeline
from tabby_lsp.completion.cache import CompletionCache
from tabby_lsp.completion.confidence import Confidence
from tabby_lsp.domain import Piece, Timings
from tabby_lsp.engines.scripted import ScriptedEngine
from tests.completion.drawn import cursor_in

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from tabby_lsp.domain import GenerationRequest

LIMITS = pipeline.Limits(
    max_block_tokens=96, max_line_tokens=48, offers_blocks=True, least_percent=5
)


class DoubtfulEngine(ScriptedEngine):
    """Says `x1x2x3...`, one token for each of its probabilities."""

    def __init__(self, probabilities: Sequence[float]) -> None:
        super().__init__(())
        self.n_said = 0
        self._probabilities = probabilities

    async def complete(self, request: GenerationRequest) -> AsyncGenerator[Piece, None]:
        yield Piece("", 0.0, Timings())
        for n, probability in enumerate(self._probabilities, start=1):
            self.n_said = n
            yield Piece(f"x{n}", math.log(probability), Timings(n_generated_tokens=n))
        yield Piece("", 0.0, Timings(n_generated_tokens=self.n_said), "stop")


QUESTION = pipeline.Question(
    uri="untitled:a", cursor=cursor_in("y = ║\n"), path="", repository="", automatic=True
)


def ask(
    engine: DoubtfulEngine,
    question: pipeline.Question = QUESTION,
    limits: pipeline.Limits = LIMITS,
    cache: CompletionCache | None = None,
) -> pipeline.Answer:
    async def no_files() -> pipeline.Gathered:
        return pipeline.Gathered()

    cache = cache or CompletionCache()
    work = pipeline.ask_model(question, limits, cache, no_files, engine, pipeline.Account())
    return asyncio.run(work)


@pytest.mark.parametrize("probabilities", [[0.9, 0.8], [0.06, 0.9], [0.4, 0.4, 0.4], [1.0]])
def test_what_the_model_holds_for_likely_is_shown(probabilities: list[float]) -> None:
    assert ask(DoubtfulEngine(probabilities)).reason == "line"


@pytest.mark.parametrize("probabilities", [[0.3] * 3, [0.9, 0.05], [0.04, 1.0], [0.9] * 30])
def test_what_it_holds_for_unlikely_is_kept_back(probabilities: list[float]) -> None:
    answer = ask(DoubtfulEngine(probabilities))
    assert (answer.completion, answer.reason) == (None, "low-confidence")


def test_a_doubtful_beginning_is_not_gone_on_with() -> None:
    engine = DoubtfulEngine([0.9, 0.05, *[1.0] * 20])
    ask(engine)
    assert engine.n_said == 2


def test_who_asks_explicitly_gets_it_all_the_same() -> None:
    engine = DoubtfulEngine([0.01, 0.01])
    cache = CompletionCache()
    assert ask(engine, cache=cache).reason == "low-confidence"
    asked = replace(QUESTION, automatic=False)
    assert pipeline.at_hand(QUESTION, cache) == pipeline.Answer(None, "cached-nothing")
    assert pipeline.at_hand(asked, cache) is None
    assert ask(engine, asked, cache=cache).reason == "line"


def test_a_menu_in_which_nobody_can_ask_explicitly_has_it() -> None:
    engine = DoubtfulEngine([0.01, 0.01])
    assert ask(engine, replace(QUESTION, takes_unlikely=True)).reason == "line"


def test_it_can_be_switched_off() -> None:
    engine = DoubtfulEngine([0.01, 0.01])
    assert ask(engine, limits=replace(LIMITS, least_percent=0)).reason == "line"


def test_a_few_keys_later_the_model_may_be_sure() -> None:
    cache = CompletionCache()
    assert ask(DoubtfulEngine([0.04, 0.9]), cache=cache).reason == "low-confidence"
    later = replace(QUESTION, cursor=cursor_in("y = x║\n"))
    assert pipeline.at_hand(later, cache) is None
    assert ask(DoubtfulEngine([0.9]), later, cache=cache).reason == "line"


def test_only_the_first_line_counts_with_its_end() -> None:
    confidence = Confidence()
    for text, probability in (("\n    ", 0.9), ("x", 0.5), ("\n   ", 0.5), ("y", 0.001)):
        confidence.hear(Piece(text, math.log(probability), Timings()))
    assert math.isclose(math.exp(confidence.logprob), 0.9 * 0.5 * 0.5)


def test_an_engine_that_tells_no_probabilities_is_believed() -> None:
    confidence = Confidence()
    confidence.hear(Piece("x", 0.0, Timings()))
    assert not confidence.is_less_than(99)
