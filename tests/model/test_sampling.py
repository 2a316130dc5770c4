"""How tokens are drawn, told of and constrained, with the starter's own probabilities."""

from __future__ import annotations

import asyncio
import json
import math
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tabby_lsp.domain import EngineError, Piece, Sampling, TextRequest
from tests.model.starter import SOURCE, request, run

if TYPE_CHECKING:
    from tabby_lsp.domain import TokenLogprobs
    from tabby_lsp.engines.llama.engine import LlamaEngine

CODE = "import os\n\n\ndef read(path):\n    with open(path) as"
# Keeps the starter from ending by itself.
NO_END = tuple((token, -100.0) for token in (0, 4, 5, 6))
SHAPE = {
    "type": "object",
    "properties": {
        "name": {"enum": ["alpha", "bêta"]},
        "sizes": {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 3},
    },
    "required": ["name", "sizes"],
}


def text_of(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def told(pieces: list[Piece]) -> list[TokenLogprobs]:
    return [token for piece in pieces for token in piece.logprobs]


async def continued(
    engine: LlamaEngine,
    sampling: Sampling = Sampling(),  # noqa: B008
    *,
    prompt: str = CODE,
    max_tokens: int = 16,
    stop: tuple[str, ...] = (),
) -> list[Piece]:
    asked = TextRequest(prompt, max_tokens, stop, sampling)
    async with aclosing(engine.continue_text(asked)) as pieces:
        return [piece async for piece in pieces]


def continuation(sampling: Sampling, max_tokens: int = 16) -> list[Piece]:
    return run(lambda engine: continued(engine, sampling, max_tokens=max_tokens))


def test_a_seed_gives_the_same_answer_and_chance_another() -> None:
    async def work(engine: LlamaEngine) -> list[str]:
        hot = Sampling(temperature=1.5)
        seeds = (1, 1, 2, 3, None, None)
        return [text_of(await continued(engine, replace(hot, seed=seed))) for seed in seeds]

    first, again, *others = run(work)
    assert first == again
    assert len(set(others)) > 2


def test_a_choice_of_one_is_the_likeliest() -> None:
    async def work(engine: LlamaEngine) -> set[str]:
        samplings = (
            Sampling(),
            Sampling(temperature=2.0, top_k=1),
            Sampling(temperature=2.0, top_p=1e-6),
            Sampling(temperature=2.0, min_p=1.0),
            Sampling(temperature=1e-4),
        )
        return {text_of(await continued(engine, sampling)) for sampling in samplings}

    assert len(run(work)) == 1


def test_a_completion_without_a_wish_is_the_one_with_probabilities() -> None:
    """Who asks what the model thought does not change it, where no token is taken back.

    Then the answer begins with what was typed, of which no probability is told.
    """

    async def work(engine: LlamaEngine) -> list[list[Piece]]:
        answers = []
        for sampling in (Sampling(), Sampling(n_logprobs=3, seed=3, top_p=0.5)):
            # No token of the vocabulary begins like its last one and is longer.
            asked = replace(request("import json\nimport logging\n\nfrom"), sampling=sampling)
            async with aclosing(engine.complete(asked)) as pieces:
                answers.append([piece async for piece in pieces])
        return answers

    plain, asked = run(work)
    assert text_of(plain) == text_of(asked) != ""
    assert not told(plain)
    assert "".join(token.text for token in told(asked)).startswith(text_of(asked))


def test_completions_are_drawn_by_chance_too() -> None:
    async def work(engine: LlamaEngine) -> set[str]:
        answers = set()
        for seed in range(6):
            sampling = Sampling(temperature=1.5, seed=seed)
            asked = replace(request(SOURCE[:700]), sampling=sampling)
            async with aclosing(engine.complete(asked)) as pieces:
                answers.add("".join([piece.text async for piece in pieces]))
        return answers

    assert len(run(work)) > 2


def test_what_is_told_of_a_token_is_the_models_own() -> None:
    pieces = continuation(Sampling(temperature=0.5, seed=1, n_logprobs=4))
    tokens = told(pieces)
    assert len(tokens) == pieces[-1].timings.n_generated_tokens == 16
    assert "".join(token.text for token in tokens) == text_of(pieces)
    assert sum(token.logprob for token in tokens) == pytest.approx(
        sum(piece.logprob for piece in pieces), abs=1e-3
    )
    for token in tokens:
        logprobs = [logprob for _, _, logprob in token.others]
        assert len(logprobs) == 4
        assert logprobs == sorted(logprobs, reverse=True)
        assert sum(map(math.exp, logprobs)) < 1.001
        assert token.logprob <= logprobs[0] + 1e-6


def test_tokens_of_half_characters_have_their_bytes() -> None:
    sampling = Sampling(grammar='root ::= "é\U0001f600ñ"', n_logprobs=1)
    pieces = continuation(sampling)
    assert text_of(pieces) == "é\U0001f600ñ"
    assert b"".join(token.raw for token in told(pieces)) == "é\U0001f600ñ".encode()
    assert len(told(pieces)) > 3


def test_tokens_held_back_for_a_stop_come_with_their_text_or_not_at_all() -> None:
    """The grammar makes the model begin the stop text, break it off, and then say it."""

    async def work(engine: LlamaEngine) -> list[Piece]:
        sampling = Sampling(grammar='root ::= "a<en b<end>c"', n_logprobs=1)
        return await continued(engine, sampling, stop=("<end>",))

    pieces = run(work)
    assert text_of(pieces) == "a<en b"
    said = ""
    for piece in pieces:
        said += piece.text
        # A token comes with its first character, so at most its own end is still to come.
        shown = "".join(token.text for token in told(pieces[: pieces.index(piece) + 1]))
        assert shown.startswith(said)
    assert "c" not in "".join(token.text for token in told(pieces))
    assert pieces[-1].finish == "stop"


def test_the_last_piece_says_why_it_is_the_last() -> None:
    async def work(engine: LlamaEngine) -> list[str]:
        answers = [
            await continued(engine, max_tokens=3),
            await continued(engine, max_tokens=0),
            await continued(engine, stop=("\n",), max_tokens=200),
            await continued(engine, Sampling(grammar='root ::= "ab"')),
        ]
        async with aclosing(engine.complete(request("def f(a", max_tokens=1))) as pieces:
            answers.append([piece async for piece in pieces])
        assert all(not piece.finish for answer in answers for piece in answer[:-1])
        return [answer[-1].finish for answer in answers]

    assert run(work) == ["length", "length", "stop", "stop", "length"]


@pytest.mark.parametrize("prompt", ["", "x", SOURCE * 5])
def test_an_answer_larger_than_the_context_ends_with_it(prompt: str) -> None:
    async def work(engine: LlamaEngine) -> Piece:
        sampling = Sampling(logit_bias=NO_END)
        return (await continued(engine, sampling, prompt=prompt, max_tokens=10**9))[-1]

    last = run(work)
    assert last.finish == "length"
    assert last.timings.n_prompt_tokens + last.timings.n_generated_tokens == 1024


def test_a_completion_larger_than_the_context_ends_with_it() -> None:
    async def work(engine: LlamaEngine) -> Piece:
        asked = replace(request(SOURCE, SOURCE, max_tokens=10**9, stop=()))
        async with aclosing(engine.complete(asked)) as pieces:
            return [piece async for piece in pieces][-1]

    last = run(work)
    assert last.finish
    assert last.timings.n_prompt_tokens + last.timings.n_generated_tokens <= 1024


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_schema_gives_json_of_its_shape(temperature: float) -> None:
    async def work(engine: LlamaEngine) -> list[list[Piece]]:
        shape = Sampling(temperature=temperature, json_schema=json.dumps(SHAPE))
        return [
            await continued(engine, replace(shape, seed=seed), max_tokens=200) for seed in range(5)
        ]

    for pieces in run(work):
        value = json.loads(text_of(pieces))
        assert value["name"] in ("alpha", "bêta")
        assert {True, False}.issuperset(value["sizes"])
        assert 2 <= len(value["sizes"]) <= 3
        assert pieces[-1].finish == "stop"


def test_chance_obeys_a_grammar() -> None:
    async def work(engine: LlamaEngine) -> set[str]:
        sampling = Sampling(temperature=2.0, grammar='root ::= "yes" | "no" | [0-9]{2}')
        return {
            text_of(await continued(engine, replace(sampling, seed=seed))) for seed in range(30)
        }

    answers = run(work)
    assert all(answer in ("yes", "no") or answer.isdecimal() for answer in answers)
    assert len(answers) > 3


@pytest.mark.parametrize(
    ("sampling", "why"),
    [
        (Sampling(grammar="root ::= ("), "The grammar cannot be used"),
        (Sampling(grammar="root ::= root"), "nothing to say"),
        (Sampling(grammar="root ::= [^\\x00-\\U0010FFFF]"), "nothing to say"),
        (Sampling(json_schema="["), "The JSON Schema cannot be used"),
        (Sampling(json_schema="{}", grammar="x"), "either"),
        (Sampling(logit_bias=((8192, 1.0),)), "0 to 8191"),
        (Sampling(logit_bias=((-1, 1.0),)), "0 to 8191"),
    ],
)
def test_what_cannot_be_done_is_a_sentence_and_the_next_is_answered(
    sampling: Sampling, why: str
) -> None:
    async def work(engine: LlamaEngine) -> list[Piece]:
        with pytest.raises(EngineError, match=why):
            await continued(engine, sampling)
        return await continued(engine)

    assert text_of(run(work))


def test_penalties_keep_the_model_from_repeating_itself() -> None:
    async def work(engine: LlamaEngine) -> list[int]:
        prompt = "print(1)\n" * 6
        samplings = (
            Sampling(n_logprobs=1),
            Sampling(frequency_penalty=2.0, n_logprobs=1),
            Sampling(presence_penalty=20.0, n_logprobs=1),
            Sampling(repetition_penalty=3.0, n_logprobs=1),
        )
        answers = [await continued(engine, each, prompt=prompt) for each in samplings]
        return [len({token.raw for token in told(answer)}) for answer in answers]

    plain, *penalized = run(work)
    assert all(n_different > plain for n_different in penalized)


def test_requests_wait_in_order_and_those_taken_back_cost_nothing() -> None:
    async def work(engine: LlamaEngine) -> tuple[int, int, str, int]:
        # With a seed, for then it is not drafted and says a token at a time.
        endless = Sampling(temperature=1.0, seed=1, logit_bias=NO_END)
        running = engine.continue_text(TextRequest(SOURCE, 500, sampling=endless))
        await anext(running)
        tasks = [asyncio.ensure_future(continued(engine, max_tokens=n + 1)) for n in range(4)]
        for _ in range(20):
            await asyncio.sleep(0)
        n_before = engine.status.n_waiting
        for task in tasks[:3]:
            task.cancel()
        await asyncio.wait(tasks[:3])
        n_after = engine.status.n_waiting
        await running.aclose()
        n_others = engine.status.n_generated_total
        text = text_of(await tasks[3])
        return n_before, n_after, text, engine.status.n_generated_total - n_others

    n_before, n_after, text, n_generated = run(work)
    assert (n_before, n_after) == (4, 1)
    assert text
    # The first one may have said another word before it noticed.
    assert 4 <= n_generated <= 5
