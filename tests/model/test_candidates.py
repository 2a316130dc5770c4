"""Several answers come of one prompt: the first as if it were alone, the others decoded only."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.model.starter import SOURCE, bench, request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabby_lsp.domain import GenerationRequest, Timings
    from tests.model.starter import Bench


@pytest.fixture(scope="module", params=[False, True], ids=["", "healed"])
def model(request: pytest.FixtureRequest) -> Iterator[Bench]:
    model = bench(n_ctx=512, heals=request.param)
    yield model
    model.close()


def candidates(model: Bench, asked: GenerationRequest) -> tuple[list[str], list[Timings]]:
    texts: dict[int, str] = {}
    timings = []
    for piece in model.pieces(asked):
        texts[piece.candidate] = texts.get(piece.candidate, "") + piece.text
        timings.append(piece.timings)
    return [texts[n] for n in sorted(texts)], timings


# Short enough to be accepted without a new window.
PLACES = [request(SOURCE[:at], SOURCE[at:], max_tokens=14) for at in range(700, 2_700, 211)]


@pytest.mark.parametrize("asked", PLACES)
def test_they_differ_and_the_first_is_what_is_said_without_the_others(
    model: Bench, asked: GenerationRequest
) -> None:
    alone, _ = candidates(model, asked)
    three, timings = candidates(model, replace(asked, n_candidates=3))

    assert three[0] == alone[0]
    assert len(three) == 3
    # Of those that end at once, at the line's end or for good, there may be two.
    said = [text for text in three if text]
    assert len(said) == len(set(said)) > 0
    assert {each.n_evaluated_tokens for each in timings} == {timings[0].n_evaluated_tokens}
    assert timings[-1].n_generated_tokens <= 3 * asked.max_tokens + 9


@pytest.mark.parametrize("asked", PLACES)
def test_whoever_accepts_one_of_them_reads_nothing_but_that(
    model: Bench, asked: GenerationRequest
) -> None:
    """What was said is read as a prompt is, so that it is computed in the same way."""
    three, _ = candidates(model, replace(asked, n_candidates=3))
    segments = replace(asked.segments, prefix=asked.segments.prefix + three[1])
    _, timings = candidates(model, replace(asked, segments=segments, n_candidates=1))

    n_accepted = len(model.loaded.model.tokenize(three[1]))
    assert timings[0].n_evaluated_tokens <= n_accepted + 4


def test_what_was_left_behind_takes_no_cells(model: Bench) -> None:
    for asked in PLACES:
        candidates(model, replace(asked, n_candidates=3))
    candidates(model, PLACES[0])
    context = model.loaded.context

    assert list(context.held) == [context.live]
    assert context.n_used_cells == len(context.tokens)
