"""What is drafted is computed together, saves evaluations, and leaves nothing of itself behind."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING
from unittest.mock import Mock

import numpy as np
import pytest

from tabby_lsp.domain import Sampling
from tabby_lsp.engines.llama.binding import Model
from tabby_lsp.engines.llama.context import Context
from tabby_lsp.engines.llama.drawing import Sampler
from tabby_lsp.engines.llama.speculation import Speculation
from tests.model.starter import PATH, SOURCE, Bench, bench, request
from tests.model.typist import Typist

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tabby_lsp.domain import GenerationRequest

SPECULATION = "tabby_lsp.engines.llama.speculation"
N_CTX = 512
# As somebody writes who has written such a thing before.
WRITTEN = """\
def test_width_is_kept(canvas: Canvas) -> None:
    assert canvas.width == 640
    assert canvas.opened_at is None


def test_height_is_kept(canvas: Canvas) -> None:
    assert canvas."""


class Counting:
    """How often a context was asked to evaluate something, and how much."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        evaluate = Context.evaluate

        def counted(context: Context, tokens: Sequence[int], n_told: int = 1) -> None:
            self.sizes.append(len(tokens))
            evaluate(context, tokens, n_told)

        monkeypatch.setattr(Context, "evaluate", counted)


@pytest.fixture
def drafting() -> Iterator[Bench]:
    made = bench(n_ctx=N_CTX)
    made.loaded.drafts.pace.took(1, 1.0)
    for n in range(2, 17):  # whatever the processor is like
        made.loaded.drafts.pace.took(n, 1.0)
    yield made
    made.close()


@pytest.fixture
def plain() -> Iterator[Bench]:
    made = bench(n_ctx=N_CTX)
    made.loaded.context.can_draft = False
    yield made
    made.close()


def keys(n_keys: int) -> Iterator[GenerationRequest]:
    typist = Typist({"engine.py": SOURCE}, "speculation", 8)
    return (key.request for key in islice(typist.keys(), n_keys))


def holds(made: Bench) -> int:
    """How many tokens llama.cpp holds of the live sequence."""
    api, context = made.loaded.context._api, made.loaded.context
    memory = api.llama_get_memory(context.handle)
    return int(api.llama_memory_seq_pos_max(memory, context.live)) + 1


def test_what_is_said_is_what_would_be_said_without_drafts(drafting: Bench, plain: Bench) -> None:
    unlike = [asked for asked in keys(60) if drafting.ask(asked)[0] != plain.ask(asked)[0]]

    # A tie may fall otherwise.
    assert len(unlike) <= 1


