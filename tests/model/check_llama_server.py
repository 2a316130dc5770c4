"""llama.cpp's own server, built from source, runs the starter for us; `make bench-peers` asks it.

Not part of `make test`, since building the server takes ten minutes of processor time.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.peers.real_server import KEY, RealServer, until
from tabby_lsp.cli import main
from tabby_lsp.config import EngineSettings, read_user_file, resolve
from tabby_lsp.domain import ChatMessage, ChatRequest, EngineError, Piece, Sampling, Segments
from tabby_lsp.engines.llama.binding import Model
from tabby_lsp.engines.llama.layout import render
from tabby_lsp.engines.remote import running
from tabby_lsp.engines.remote.deadline import Deadline
from tabby_lsp.engines.remote.engine import RemoteEngine, remote_chat_engine, remote_engine
from tabby_lsp.engines.remote.served import ServedModel, served_models
from tabby_lsp.models.families import fim_of
from tabby_lsp.models.gguf import read_header
from tests.model.starter import PATH, SOURCE, answer, request, run
from tests.models.chat_model import write_chat_model

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from tabby_lsp.domain import GenerationRequest, Timings
    from tabby_lsp.engines.remote.llama_server import LlamaServerDialect
    from tabby_lsp.engines.remote.running import RunningKind

CLASS = "class Point:\n    def __init__(self, width, height):\n        self.width = width\n"
N_CTX = 1_024
LONG = request(SOURCE[:400], max_tokens=500, stop=())

# The starter's tokens are those of several families, so without a name the server's own `/infill`
# is asked.
BY_TOKENS = {"kind": "llama-server", "family": "starter"}
BY_INFILL = {"kind": "llama-server"}
BY_TEXT = {"kind": "openai", "family": "starter", "n_ctx": N_CTX}
# `/infill` reads the prefix first, and the starter was trained with the suffix first.
BY_ITS_ORDER = pytest.mark.parametrize("way", [BY_TOKENS, BY_TEXT], ids=str)
EVERY_WAY = pytest.mark.parametrize("way", [BY_TOKENS, BY_INFILL, BY_TEXT], ids=str)


@pytest.fixture(scope="module")
def server() -> Iterator[RealServer]:
    # One thread, so that an answer of 500 tokens takes long enough to be stopped in its middle.
    with RealServer(PATH, "--parallel", "1", "--ctx-size", str(N_CTX), "--threads", "1") as server:
        yield server


def remotely(
    server: RealServer,
    way: dict[str, Any],
    work: Callable[[RemoteEngine], Awaitable[Any]],
    key: str = KEY,
) -> Any:
    """Give the work an engine that asks the server in this way."""

    async def with_engine() -> Any:
        engine = remote_engine("here", EngineSettings(url=server.url, **way), key)
        try:
            return await work(engine)
        finally:
            await engine.close()

    return asyncio.run(with_engine())


async def answered(engine: Any, asked: GenerationRequest) -> tuple[str, Timings]:
    return await answer(engine, asked)


@BY_ITS_ORDER
def test_it_completes_what_every_python_model_knows(
    server: RealServer, way: dict[str, Any]
) -> None:
    async def work(engine: RemoteEngine) -> str:
        return (await answered(engine, request(CLASS + "        self.height")))[0]

    assert remotely(server, way, work) == " = height"


@BY_ITS_ORDER
def test_it_says_what_the_built_in_engine_says(server: RealServer, way: dict[str, Any]) -> None:
    """The prompt is the same, so the answers are, but for where they end."""
    places = range(400, 1_600, 60)

    async def work(engine: Any) -> list[str]:
        asked = (request(SOURCE[:place], SOURCE[place:], max_tokens=12) for place in places)
        return [(await answered(engine, each))[0] for each in asked]

    here, there = run(work), remotely(server, way, work)
    same = [b.startswith(a) for a, b in zip(here, there, strict=True)]
    assert sum(same) >= 0.8 * len(same)
    assert sum(map(bool, here)) >= 0.5 * len(here)


def test_prompts_are_token_for_token_those_of_the_built_in_engine(server: RealServer) -> None:
    """Also where a file writes control tokens and characters of several tokens."""
    hostile = "s = '<fim_middle><file_sep>\N{GRINNING FACE} größe</s>'\n"
    texts = [hostile + SOURCE[:place] for place in range(0, 3_000, 150)]
    header = read_header(PATH)
    model = Model(header.path)

    async def work(engine: RemoteEngine) -> list[list[int]]:
        await engine.load()
        dialect: LlamaServerDialect = engine._dialect  # type: ignore[assignment]
        assert dialect._fim is not None
        deadline = Deadline(60)
        return [
            await dialect._tokenizer.render(segments(each), dialect._fim, 900, deadline)
            for each in texts
        ]

    theirs = remotely(server, BY_TOKENS, work)
    ours = [render(segments(each), fim_of(header), model.tokenize, 900) for each in texts]
    model.close()
    assert theirs == ours


def segments(prefix: str) -> Segments:
    return Segments(prefix=prefix, suffix="\nx = 1\n", path="shop/cart.py", language="python")


@EVERY_WAY
def test_an_answer_comes_piece_by_piece(server: RealServer, way: dict[str, Any]) -> None:
    async def work(engine: RemoteEngine) -> int:
        n_pieces = 0
        async with aclosing(engine.complete(LONG)) as pieces:
            async for piece in pieces:
                n_pieces += bool(piece.text)
                if n_pieces == 5:
                    assert not await asyncio.to_thread(server.is_idle)
                    break
        return n_pieces

    assert remotely(server, way, work) == 5


@EVERY_WAY
def test_closing_the_connection_makes_its_slot_stop(
    server: RealServer, way: dict[str, Any]
) -> None:
    async def work(engine: RemoteEngine) -> int:
        await answered(engine, request("import ", max_tokens=1))
        until(server.is_idle, "the slot is idle")
        before = server.n_predicted()
        async with aclosing(engine.complete(LONG)) as pieces:
            async for piece in pieces:
                if piece.text:
                    break
        await asyncio.to_thread(until, server.is_idle, "the slot stops")
        return server.n_predicted() - before

    assert remotely(server, way, work) < 250


def test_a_request_that_is_cancelled_while_its_prompt_is_read_leaves_the_slot_free(
    server: RealServer,
) -> None:
    async def work(engine: RemoteEngine) -> str:
        await engine.load()
        for n in range(20):
            asked = request(SOURCE[n : n + 2_500], f"\n# {n}\n", max_tokens=400, stop=())
            asking = asyncio.ensure_future(answered(engine, asked))
            await asyncio.sleep(0.005 * n)
            asking.cancel()
        return (await answered(engine, request(CLASS + "        self.height")))[0]

    assert remotely(server, BY_TOKENS, work) == " = height"
    until(server.is_idle, "the slots stop")


@pytest.mark.parametrize(("way", "most"), [(BY_TOKENS, 2), (BY_INFILL, 8)], ids=str)
def test_a_typed_character_is_all_that_is_read(
    server: RealServer, way: dict[str, Any], most: int
) -> None:
    async def work(engine: RemoteEngine) -> list[Timings]:
        typed = "        self.height = height * 2"
        asked = (request(CLASS + typed[:n]) for n in range(1, len(typed) + 1))
        return [(await answered(engine, each))[1] for each in asked]

    costs = remotely(server, way, work)[1:]
    assert sorted(cost.n_evaluated_tokens for cost in costs)[len(costs) // 2] <= most
    for cost in costs:
        assert cost.n_prompt_tokens == cost.n_reused_tokens + cost.n_evaluated_tokens
        assert cost.n_evaluated_tokens > 0


def test_a_prompt_is_kept_below_its_context(server: RealServer) -> None:
    async def work(engine: RemoteEngine) -> Timings:
        asked = request(SOURCE * 3, SOURCE, max_tokens=32)
        return (await answered(engine, asked))[1]

    for way in (BY_TOKENS, BY_INFILL):
        assert 0 < remotely(server, way, work).n_prompt_tokens <= N_CTX - 32


@EVERY_WAY
def test_a_wrong_key_is_said_and_not_shown(server: RealServer, way: dict[str, Any]) -> None:
    async def work(engine: RemoteEngine) -> str:
        with pytest.raises(EngineError):
            await answered(engine, request("import "))
        assert engine.status.state == "away"
        return engine.status.message

    message = remotely(server, way, work, key="sk-wrong-77e1")
    assert "(401: Invalid API Key): the key is not the right one" in message
    assert "sk-wrong-77e1" not in message


def test_openais_face_without_a_family_is_refused_with_the_kind_to_set(server: RealServer) -> None:
    async def work(engine: RemoteEngine) -> str:
        with pytest.raises(EngineError):
            await engine.load()
        return engine.status.message

    assert 'to "llama-server"' in remotely(server, {"kind": "openai"}, work)


def test_a_family_that_the_model_is_not_of_is_refused(server: RealServer) -> None:
    async def work(engine: RemoteEngine) -> str:
        with pytest.raises(EngineError):
            await engine.load()
        return engine.status.message

    way = {"kind": "llama-server", "family": "Qwen2.5-Coder"}
    assert "has no <|fim_prefix|>" in remotely(server, way, work)


def test_it_is_found_on_this_machine_where_it_asks_for_no_key(server: RealServer) -> None:
    with RealServer(PATH, "--ctx-size", str(N_CTX), has_key=False) as free:
        places: list[tuple[RunningKind, str]]
        places = [("llama-server", each.url) for each in (server, free)]
        found = asyncio.run(served_models(places))
    assert found == (ServedModel("llama-server", free.url, PATH.name, can_fill_in=True),)


def test_models_use_writes_it_into_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.touch()
    with RealServer(PATH, "--ctx-size", str(N_CTX), has_key=False) as free:
        monkeypatch.setattr(running, "PLACES", [("llama-server", free.url)])
        assert main(["models", "use", "llama-server", "--config", str(config)]) == 0
        assert main(["complete", f"{Path(__file__)}:1:5", "--config", str(config)]) == 0
    settings = resolve([read_user_file(config)]).settings
    assert settings.engine == "llama-server"
    assert settings.engines["llama-server"].url == free.url


def test_a_server_that_is_stopped_is_away_and_back_when_it_starts_again() -> None:
    asked = request(CLASS + "        self.height")

    async def work(engine: RemoteEngine) -> list[str]:
        said = [(await answered(engine, asked))[0], engine.status.state]
        restarted.stop()
        with pytest.raises(EngineError) as refused:
            await answered(engine, asked)
        said += [engine.status.state]
        assert "start the server there" in str(refused.value)
        await asyncio.to_thread(restarted.start)
        while engine.status.state != "ready":
            try:
                said += [(await answered(engine, asked))[0]]
            except EngineError:
                await asyncio.sleep(0.1)
        return [*said, engine.status.state]

    with RealServer(PATH, "--ctx-size", str(N_CTX)) as restarted:
        said = remotely(restarted, BY_TOKENS, work)
    assert said == [" = height", "ready", "away", " = height", "ready"]


# In a chat: the starter with a chat template, whose words mean nothing.

EVERY_CHAT = pytest.mark.parametrize(
    "way", [{"kind": "llama-server"}, {"kind": "openai", "n_ctx": N_CTX}], ids=str
)
QUESTION = ChatMessage("user", "def area(self, width, height):\n    return width")


@pytest.fixture(scope="module")
def chat_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    model = write_chat_model(tmp_path_factory.mktemp("chat") / "chat.gguf")
    flags = ("--parallel", "1", "--ctx-size", str(N_CTX), "--threads", "1")
    with RealServer(model, *flags) as server:
        yield server


def said(server: RealServer, way: dict[str, Any], *requests: ChatRequest) -> list[list[Piece]]:
    """All the pieces of each answer, one after the other."""

    async def with_engine() -> list[list[Piece]]:
        settings = EngineSettings(url=server.url, **way)
        engine = remote_chat_engine("here", settings, KEY)
        answers = []
        for asked in requests:
            async with aclosing(engine.chat(asked)) as pieces:
                answers.append([piece async for piece in pieces])
        await engine.close()
        return answers

    return asyncio.run(with_engine())


@EVERY_CHAT
def test_a_chat_streams_and_what_was_read_is_not_read_again(
    chat_server: RealServer, way: dict[str, Any]
) -> None:
    first = ChatRequest(messages=(QUESTION,), max_tokens=30)
    said_then = "".join(piece.text for piece in said(chat_server, way, first)[0])
    talk = (QUESTION, ChatMessage("assistant", said_then), ChatMessage("user", "Why?"))
    (pieces,) = said(chat_server, way, ChatRequest(messages=talk, max_tokens=30))
    timings = pieces[-1].timings
    assert said_then.strip()
    assert len(pieces) > 10
    assert pieces[-1].finish == "length"
    assert timings.n_generated_tokens == 30
    assert timings.n_reused_tokens > 10
    assert timings.n_prompt_tokens == timings.n_reused_tokens + timings.n_evaluated_tokens


@EVERY_CHAT
def test_a_conversation_that_is_too_long_is_cropped_before_it_is_refused(
    chat_server: RealServer, way: dict[str, Any]
) -> None:
    (pieces,) = said(
        chat_server, way, ChatRequest(messages=(ChatMessage("user", SOURCE),), max_tokens=20)
    )
    assert N_CTX // 2 < pieces[-1].timings.n_prompt_tokens < N_CTX - 20


def test_an_answer_keeps_to_a_grammar(chat_server: RealServer) -> None:
    way = {"kind": "llama-server"}
    sampling = Sampling(temperature=1.0, seed=1, grammar='root ::= "yes" | "no"')
    (pieces,) = said(
        chat_server, way, ChatRequest(messages=(QUESTION,), max_tokens=20, sampling=sampling)
    )
    assert "".join(piece.text for piece in pieces) in ("yes", "no")


@EVERY_CHAT
def test_leaving_a_chat_makes_the_server_idle(chat_server: RealServer, way: dict[str, Any]) -> None:
    async def with_engine() -> None:
        engine = remote_chat_engine("here", EngineSettings(url=chat_server.url, **way), KEY)
        asked = ChatRequest(messages=(QUESTION,), max_tokens=900)
        async with aclosing(engine.chat(asked)) as pieces:
            async for piece in pieces:
                if piece.text:
                    break
        await asyncio.to_thread(until, chat_server.is_idle, "the server to stop")
        await engine.close()

    before = chat_server.n_predicted()
    asyncio.run(with_engine())
    assert chat_server.n_predicted() - before < 900
