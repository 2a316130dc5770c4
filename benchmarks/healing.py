"""What taking back the last tokens gives where the cursor stands inside a name.

Run: `python -m benchmarks.healing [--model MODEL]... [FOLDER...]`, with code that the models were
not trained on; without a folder it takes graphql-core, which the tests bring along, and without a
model the starter. The rest of a line is taken out from the middle of a name on, and each model is
asked for it twice: with its prompt as the text is tokenized, and with up to three tokens taken
back, as the product does it. No filters, no other files.
"""

from __future__ import annotations

import argparse
import random
import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.confidence import PREFIX_CHARS, SUFFIX_CHARS, Place, graphql_core
from tabby_lsp.config import LocalSettings
from tabby_lsp.config.directories import data_dir
from tabby_lsp.domain import GenerationRequest, Segments
from tabby_lsp.engines.llama.binding import Model
from tabby_lsp.engines.llama.context import Context
from tabby_lsp.engines.llama.desk import Desk
from tabby_lsp.engines.llama.generation import generate
from tabby_lsp.engines.llama.growing import GrowingTokenizer
from tabby_lsp.engines.llama.healing import Vocabulary
from tabby_lsp.engines.llama.parking import Parking
from tabby_lsp.engines.llama.recall import Recall
from tabby_lsp.engines.llama.resident import Loaded, n_ctx_for
from tabby_lsp.models.families import fim_of
from tabby_lsp.models.found import STARTER, locate
from tabby_lsp.models.gguf import read_header

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NAME = re.compile(r"[A-Za-z_]\w{3,}")
_REST_OF_NAME = re.compile(r"\w*")
_MAX_TOKENS = 24


@dataclass(frozen=True, slots=True)
class Score:
    """Of one answer."""

    is_name_right: bool
    is_line_right: bool
    similarity: float


def main() -> None:
    """Print two rows for each model."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.healing")
    parser.add_argument("--model", action="append", help="a name or a GGUF file")
    parser.add_argument("--places", type=int, default=200)
    parser.add_argument("--seed", default="healing")
    parser.add_argument("folder", type=Path, nargs="*")
    arguments = parser.parse_args()
    drawn = places(arguments.folder or [graphql_core()], arguments.seed)
    asked = [*islice(drawn, arguments.places)]
    print(f"{len(asked)} cursors inside names")
    print(f"{'':44} name right  line right  similarity")
    for model in arguments.model or [STARTER]:
        path = locate(model, data_dir())
        own, healed = (scores(path, asked, heals=heals) for heals in (False, True))
        print(f"{path.stem[:32]:32} as tokenized {_row(own)}")
        print(f"{'':32} taken back   {_row(healed)}")
        won = sum(b.is_name_right > a.is_name_right for a, b in zip(own, healed, strict=True))
        lost = sum(b.is_name_right < a.is_name_right for a, b in zip(own, healed, strict=True))
        print(f"{'':32} names won by it {won}, lost {lost}")


def scores(path: Path, asked: Sequence[Place], *, heals: bool) -> list[Score]:
    """What a model makes of all places."""
    header = read_header(path)
    fim, settings = fim_of(header), LocalSettings()
    model = Model(path)
    context = Context(model, n_ctx_for(header, settings.n_ctx), settings.n_ubatch, 1)
    tokenize = GrowingTokenizer(model.tokenize)
    loaded = Loaded(model, context, Recall(context, Parking(0)), tokenize)
    vocabulary = Vocabulary(model.pieces)
    desk = Desk(fim, tokenize, vocabulary if heals and vocabulary.has_all_bytes else None)
    found = []
    for place in asked:
        segments = Segments(
            prefix=place.prefix, suffix=place.suffix, path=place.path, language="python"
        )
        pieces = generate(loaded, fim, desk, GenerationRequest(segments, _MAX_TOKENS, ("\n",)))
        found.append(_score("".join(piece.text for piece in pieces), place.rest))
    context.close()
    model.close()
    return found


def places(folders: Sequence[Path], seed: str) -> Iterator[Place]:
    """Places in random files, without end."""
    rng = random.Random(seed)
    files = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    while True:
        path = rng.choice(files)
        text = path.read_text("utf-8", "replace")
        names = [found.span() for found in _NAME.finditer(text) if _is_code(text, found.start())]
        if not names:
            continue
        start, end = rng.choice(names)
        at = rng.randrange(start + 1, end)
        rest, line_end, below = text[at:].partition("\n")
        yield Place(path.name, text[:at][-PREFIX_CHARS:], rest, (line_end + below)[:SUFFIX_CHARS])


def _is_code(text: str, at: int) -> bool:
    line = text[text.rfind("\n", 0, at) + 1 : at].lstrip()
    return "#" not in line and not line.startswith(('"', "'"))


def _score(said: str, rest: str) -> Score:
    line = said.partition("\n")[0].rstrip()
    return Score(
        is_name_right=_name(line) == _name(rest),
        is_line_right=line == rest.rstrip(),
        similarity=SequenceMatcher(None, line, rest, autojunk=False).ratio(),
    )


def _name(line: str) -> str:
    found = _REST_OF_NAME.match(line)
    assert found is not None
    return found[0]


def _row(own: Sequence[Score]) -> str:
    name, line = sum(s.is_name_right for s in own), sum(s.is_line_right for s in own)
    similarity = sum(s.similarity for s in own)
    n = len(own)
    return f"{name / n:9.1%} {line / n:11.1%} {similarity / n:11.2f}"


if __name__ == "__main__":
    main()
