"""The context and what is known of it stay the same, whatever is asked, stopped and made ahead."""

from __future__ import annotations

import random
import threading
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from tabby_lsp.domain import Segments, Snippet
from tabby_lsp.engines.llama import library
from tabby_lsp.engines.llama.generation import renew
from tabby_lsp.engines.llama.kv import n_common
from tests.model.starter import SOURCE, Bench, bench, request
from tests.model.typist import Typist

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabby_lsp.domain import GenerationRequest
    from tabby_lsp.models.fim_table import Layout

N_CTX = 448
FILES = {f"file{n}.py": SOURCE[n * 500 :] for n in range(6)}


@pytest.fixture(params=["psm", "spm_v1", "spm_v2"])
def model(request: pytest.FixtureRequest) -> Iterator[Bench]:
    layout: Layout = request.param
    model = bench(layout=layout, n_ctx=N_CTX, parked_mib=4)
    yield model
    model.close()


def check_context(model: Bench) -> None:
    """llama.cpp holds what we believe it holds, and nothing else."""
    api, context = library.opened(), model.loaded.context
    memory = api.llama_get_memory(context.handle)
    for number in range(8):
        n_held = api.llama_memory_seq_pos_max(memory, number) + 1
        held = context.held.get(number)
        assert n_held == (len(held.tokens) if held else 0)
        assert held is None or len(held.cells) == len(held.tokens)
    assert context.n_used_cells == len({c for held in context.held.values() for c in held.cells})
    assert context.n_used_cells <= context.n_cells


def test_nothing_is_lost_and_nothing_leaks(model: Bench) -> None:
    rng = random.Random("soak")
    flag = model.loaded.context.abort_flag
    for key in islice(Typist(FILES, "soak", 6).keys(), 150):
        what = rng.random()
        asked = replace(
            key.request,
            is_ahead=what < 0.2,
            max_tokens=rng.choice([0, 6, 12]),
            n_candidates=rng.choice([1, 1, 3]),
        )
        stopper = threading.Timer(rng.random() * 0.02, flag.set)
        if 0.2 < what < 0.5:
            stopper.start()
        pieces = model.pieces(asked)
        for n, _ in enumerate(pieces):
            if what > 0.9 and n == 2:
                break
        pieces.close()  # type: ignore[attr-defined]
        stopper.cancel()
        flag.clear()
        if rng.random() < 0.2:
            assert list(renew(model.loaded, model.desk, asked)) == []
        check_context(model)


def test_what_is_reused_is_never_less_than_the_longest_common_beginning(model: Bench) -> None:
    """But for the few tokens that are read together with the last one."""
    context = model.loaded.context
    for key in islice(Typist(FILES, "reuse", 2).keys(), 60):
        held = [list(held.tokens) for held in context.held.values()]
        in_order = context.n_in_order() == len(context.tokens)
        _, prompt, timings = model.ask(key.request)
        n_most = max(n_common(tokens, prompt.tokens) for tokens in held)
        if in_order and len(held) == 1:
            assert timings.n_reused_tokens >= min(n_most, len(prompt.tokens) - context.n_least)


def test_four_files_come_back_from_where_they_are_parked(model: Bench) -> None:
    asked = [
        replace(request(SOURCE[: 900 + 400 * n], SOURCE[900 + 400 * n :], 4), document=f"{n}.py")
        for n in range(4)
    ]
    first = [model.ask(each) for each in asked]
    again = [model.ask(each) for each in asked]

    assert [text for text, _, _ in again] == [text for text, _, _ in first]
    assert all(timings.n_evaluated_tokens <= 4 for _, _, timings in again)
    assert model.loaded.context.n_used_cells == len(model.loaded.context.tokens)


def test_a_window_that_goes_through_files_leaves_those_of_another_warm() -> None:
    model = bench(layout="spm_v2", n_ctx=N_CTX, parked_mib=4)

    def asked(number: int, client: str) -> GenerationRequest:
        text = SOURCE[211 * number : 211 * number + 1_500]
        return replace(request(text, "\n", 2), document=f"{client}{number}", client=client)

    try:
        model.ask(asked(0, "a"))
        costs = [model.ask(asked(number, "b"))[2].n_evaluated_tokens for number in range(1, 25)]
        assert min(costs) > 100
        # Of its own the first are gone, so there was no room for all.
        assert model.ask(asked(1, "b"))[2].n_evaluated_tokens > 100
        assert model.ask(asked(0, "a"))[2].n_evaluated_tokens <= 4
    finally:
        model.close()


def test_a_file_comes_back_although_what_is_at_work_takes_its_place() -> None:
    """There is room for one of them: to park the other drops the one that is wanted."""
    model = bench(layout="spm_v2", n_ctx=640, parked_mib=2)
    asked = [replace(request(SOURCE[:n], "\n", 4), document=f"{n}.py") for n in (3000, 6000)]
    try:
        costs = []
        for each in (*asked, *asked, *asked):
            costs.append(model.ask(each)[2].n_evaluated_tokens)
            check_context(model)
    finally:
        model.close()

    assert min(costs[:2]) > 200
    assert max(costs[2:]) <= 4


def test_in_a_pause_a_long_line_of_typing_becomes_prefix() -> None:
    model = bench(layout="psm", n_ctx=N_CTX)
    place = replace(request(SOURCE[:1_500], SOURCE[1_500:], 2), document="a.py")
    typed = "\n".join(f"    value_{n} = {n}" for n in range(7))
    for n in range(0, len(typed), 5):
        prefix = place.segments.prefix + typed[:n]
        asked = replace(place, segments=replace(place.segments, prefix=prefix))
        model.ask(asked)
    before = model.ask(asked)[1].tokens
    assert list(renew(model.loaded, model.desk, asked)) == []
    _, after, timings = model.ask(asked)

    assert after.tokens != before
    assert timings.n_evaluated_tokens <= 2
    model.close()


def test_other_snippets_are_shown_after_a_pause_and_not_before() -> None:
    model = bench()
    segments = Segments(prefix=SOURCE[:900], suffix=SOURCE[900:], path="a.py")
    few = replace(segments, snippets=(Snippet("b.py", "x = 1\n"),))
    more = replace(segments, snippets=(Snippet("c.py", "y = 2\n"),))
    place = replace(request("", max_tokens=2), document="a.py")
    first = model.ask(replace(place, segments=few))[1].tokens
    kept = model.ask(replace(place, segments=more))[1].tokens
    assert kept == first
    assert list(renew(model.loaded, model.desk, replace(place, segments=more))) == []
    _, shown, timings = model.ask(replace(place, segments=more))

    assert shown.tokens != first
    assert timings.n_evaluated_tokens <= 2
    model.close()
