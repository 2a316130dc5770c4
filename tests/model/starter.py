"""The starter model as the tests of this ring use it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import tabby_lsp
from tabby_lsp.config import LocalSettings
from tabby_lsp.domain import GenerationRequest, Piece, Segments, Timings
from tabby_lsp.engines.llama.binding import Model
from tabby_lsp.engines.llama.desk import Desk, Prompt
from tabby_lsp.engines.llama.engine import LlamaEngine
from tabby_lsp.engines.llama.generation import generate
from tabby_lsp.engines.llama.growing import GrowingTokenizer
from tabby_lsp.engines.llama.healing import Vocabulary
from tabby_lsp.engines.llama.marks import context_for
from tabby_lsp.engines.llama.parking import Parking
from tabby_lsp.engines.llama.precedence import Precedence
from tabby_lsp.engines.llama.recall import Recall
from tabby_lsp.engines.llama.resident import Loaded, n_ctx_for
from tabby_lsp.models.families import fim_of
from tabby_lsp.models.gguf import read_header

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from typing import TypeVar

    from tabby_lsp.engines.llama.desk import Cost
    from tabby_lsp.models.families import Fim
    from tabby_lsp.models.fim_table import Layout

    Result = TypeVar("Result")

PATH = next((Path(tabby_lsp.__file__).parent / "models" / "starter").glob("*.gguf"))
# Real code that no model was trained on.
SOURCE = Path(__file__).with_name("test_engine.py").read_text("utf-8")


class NotingDesk(Desk):
    """One that remembers the last prompt."""

    last: Prompt

    def prompt(self, request: GenerationRequest, n_room: int, cost: Cost, *, heals: bool) -> Prompt:
        self.last = super().prompt(request, n_room, cost, heals=heals)
        return self.last


@dataclass(slots=True)
class Bench:
    """A model without its thread, to look at what it is given to read."""

    loaded: Loaded
    fim: Fim
    desk: NotingDesk

    def ask(self, asked: GenerationRequest) -> tuple[str, Prompt, Timings]:
        """The answer, the prompt, and what it cost."""
        text, timings = "", Timings()
        for piece in self.pieces(asked):
            text, timings = text + piece.text, piece.timings
        return text, self.desk.last, timings

    def pieces(self, asked: GenerationRequest) -> Iterator[Piece]:
        return generate(self.loaded, self.fim, self.desk, asked)

    def close(self) -> None:
        self.loaded.context.close()
        self.loaded.model.close()


def bench(
    path: Path = PATH,
    layout: Layout | None = None,
    *,
    n_ctx: int = 0,
    parked_mib: int = 64,
    heals: bool = True,
) -> Bench:
    """The starter, or another model; asked in another order where that is wanted."""
    header = read_header(path)
    fim = fim_of(header) if layout is None else replace(fim_of(header), layout=layout)
    model = Model(path)
    context = context_for(model, n_ctx_for(header, n_ctx), LocalSettings().n_ubatch, 1)
    tokenize = GrowingTokenizer(model.tokenize)
    loaded = Loaded(model, context, Recall(context, Parking(parked_mib << 20)), tokenize)
    vocabulary = Vocabulary(model.pieces) if heals else None
    return Bench(loaded, fim, NotingDesk(fim, tokenize, vocabulary))


def run(work: Callable[[LlamaEngine], Awaitable[Result]]) -> Result:
    """Give the work an engine with the starter loaded, and close it afterwards."""

    async def with_engine() -> Result:
        header = read_header(PATH)
        engine = LlamaEngine("starter", header, fim_of(header), LocalSettings(), Precedence())
        try:
            await engine.load()
            return await work(engine)
        finally:
            await engine.close()

    return asyncio.run(with_engine())


def request(
    prefix: str, suffix: str = "\n", max_tokens: int = 24, stop: tuple[str, ...] = ("\n",)
) -> GenerationRequest:
    segments = Segments(prefix=prefix, suffix=suffix, path="shop/cart.py", language="python")
    return GenerationRequest(segments, max_tokens, stop)


async def answer(engine: LlamaEngine, asked: GenerationRequest) -> tuple[str, Timings]:
    """The whole text and what it cost."""
    pieces = await pieces_of(engine, asked)
    return "".join(piece.text for piece in pieces), pieces[-1].timings


async def pieces_of(engine: LlamaEngine, asked: GenerationRequest) -> list[Piece]:
    """All that comes of a request."""
    async with aclosing(engine.complete(asked)) as stream:
        return [piece async for piece in stream]
