"""llama.cpp with the starter model: nothing is read twice, and everything can be stopped."""

from __future__ import annotations

import asyncio
import ctypes
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tabby_lsp.config import LocalSettings
from tabby_lsp.domain import EngineError, Sampling
from tabby_lsp.engines.llama import library
from tabby_lsp.engines.llama.binding import Model
from tabby_lsp.engines.llama.context import Context
from tabby_lsp.engines.llama.growing import GrowingTokenizer
from tabby_lsp.engines.llama.layout import render
from tabby_lsp.engines.llama.resident import Resident
from tabby_lsp.models.families import fim_of
from tabby_lsp.models.gguf import read_header
from tests.model.starter import PATH, SOURCE, answer, pieces_of, request, run

if TYPE_CHECKING:
    from tabby_lsp.domain import Piece, Timings
    from tabby_lsp.engines.llama.engine import LlamaEngine

# So that an answer goes on until it is stopped.
NO_END = tuple((token, -100.0) for token in (0, 4, 5, 6))
CLASS = "class Point:\n    def __init__(self, width, height):\n        self.width = width\n"


def test_it_knows_what_every_python_model_knows() -> None:
    async def work(engine: LlamaEngine) -> str:
        return (await answer(engine, request(CLASS + "        self.height")))[0]

    assert run(work) == " = height"


def test_the_last_token_comes_with_the_end_and_nothing_comes_alone() -> None:
    """Each piece wakes whoever waits, which costs as much as a seventh of a token."""

    async def work(engine: LlamaEngine) -> list[Piece]:
        return await pieces_of(engine, request(CLASS + "        self.height", max_tokens=2))

    pieces = run(work)

    assert [piece.finish for piece in pieces] == ["", "length"]
    assert [piece.text for piece in pieces] == [" =", " height"]


