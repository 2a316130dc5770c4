"""What `completion.confidence` keeps of right answers, and what it hides of wrong ones.

Run: `python -m benchmarks.confidence [FOLDER...]`, with code that the model was not trained on;
without a folder it takes graphql-core, which the tests bring along. Each answer is made as an
editor would get it, at a random place in a line whose rest was taken out; right is one that gives
it back.
"""

from __future__ import annotations

import asyncio
import random
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tabby_lsp.choice import engine_for
from tabby_lsp.completion import pipeline
from tabby_lsp.completion.cache import CompletionCache
from tabby_lsp.completion.cursor import Cursor
from tabby_lsp.config import Settings
from tabby_lsp.engines.llama.precedence import Precedence

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tabby_lsp.completion.confidence import Confidence
    from tabby_lsp.domain import Engine

N_PLACES = 200
PERCENTS = (1, 2, 3, 5, 8, 10, 15, 20, 30)

_MIN_LINE_CHARS = 8
_MIN_FILE_LINES = 40
PREFIX_CHARS, SUFFIX_CHARS = 3_000, 1_000


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, and how sure the model was of it."""

    is_right: bool
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a line of a file."""

    path: str
    prefix: str
    rest: str  # of the line, which was taken out
    suffix: str


def main() -> None:
    """Print a row for each threshold, that of the settings among them."""
    folders = [Path(folder) for folder in sys.argv[1:]] or [graphql_core()]
    answered = asyncio.run(_answers(folders))
    n_right = sum(answer.is_right for answer in answered)
    print(f"{N_PLACES} places, {len(answered)} answers, {n_right} of them right")
    print("at least, in %    right answers kept    wrong ones hidden")
    for percent in sorted({*PERCENTS, Settings().completion.confidence}):
        refused = [answer.confidence.is_less_than(percent) for answer in answered]
        n_kept = sum(a.is_right and not no for a, no in zip(answered, refused, strict=True))
        n_hidden = sum(no and not a.is_right for a, no in zip(answered, refused, strict=True))
        kept, hidden = n_kept / max(1, n_right), n_hidden / max(1, len(answered) - n_right)
        print(f"{percent:13} {kept:20.0%} {hidden:20.0%}")


async def _answers(folders: Sequence[Path]) -> list[Answered]:
    engine = engine_for(Settings(), Precedence())
    await engine.load()
    try:
        answers = [await _answer(engine, place) for place in _places(folders)]
    finally:
        await engine.close()
    return [answer for answer in answers if answer is not None]


async def _answer(engine: Engine, place: Place) -> Answered | None:
    question = pipeline.Question(
        uri=place.path,
        cursor=Cursor(prefix=place.prefix, suffix=place.suffix, language="python"),
        path=place.path,
        repository="",
        automatic=True,
    )
    completion = Settings().completion
    limits = pipeline.Limits(
        max_block_tokens=completion.max_tokens,
        max_line_tokens=completion.max_line_tokens,
        offers_blocks=True,
    )
    account, cache = pipeline.Account(), CompletionCache()

    async def no_files() -> pipeline.Gathered:
        return pipeline.Gathered()

    answer = pipeline.at_hand(question, cache) or await pipeline.ask_model(
        question, limits, cache, no_files, engine, account
    )
    if answer.completion is None:
        return None
    said = answer.completion.text.partition("\n")[0]
    return Answered(said.rstrip() == place.rest.rstrip(), account.confidence)


def _places(folders: Sequence[Path]) -> Iterator[Place]:
    rng = random.Random("confidence")
    files = [sorted(folder.rglob("*.py")) for folder in folders]
    for number in range(N_PLACES):
        lines: list[str] = []
        while len(lines) < _MIN_FILE_LINES:
            path = rng.choice(files[number % len(files)])
            lines = path.read_text("utf-8", "replace").splitlines(keepends=True)
        line = ""
        while len(line.strip()) < _MIN_LINE_CHARS or line.strip()[0] in "#\"'":
            at = rng.randrange(len(lines))
            line = lines[at].rstrip("\r\n")
        column = rng.randint(len(line) - len(line.lstrip()) + 1, len(line) - 1)
        prefix = "".join(lines[:at]) + line[:column]
        suffix = lines[at][len(line) :] + "".join(lines[at + 1 :])
        yield Place(path.name, prefix[-PREFIX_CHARS:], line[column:], suffix[:SUFFIX_CHARS])


def graphql_core() -> Path:
    """The installed package, which the starter has not seen."""
    spec = find_spec("graphql")
    assert spec is not None and spec.origin is not None, "make test brings it along"
    return Path(spec.origin).parent


if __name__ == "__main__":
    main()
