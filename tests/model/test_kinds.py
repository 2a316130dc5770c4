"""Models whose memory is a state, or a sliding window, say what a cold prompt says."""

from __future__ import annotations

import random
import statistics
import threading
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from tabby_lsp.engines.llama import library
from tabby_lsp.engines.llama.binding import Model
from tabby_lsp.engines.llama.context import Aborted
from tabby_lsp.engines.llama.embedding import VectorContext
from tabby_lsp.engines.llama.generation import renew
from tabby_lsp.engines.llama.marks import MarkedContext
from tests.model.random_kinds import SLIDING, STATES, Kind, write_random_kind
from tests.model.starter import SOURCE, Bench, bench, request
from tests.model.test_equivalence import N_CTX, OTHER, asked, cold_text
from tests.model.typist import Typist

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tabby_lsp.models.fim_table import Layout

    Write = Callable[[Kind], Path]

FILES = {"engine.py": SOURCE, "document.py": OTHER}


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Write:
    folder = tmp_path_factory.mktemp("kinds")

    def written(kind: Kind) -> Path:
        path = folder / f"{kind}.gguf"
        return path if path.exists() else write_random_kind(path, kind)

    return written


def check_context(model: Bench) -> None:
    """llama.cpp holds what we believe it holds, and nothing else."""
    api, context = library.opened(), model.loaded.context
    memory = api.llama_get_memory(context.handle)
    marks = context.marks if isinstance(context, MarkedContext) else {}
    assert not marks.keys() & context.held.keys()
    every = {**context.held, **marks}
    for number in range(8):
        n_held = api.llama_memory_seq_pos_max(memory, number) + 1
        assert n_held == (len(every[number].tokens) if number in every else 0)
    assert all(len(each.cells) == len(each.tokens) for each in every.values())
    assert context.n_used_cells == len({c for each in every.values() for c in each.cells})


@pytest.mark.parametrize(
    ("kind", "layout"),
    [
        ("mamba", "psm"),
        ("granitehybrid", "psm"),
        ("granitehybrid", "spm_v1"),
        ("falcon-h1", "spm_v2"),
        ("qwen35", "psm"),
        ("lfm2", "spm_v1"),
        ("gemma2", "psm"),
        ("gemma3", "spm_v2"),
    ],
)
def test_answers_are_those_of_cold_prompts(write: Write, kind: Kind, layout: Layout) -> None:
    path = write(kind)
    warm, cold = bench(path, layout, n_ctx=N_CTX), bench(path, layout, n_ctx=N_CTX)
    every = list(asked(warm, 20, "kinds"))[::3]
    unlike = [prompt for prompt, text in every if cold_text(cold, prompt) != text]
    warm.close()
    cold.close()
    assert not unlike


@pytest.mark.parametrize("layout", ["psm", "spm_v1", "spm_v2"])
def test_a_key_is_read_from_the_last_mark(write: Write, layout: Layout) -> None:
    """Without marks every key reads the whole prompt again, more than 200 tokens."""
    model = bench(write("granitehybrid"), layout, n_ctx=N_CTX)
    costs = []
    for key in islice(Typist(FILES, "count", 2).keys(), 120):
        timings = model.ask(key.request)[2]
        if key.kind not in ("jump", "switch"):
            costs.append(timings.n_evaluated_tokens)
    model.close()

    assert statistics.median(costs[1:]) <= 4
    assert max(costs[1:]) <= 16


def test_candidates_and_work_ahead_leave_the_marks_of_what_is_at_work(write: Write) -> None:
    model = bench(write("granitehybrid"), n_ctx=N_CTX)
    costs = []
    for n_typed in range(1, 13):
        prefix = SOURCE[:900] + "    result = model"[:n_typed]
        place = replace(request(prefix, SOURCE[1_000:], 12, ()), document="a.py")
        said = ""
        for piece in model.pieces(replace(place, n_candidates=3)):
            said += "" if piece.candidate else piece.text
            timings = piece.timings
        costs.append(timings.n_evaluated_tokens)
        accepted = replace(place.segments, prefix=prefix + said)
        model.ask(replace(place, segments=accepted, is_ahead=True))
        check_context(model)
    model.close()

    assert max(costs[1:]) <= 8