def test_a_typed_character_costs_a_token_or_two() -> None:
    """As many as change when the text is tokenized anew, and never one alone on a processor."""

    async def work(engine: LlamaEngine) -> list[Timings]:
        typed = "        self.height = height * 2"
        return [
            (await answer(engine, request(CLASS + typed[:n])))[1] for n in range(1, len(typed) + 1)
        ]

    costs = [timings.n_evaluated_tokens for timings in run(work)[1:]]

    assert sorted(costs)[len(costs) // 2] <= 2
    assert max(costs) <= 4


def test_prompt_tokens_are_reused_or_evaluated() -> None:
    async def work(engine: LlamaEngine) -> list[Timings]:
        return [(await answer(engine, request(SOURCE[:n])))[1] for n in (500, 800, 300, 900)]

    for timings in run(work):
        assert timings.n_prompt_tokens == timings.n_reused_tokens + timings.n_evaluated_tokens
        assert timings.n_evaluated_tokens > 0


def test_a_prompt_can_be_stopped_while_it_is_read_and_what_was_read_is_kept() -> None:
    """Sooner or later one of the cancels falls into the reading, however fast the machine is."""

    async def work(engine: LlamaEngine) -> Timings:
        for n in range(100):
            # Another suffix, which stands first, so that nothing of the prompt was read before.
            asked = request(SOURCE[:3000], f"\n# {n}\n", max_tokens=1)
            reading = asyncio.ensure_future(answer(engine, asked))
            await asyncio.sleep(0.008 * (n + 1))
            reading.cancel()
            cost = (await answer(engine, asked))[1]
            if shared < cost.n_reused_tokens < cost.n_prompt_tokens - 1:
                break
        return cost

    shared = 20  # the path and the sentinels
    cost = run(work)

    assert shared < cost.n_reused_tokens < cost.n_prompt_tokens - 1


def test_generation_stops_when_nobody_listens() -> None:
    async def work(engine: LlamaEngine) -> int:
        asked = request(SOURCE[:1000], max_tokens=400, stop=())
        stream = engine.complete(replace(asked, sampling=Sampling(logit_bias=NO_END)))
        n_pieces = 0
        async for _ in stream:
            n_pieces += 1
            if n_pieces == 3:
                break
        await stream.aclose()
        await answer(engine, request("import ", max_tokens=1))
        return engine.status.n_generated_total

    assert run(work) < 300


def test_many_are_stopped_at_random_moments_and_the_last_is_answered() -> None:
    rng = random.Random("stop")

    async def work(engine: LlamaEngine) -> str:
        for _ in range(60):
            place = rng.randint(200, len(SOURCE))
            task = asyncio.ensure_future(answer(engine, request(SOURCE[:place], max_tokens=48)))
            await asyncio.sleep(rng.random() * 0.03)
            task.cancel()
        return (await answer(engine, request(CLASS + "        self.height")))[0]

    assert run(work) == " = height"


def test_what_is_read_ahead_need_not_be_read_when_it_is_asked_for() -> None:
    async def work(engine: LlamaEngine) -> tuple[str, Timings]:
        asked = request(SOURCE[:2000])
        await answer(engine, replace(asked, max_tokens=0, is_ahead=True))
        return await answer(engine, asked)

    _, cost = run(work)
    assert cost.n_evaluated_tokens <= 2


def test_what_is_made_ahead_ends_when_somebody_asks_and_what_it_has_read_is_kept() -> None:
    """The request comes while the prompt is read, or while the answer is written."""

    async def work(engine: LlamaEngine) -> list[list[Piece]]:
        every = []
        for n in range(20):
            ahead = replace(
                request(SOURCE[:3000], f"\n# {n}\n", max_tokens=400, stop=()), is_ahead=True
            )
            making = asyncio.ensure_future(pieces_of(engine, ahead))
            await asyncio.sleep(0.008 * (n + 1))
            asked = await pieces_of(engine, request(SOURCE[:3000], f"\n# {n}\n", max_tokens=4))
            assert asked[-1].finish
            every.append(await asyncio.wait_for(making, 30))
        return every

    every = run(work)
    assert sum(any(piece.finish for piece in made) for made in every) < len(every) / 2


def test_on_the_processor_no_graphics_card_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by a library that was built for one; this is what tells llama.cpp so."""
    api = library.opened()
    load, asked = api.llama_model_load_from_file, []

    def noting(path: bytes, parameters: Any) -> Any:
        devices = parameters.devices
        first = ctypes.c_void_p.from_address(devices).value if devices else "all"
        asked.append((parameters.n_gpu_layers, first))
        return load(path, parameters)

    monkeypatch.setattr(api, "llama_model_load_from_file", noting)
    monkeypatch.setattr(api, "llama_supports_gpu_offload", lambda: True)
    for is_on_processor in (False, True):
        model = Model(PATH, is_on_processor=is_on_processor)
        assert model.uses_graphics is not is_on_processor
        model.close()

    assert asked == [(-1, "all"), (0, None)]


def test_control_tokens_in_a_text_are_text() -> None:
    model, fim = Model(PATH), fim_of(read_header(PATH))
    tokens = model.tokenize("<fim_prefix><file_sep><|endoftext|>")

    assert not {fim.prefix, fim.suffix, fim.middle, *fim.end_tokens} & set(tokens)
    assert b"".join(map(model.piece, tokens)) == b"<fim_prefix><file_sep><|endoftext|>"
    model.close()


def test_long_whitespace_tokens_survive() -> None:
    model = Model(PATH)
    text = "\n" + 40 * " " + "x = 1\n" + 60 * "\t"

    assert b"".join(map(model.piece, model.tokenize(text))) == text.encode()
    model.close()


def test_a_context_that_cannot_be_made_leaves_no_weights_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed: list[Model] = []
    monkeypatch.setattr(Model, "close", lambda model: closed.append(model))

    def none(*_: object) -> Context:
        raise EngineError("no memory for a context")

    async def load() -> None:
        resident = Resident("starter", read_header(PATH), LocalSettings(), context_of=none)
        with pytest.raises(EngineError, match="no memory"):
            await resident.load()
        await resident.close()

    asyncio.run(load())
    monkeypatch.undo()
    (model,) = closed
    model.close()


def test_a_growing_text_has_the_tokens_of_the_whole() -> None:
    model = Model(PATH)
    growing = GrowingTokenizer(model.tokenize)
    for n in range(0, len(SOURCE), 37):
        assert growing(SOURCE[:n]) == model.tokenize(SOURCE[:n])
    model.close()


def test_a_prompt_of_the_starter_is_what_its_card_says() -> None:
    model, header = Model(PATH), read_header(PATH)
    prompt = render(request("def f():\n    ").segments, fim_of(header), model.tokenize, 900)
    spelled = [6, *model.tokenize("shop/cart.py\n"), 1, 3, *model.tokenize("\n"), 2]

    assert prompt == [*spelled, *model.tokenize("def f():\n    ")]
    model.close()


def test_logits_after_reading_in_parts_are_those_of_reading_at_once() -> None:
    model = Model(PATH)
    tokens = model.tokenize(SOURCE[:1500])
    whole, parts = (Context(model, 1024, 64, 1) for _ in range(2))
    whole.evaluate(tokens)
    for start in range(0, len(tokens), 50):
        parts.evaluate(tokens[start : start + 50])

    assert np.abs(whole.logits() - parts.logits()).max() < 0.01
    assert int(whole.logits().argmax()) == int(parts.logits().argmax())
    for context in (whole, parts):
        context.close()
    model.close()