def test_it_takes_fewer_evaluations(
    drafting: Bench, plain: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    for made in (plain, drafting):
        counting = Counting(monkeypatch)
        for asked in keys(60):
            made.ask(asked)
        counts.append(len(counting.sizes))
        monkeypatch.undo()

    assert counts[1] < 0.8 * counts[0]


def test_it_is_told_what_was_drafted(drafting: Bench, plain: Bench) -> None:
    asked = request(WRITTEN)
    timings = drafting.ask(asked)[2]

    assert 0 < timings.n_accepted_tokens <= timings.n_drafted_tokens
    assert timings.n_accepted_tokens < timings.n_generated_tokens
    assert plain.ask(asked)[2].n_drafted_tokens == 0


def test_nothing_that_was_only_drafted_is_left(drafting: Bench) -> None:
    context, model = drafting.loaded.context, drafting.loaded.model
    for asked in keys(30):
        text, prompt, timings = drafting.ask(asked)
        said = context.tokens[len(prompt.tokens) :]

        assert context.tokens[: len(prompt.tokens)] == prompt.tokens
        # The last token is chosen, and not read.
        assert len(said) <= timings.n_generated_tokens
        raw = b"".join(map(model.piece, said))[len(prompt.typed) :]
        assert text.encode().startswith(raw)
        assert holds(drafting) == len(context.tokens)


def test_a_draft_has_room_in_the_context(drafting: Bench) -> None:
    """The last evaluation of all fills the context, and no more."""
    for n_lines in range(1, 60):
        asked = request("x = 1\n" * n_lines + "x", max_tokens=N_CTX, stop=())
        timings = drafting.ask(asked)[2]

        assert timings.n_prompt_tokens + timings.n_generated_tokens <= N_CTX + 1


def test_what_is_stopped_within_a_draft_is_answered_the_next_time(
    drafting: Bench, plain: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = plain.ask(request(WRITTEN))[0]
    context, evaluate = drafting.loaded.context, Context.evaluate
    for n_before in range(4):
        left = [n_before]

        def stopped(
            context: Context, tokens: Sequence[int], n_told: int = 1, left: list[int] = left
        ) -> None:
            if not left[0]:
                context.abort_flag.set()
            left[0] -= 1
            evaluate(context, tokens, n_told)

        with monkeypatch.context() as patch:
            patch.setattr(Context, "evaluate", stopped)
            drafting.ask(request(WRITTEN))
        assert holds(drafting) == len(context.tokens)
        context.abort_flag.clear()

        assert drafting.ask(request(WRITTEN))[0] == wanted


def test_what_is_drawn_by_chance_is_drafted_too(drafting: Bench) -> None:
    asked = replace(request(WRITTEN), sampling=Sampling(temperature=0.2))

    assert any(drafting.ask(asked)[2].n_accepted_tokens for _ in range(5))


def test_what_is_drawn_from_a_seed_is_not(drafting: Bench) -> None:
    """A draw may hang on a probability's last digit, and is to be the same each time."""
    asked = replace(request(WRITTEN), sampling=Sampling(temperature=0.8, seed=1))
    first, second = drafting.ask(asked), drafting.ask(asked)

    assert first[0] == second[0]
    assert second[2].n_drafted_tokens == 0


def test_who_doubts_everything_computes_it_alone_and_says_the_same(
    drafting: Bench, plain: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SPECULATION + ".LEAST_LEAD", math.inf)
    alone, context = Mock(wraps=Speculation.read_alone), drafting.loaded.context
    monkeypatch.setattr(Speculation, "read_alone", lambda speculation: alone(speculation))
    n_drafted = n_first = 0
    for asked in keys(30):
        counting = Counting(monkeypatch)
        text, prompt, timings = drafting.ask(asked)
        n_drafted += timings.n_drafted_tokens > 0
        n_first += counting.sizes[1:2] == [context.n_least]

        assert text == plain.ask(asked)[0]
        # Each is taken back at its first token.
        assert timings.n_accepted_tokens == 0
        assert context.tokens[: len(prompt.tokens)] == prompt.tokens
        assert context.held[context.live].n_prompt == len(prompt.tokens)
        assert holds(drafting) == len(context.tokens)

    assert n_drafted > 15
    assert n_first > 5
    assert alone.call_count >= n_drafted


@pytest.mark.parametrize(
    ("first", "then"),
    [(Sampling(), Sampling()), (Sampling(temperature=0.8), Sampling(temperature=0.8, seed=1))],
    ids=["likeliest", "seeded"],
)
def test_what_was_noted_while_drafting_is_doubted_too(
    first: Sampling, then: Sampling, drafting: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, context = request(WRITTEN), drafting.loaded.context
    n_prompt = len(drafting.ask(replace(asked, sampling=first))[1].tokens)
    before = context.noted(n_prompt)
    monkeypatch.setattr(SPECULATION + ".LEAST_LEAD", math.inf)
    counting = Counting(monkeypatch)
    drafting.ask(replace(asked, sampling=then))
    after = context.noted(n_prompt)

    assert before
    assert not before.is_sure
    assert counting.sizes[0] == context.n_least
    assert after
    assert after.is_sure


def test_without_chance_a_sampler_says_by_how_much_a_token_leads(plain: Bench) -> None:
    model = plain.loaded.model
    logits = np.zeros(model.n_vocab, dtype=np.float32)
    logits[[50, 60]] = 3.0, 2.5
    biased = Sampler(model, Sampling(logit_bias=((60, 1.0),)), [], [])
    by_grammar = Sampler(model, Sampling(grammar="root ::= [a-z]+"), [], [])
    by_chance = Sampler(model, Sampling(temperature=1.0), [], [])

    assert biased(logits).token == 60
    assert biased(logits).lead == pytest.approx(0.5)
    assert by_grammar(logits).lead < 3.1
    assert by_chance(logits).lead == math.inf


def test_on_a_graphics_card_too_it_is_told_what_comes_next() -> None:
    """What waits for the card is called in another way; that much of it runs anywhere."""
    model = Model(PATH)
    model.uses_graphics = True
    context = Context(model, 64, 64, 1)
    context.evaluate(model.tokenize("import os\nimport "))
    logits = context.logits()

    assert logits.shape == (model.n_vocab,)
    assert np.isfinite(logits).all()
    context.close()
    model.close()


def test_candidates_are_the_same_with_drafts(drafting: Bench, plain: Bench) -> None:
    three = replace(request(WRITTEN), n_candidates=3)
    told = []
    for made in (plain, drafting):
        texts = ["", "", ""]
        for piece in made.pieces(three):
            texts[piece.candidate] += piece.text
        told.append(texts)

    assert told[0] == told[1]
    assert len(set(told[0])) == 3
