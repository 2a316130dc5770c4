"""Texts and tokens for clients that know their way with a model, and what one context keeps."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabby_lsp.config import LocalSettings
from tabby_lsp.domain import ChatMessage, ChatRequest, EngineError, Piece, TextRequest
from tabby_lsp.engines.llama.binding import Model
from tabby_lsp.engines.llama.chat import LlamaChatEngine
from tabby_lsp.engines.llama.precedence import Precedence
from tabby_lsp.models.gguf import read_header
from tests.model.starter import PATH, SOURCE, answer, request, run
from tests.models.chat_model import write_chat_model

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator
    from pathlib import Path

    from tabby_lsp.domain import Timings
    from tabby_lsp.engines.llama.engine import LlamaEngine


async def heard(stream: AsyncGenerator[Piece, None]) -> tuple[str, Timings]:
    async with aclosing(stream) as pieces:
        all_of_them = [piece async for piece in pieces]
    return "".join(piece.text for piece in all_of_them), all_of_them[-1].timings


def text(prompt: str, max_tokens: int = 8) -> TextRequest:
    return TextRequest(prompt, max_tokens)


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    model = Model(PATH)
    yield model
    model.close()


def test_a_text_is_continued() -> None:
    async def work(engine: LlamaEngine) -> str:
        prompt = "import os\n\nhome = os.path.join(a, b)\nwork = os.path"
        return (await heard(engine.continue_text(text(prompt))))[0]

    assert run(work).startswith(".")


def test_what_was_continued_is_not_read_again() -> None:
    async def work(engine: LlamaEngine) -> Timings:
        said, _ = await heard(engine.continue_text(text(SOURCE[:1500])))
        return (await heard(engine.continue_text(text(SOURCE[:1500] + said + "x"))))[1]

    assert run(work).n_evaluated_tokens <= 4


def test_completions_and_texts_share_a_context_and_are_right() -> None:
    """What one kind has read is no use to the other, and no harm."""

    async def ask(engine: LlamaEngine, n: int) -> str:
        if n % 2:
            return (await answer(engine, request(SOURCE[: 900 + n])))[0]
        return (await heard(engine.continue_text(text(SOURCE[: 900 + n]))))[0]

    async def work(engine: LlamaEngine) -> tuple[list[str], list[str]]:
        mixed = [await ask(engine, n) for n in range(8)]
        alone = []
        for n in range(8):
            await answer(engine, request("\x00", "\x00", max_tokens=1))
            alone.append(await ask(engine, n))
        return mixed, alone

    mixed, alone = run(work)
    assert mixed == alone


def test_a_long_text_loses_its_beginning_in_steps() -> None:
    """Typing behind it moves what is left out only now and then."""

    async def work(engine: LlamaEngine) -> list[int]:
        costs = []
        for n in range(40):
            prompt = SOURCE * 3 + "x = 1\n" * n
            costs.append((await heard(engine.continue_text(text(prompt, 1))))[1].n_evaluated_tokens)
        return costs

    costs = run(work)[1:]
    assert sorted(costs)[len(costs) // 2] < 30
    assert max(costs) <= 1024


def test_a_chat_model_continues_texts_too(tmp_path: Path) -> None:
    path = write_chat_model(tmp_path / "chat.gguf")

    async def work() -> tuple[list[str], Timings]:
        engine = LlamaChatEngine("chat", read_header(path), LocalSettings(), Precedence())
        question = ChatRequest(messages=(ChatMessage("user", SOURCE[:600]),), max_tokens=4)
        try:
            said = [(await heard(engine.continue_text(text(SOURCE[:600]))))[0]]
            chatted, _ = await heard(engine.chat(question))
            said.append((await heard(engine.continue_text(text(SOURCE[:600]))))[0])
            again, cost = await heard(engine.chat(question))
            assert chatted == again
            tokens = await engine.encode("<|im_end|>", controls=True, bos=False)
            assert len(tokens) == 1
            return said, cost
        finally:
            await engine.close()

    said, cost = asyncio.run(work())
    assert said[0] == said[1]
    assert cost.n_prompt_tokens == cost.n_reused_tokens + cost.n_evaluated_tokens


def test_control_tokens_are_read_and_written_where_that_is_asked(model: Model) -> None:
    async def work(engine: LlamaEngine) -> None:
        named = await engine.encode("<fim_prefix>x", controls=True, bos=False)
        plain = await engine.encode("<fim_prefix>x", controls=False, bos=False)
        assert named[0] == 1
        assert len(plain) > len(named)
        assert await engine.decode(named, controls=True) == "<fim_prefix>x"
        assert await engine.decode(named, controls=False) == "x"
        assert await engine.decode(plain, controls=False) == "<fim_prefix>x"
        assert await engine.encode("x", controls=False, bos=True) == [model.bos, *named[1:]]
        assert await engine.encode("", controls=False, bos=False) == []
        assert await engine.decode([], controls=True) == ""

    run(work)


def test_there_and_back_is_the_same() -> None:
    async def work(engine: LlamaEngine) -> None:
        for whole in (SOURCE, "\n" + 40 * " " + "x = 1\n" + 60 * "\t", " é\U0001f600", " a"):
            tokens = await engine.encode(whole, controls=False, bos=False)
            assert await engine.decode(tokens, controls=False) == whole

    run(work)


@given(st.text(max_size=40))
@settings(deadline=None)
def test_every_text_comes_back(model: Model, whole: str) -> None:
    tokens = model.tokenize(whole)
    assert b"".join(map(model.piece, tokens)) == whole.encode("utf-8", "replace")


@pytest.mark.parametrize("token", [-1, 8192, 2**31])
def test_a_token_that_there_is_not_is_a_sentence(token: int) -> None:
    async def work(engine: LlamaEngine) -> None:
        with pytest.raises(EngineError, match="0 to 8191"):
            await engine.decode([5, token], controls=True)
        assert await engine.encode("x", controls=False, bos=False)

    run(work)


def test_a_completion_interrupts_a_text_in_its_prompt_and_its_answer_and_both_say_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And the text goes on afterwards: nobody who types waits for its end."""
    # What is drafted hangs on what earlier readings took, and a tie falls otherwise by it.
    monkeypatch.setattr("tabby_lsp.engines.llama.generation.drafting", lambda *_, **__: None)

    async def work(engine: LlamaEngine) -> None:
        places = range(200, 2_200, 100)
        typed = [(await answer(engine, request(SOURCE[:place])))[0] for place in places]
        # What it is sure of: batches of other sizes round otherwise.
        wanted = TextRequest("def test_one():\n    assert 1 == 1\n\n\n" * 40, 800)
        undisturbed, _ = await heard(engine.continue_text(wanted))
        await heard(engine.continue_text(text("x")))  # so that its prompt is read again
        writing = asyncio.ensure_future(heard(engine.continue_text(wanted)))
        n_before_the_end, pause_s = 0, 0.01
        while not writing.done():
            for place, expected in zip(places, typed, strict=True):
                said, _ = await answer(engine, request(SOURCE[:place]))
                n_before_the_end += not writing.done()
                assert said == expected
                # Sooner or later long enough for the text to go on.
                await asyncio.sleep(pause_s)
                pause_s *= 1.05
        assert (await writing)[0] == undisturbed
        assert n_before_the_end > 10

    run(work)


def test_a_text_that_is_left_while_it_stands_aside_leaves_the_model_to_others() -> None:
    async def work(engine: LlamaEngine) -> None:
        rng = random.Random("aside")
        expected, _ = await answer(engine, request(SOURCE[:900]))
        for n in range(20):
            wanted = TextRequest(f"# {n}\n{SOURCE[:1_500]}", 400)
            writing = asyncio.ensure_future(heard(engine.continue_text(wanted)))
            typing = asyncio.ensure_future(answer(engine, request(SOURCE[:900])))
            await asyncio.sleep(rng.random() * 0.1)
            writing.cancel()
            async with asyncio.timeout(100):
                assert (await typing)[0] == expected
                await asyncio.wait([writing])
        assert engine.status.n_evaluated_total > 0

    run(work)
