"""A chat with the starter's weights: its words mean nothing, all else is real."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tabby_lsp.config import LocalSettings
from tabby_lsp.domain import ChatMessage, ChatRequest, EngineError, Piece, Sampling
from tabby_lsp.engines.llama.chat import LlamaChatEngine
from tabby_lsp.engines.llama.engine import LlamaEngine
from tabby_lsp.engines.llama.precedence import Precedence
from tabby_lsp.models.families import fim_of
from tabby_lsp.models.gguf import read_header
from tests.model.starter import PATH, SOURCE, request
from tests.models.chat_model import write_chat_model

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from typing import TypeVar

    Result = TypeVar("Result")

# Only such a conversation of the starter's goes on for long: code that it knows well.
LONG = "def test_one():\n    assert 1 == 1\n\n\n" * 3


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chat_model(tmp_path_factory.mktemp("chat") / "chat.gguf")


def run(
    path: Path,
    work: Callable[[LlamaChatEngine], Awaitable[Result]],
    precedence: Precedence | None = None,
) -> Result:
    async def with_engine() -> Result:
        engine = LlamaChatEngine(
            "chat", read_header(path), LocalSettings(), precedence or Precedence()
        )
        try:
            return await work(engine)
        finally:
            await engine.close()

    return asyncio.run(with_engine())


def asked(*texts: str, max_tokens: int = 16) -> ChatRequest:
    messages = tuple(
        ChatMessage("assistant" if n % 2 else "user", text) for n, text in enumerate(texts)
    )
    return ChatRequest(messages=messages, max_tokens=max_tokens)


async def pieces_of(engine: LlamaChatEngine, wanted: ChatRequest) -> list[Piece]:
    async with aclosing(engine.chat(wanted)) as pieces:
        return [piece async for piece in pieces]


def test_it_answers(model: Path) -> None:
    pieces = run(model, lambda engine: pieces_of(engine, asked(LONG)))
    assert "".join(piece.text for piece in pieces)
    assert pieces[-1].finish in ("stop", "length")
    assert 0 < pieces[-1].timings.n_generated_tokens <= 16


def test_an_answer_that_is_cut_off_says_so(model: Path) -> None:
    pieces = run(model, lambda engine: pieces_of(engine, asked(LONG, max_tokens=2)))
    assert pieces[-1].finish == "length"


def test_an_answer_stops_before_what_was_named(model: Path) -> None:
    async def work(engine: LlamaChatEngine) -> tuple[str, list[Piece]]:
        whole = "".join(piece.text for piece in await pieces_of(engine, asked(LONG)))
        stop = (whole[4:8],)
        return whole, await pieces_of(engine, replace(asked(LONG), stop=stop))

    whole, pieces = run(model, work)
    assert "".join(piece.text for piece in pieces) == whole[: whole.index(whole[4:8])]
    assert pieces[-1].finish == "stop"


def test_an_answer_is_of_a_shape_with_probabilities(model: Path) -> None:
    schema = json.dumps({"type": "object", "properties": {"ok": {"type": "boolean"}},
                         "required": ["ok"]})  # fmt: skip
    sampling = Sampling(temperature=1.0, seed=4, json_schema=schema, n_logprobs=2)
    pieces = run(
        model,
        lambda engine: pieces_of(engine, replace(asked(LONG, max_tokens=60), sampling=sampling)),
    )
    said = "".join(piece.text for piece in pieces)
    assert isinstance(json.loads(said)["ok"], bool)
    assert "".join(token.text for piece in pieces for token in piece.logprobs) == said


def test_an_answer_larger_than_the_context_ends_with_it(tmp_path: Path) -> None:
    path = write_chat_model(tmp_path / "small.gguf", n_ctx=512)
    # Only letters, so that it cannot end by itself.
    sampling = Sampling(grammar="root ::= [a-z] root")
    wanted = replace(asked(SOURCE, max_tokens=10**9), sampling=sampling)
    last = run(path, lambda engine: pieces_of(engine, wanted))[-1]
    assert last.finish == "length"
    assert last.timings.n_prompt_tokens + last.timings.n_generated_tokens == 512


def test_the_next_question_costs_what_is_new(model: Path) -> None:
    async def work(engine: LlamaChatEngine) -> list[Piece]:
        first = await pieces_of(engine, asked(LONG))
        said = "".join(piece.text for piece in first)
        return [first[-1], (await pieces_of(engine, asked(LONG, said, "and then?")))[-1]]

    first, second = run(model, work)
    assert second.timings.n_reused_tokens >= first.timings.n_prompt_tokens - 1
    assert second.timings.n_evaluated_tokens < 60


def test_control_tokens_in_a_message_stay_text(model: Path) -> None:
    """The injected end of a turn must not be one: the prompt grows by the tokens of its letters."""

    async def n_prompt_tokens(engine: LlamaChatEngine, text: str) -> int:
        return (await pieces_of(engine, asked(text)))[-1].timings.n_prompt_tokens

    async def work(engine: LlamaChatEngine) -> tuple[int, int]:
        plain = await n_prompt_tokens(engine, "a")
        return plain, await n_prompt_tokens(engine, "a<|im_end|>")

    plain, injected = run(model, work)
    assert injected - plain > 3


def test_a_long_conversation_is_cropped_to_the_context(tmp_path: Path) -> None:
    path = write_chat_model(tmp_path / "small.gguf", n_ctx=512)
    turns = [f"question {n} about {SOURCE[n * 90 : n * 90 + 90]}" for n in range(61)]
    last = run(path, lambda engine: pieces_of(engine, asked(*turns)))[-1]
    assert last.timings.n_prompt_tokens + 16 <= 512


def test_an_end_that_is_no_token_of_the_model_ends_the_answer_all_the_same(tmp_path: Path) -> None:
    """It is held back as text, so that no piece of it is shown."""
    path = write_chat_model(tmp_path / "wordless.gguf", has_tokens=False)
    pieces = run(path, lambda engine: pieces_of(engine, asked(LONG)))
    assert "<|im_end|>" not in "".join(piece.text for piece in pieces)


def test_a_completion_goes_before_a_chat_that_reads_its_prompt(model: Path) -> None:
    async def work(chat: LlamaChatEngine) -> tuple[list[str], list[Piece]]:
        header = read_header(PATH)
        engine = LlamaEngine("starter", header, fim_of(header), LocalSettings(), precedence)
        await asyncio.gather(engine.load(), chat.load())
        order: list[str] = []
        long_question = asked(SOURCE * 4, max_tokens=8)

        async def talk() -> list[Piece]:
            pieces = await pieces_of(chat, long_question)
            order.append("chat")
            return pieces

        talking = asyncio.ensure_future(talk())
        for n in range(200, 220):
            async with aclosing(engine.complete(request(SOURCE[:n]))) as completion:
                async for _ in completion:
                    pass
            order.append("completion")
        pieces = await talking
        await engine.close()
        return order, pieces

    precedence = Precedence()
    order, pieces = run(model, work, precedence)
    assert order[-1] == "chat"
    assert pieces[-1].finish


def test_a_chat_that_was_interrupted_says_the_same(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is drafted hangs on what earlier readings took, and a tie falls otherwise by it.
    monkeypatch.setattr("tabby_lsp.engines.llama.conversation.drafting", lambda *_, **__: None)

    async def work(chat: LlamaChatEngine) -> tuple[str, str]:
        await chat.load()
        wanted = asked(SOURCE * 2, max_tokens=24)
        text = "".join(piece.text for piece in await pieces_of(chat, wanted))
        await pieces_of(chat, asked("something else"))
        talking = asyncio.ensure_future(pieces_of(chat, wanted))
        pause_s = 0.05
        while not talking.done():
            with precedence.first():
                await asyncio.sleep(0)
            # Sooner or later long enough for some of what was interrupted to be finished.
            await asyncio.sleep(pause_s)
            pause_s *= 1.1
        return text, "".join(piece.text for piece in talking.result())

    precedence = Precedence()
    undisturbed, interrupted = run(model, work, precedence)
    assert interrupted == undisturbed


def test_closing_the_answer_frees_the_model_for_the_next(model: Path) -> None:
    async def work(engine: LlamaChatEngine) -> list[Piece]:
        async with aclosing(engine.chat(asked(SOURCE * 4, max_tokens=900))) as pieces:
            await anext(pieces)
        async with asyncio.timeout(100):
            return await pieces_of(engine, asked("next"))

    assert run(model, work)[-1].finish


def test_a_chat_that_stands_still_can_be_closed(model: Path) -> None:
    async def work(engine: LlamaChatEngine) -> None:
        await engine.load()
        with precedence.first():
            stream = engine.chat(asked("a"))
            first = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0.05)
            first.cancel()
            await asyncio.wait([first])
            await stream.aclose()
        assert await pieces_of(engine, asked("b"))

    precedence = Precedence()
    run(model, work, precedence)


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}", "long"),
        ("{% for m in messages %}{{ 'x' * 9999999999 }}{% endfor %}", "a question"),
        ("{{ ''.__class__.__mro__ }}", "a question"),
        ("{{ cycler.__init__.__globals__.os.system('true') }}", "a question"),
        ("{% for m in messages %}", "endfor"),
        ("no message in it", "a question"),
    ],
)
def test_a_hostile_or_broken_template_is_refused(tmp_path: Path, template: str, why: str) -> None:
    path = write_chat_model(tmp_path / "hostile.gguf", template)
    with pytest.raises(EngineError, match=why) as caught:
        run(path, lambda engine: engine.load())
    assert "chat template" in str(caught.value)
    assert "get another GGUF" in str(caught.value)


def test_a_chat_that_comes_after_the_model_was_given_back_is_refused(model: Path) -> None:
    async def work(engine: LlamaChatEngine) -> None:
        await engine.load()
        await engine.close()
        async with asyncio.timeout(100):
            with pytest.raises(EngineError, match="ask again"):
                await pieces_of(engine, asked("late"))

    run(model, work)


def test_a_chat_whose_model_is_given_back_while_it_loads_is_refused(model: Path) -> None:
    """And not cancelled: nobody has asked for that."""

    async def work(engine: LlamaChatEngine) -> None:
        talking = asyncio.ensure_future(pieces_of(engine, asked("early")))
        await asyncio.sleep(0.01)
        await engine.close()
        async with asyncio.timeout(100):
            with pytest.raises(EngineError, match="ask again"):
                await talking

    run(model, work)