@pytest.mark.parametrize("kind", ["mamba", "granitehybrid", "gemma3"])
def test_nothing_is_lost_whatever_is_stopped_and_made_ahead(write: Write, kind: Kind) -> None:
    """And what is said afterwards is what a cold prompt says."""
    path = write(kind)
    model, cold = bench(path, n_ctx=N_CTX, parked_mib=8), bench(path, n_ctx=N_CTX)
    rng, flag = random.Random("soak"), model.loaded.context.abort_flag
    unlike = 0
    for n, key in enumerate(islice(Typist(FILES, "soak", 8).keys(), 45)):
        what = rng.random()
        place = replace(key.request, is_ahead=what < 0.2, n_candidates=rng.choice([1, 3]))
        stopper = threading.Timer(rng.random() * 0.02, flag.set)
        if 0.2 < what < 0.6:
            stopper.start()
            if what < 0.3:
                # Another place, of which much has to be read.
                prefix = SOURCE[rng.randrange(500, 3_000) :]
                place = replace(place, segments=replace(place.segments, prefix=prefix))
        for _ in model.pieces(place):
            pass
        stopper.cancel()
        flag.clear()
        if rng.random() < 0.2:
            assert list(renew(model.loaded, model.desk, place)) == []
        check_context(model)
        if n % 5 == 4:
            text, prompt, _ = model.ask(key.request)
            unlike += cold_text(cold, prompt) != text
    model.close()
    cold.close()
    assert unlike == 0


@pytest.mark.parametrize("kind", STATES)
def test_a_state_that_was_stopped_between_two_tokens_is_not_gone_on_from(
    write: Write, kind: Kind
) -> None:
    model = bench(write(kind), n_ctx=N_CTX)
    context, recall = model.loaded.context, model.loaded.recall
    tokens = model.loaded.tokenize(SOURCE)[:300]
    recall.begin(tokens)
    context.evaluate(tokens[:140])
    context.abort_flag.set()
    with pytest.raises(Aborted):
        context.evaluate(tokens[140:])
    context.abort_flag.clear()
    check_context(model)
    assert len(context.tokens) == 140
    context.evaluate(tokens[len(context.tokens) :])
    gone_on = context.logits().copy()
    context.evaluate(tokens[:1])
    assert context.reach(context.live, 300) == 300
    context.clear()
    context.evaluate(tokens)
    assert abs(gone_on - context.logits()).max() < 1e-2
    model.close()


@pytest.mark.parametrize("kind", ["mamba", "granitehybrid", *SLIDING])
def test_files_come_back_from_where_they_are_parked(write: Write, kind: Kind) -> None:
    path = write(kind)
    model, cold = bench(path, n_ctx=N_CTX), bench(path, n_ctx=N_CTX)
    places = [
        replace(request(SOURCE[:end], SOURCE[end:], 8), document=f"{end}.py")
        for end in (900, 1_700, 2_300)
    ]
    first = [model.ask(place)[0] for place in places]
    again = [model.ask(place) for place in places]
    # And at places before the ones where they were left.
    back = [
        model.ask(replace(place, segments=replace(place.segments, prefix=SOURCE[: end - 60])))
        for place, end in zip(places, (900, 1_700, 2_300), strict=True)
    ]

    assert [text for text, _, _ in again] == first
    assert all(timings.n_evaluated_tokens <= 8 for _, _, timings in again)
    assert all(cold_text(cold, prompt) == text for text, prompt, _ in back)
    model.close()
    cold.close()


def test_a_state_gives_three_answers(write: Write) -> None:
    model = bench(write("granitehybrid"), n_ctx=N_CTX)
    place = request(SOURCE[:1_200], SOURCE[1_200:], 6)
    alone, _, _ = model.ask(place)
    texts = ["", "", ""]
    for piece in model.pieces(replace(place, n_candidates=3)):
        texts[piece.candidate] += piece.text
    model.close()

    assert texts[0] == alone
    assert len(set(texts)) == 3


def test_vectors_of_a_state_are_the_same_when_they_were_interrupted(write: Write) -> None:
    model = Model(write("granitehybrid"))
    context = VectorContext(model, 256, 64, 1)
    tokens = model.tokenize(SOURCE)[:192]
    for start in (0, 64, 128):
        context.evaluate(tokens[start : start + 64])
    wanted = context.vectors(64)
    context.keep(0)
    for start in (0, 64):
        context.evaluate(tokens[start : start + 64])
    context.abort_flag.set()
    with pytest.raises(Aborted):
        context.evaluate(tokens[128:])
    context.abort_flag.clear()
    context.evaluate(tokens[len(context.tokens) :])
    assert abs(wanted - context.vectors(64)).max() < 1e-3
    context.close()
    model.close()
