"""Samples: prompts as the product makes them, each with the text that belongs at the cursor.

Snippets are chosen and prompts are laid out by the product's own code, so that the model is taught
what it will be asked. Two things are added, for most of what people ask is the rest of a word that
they have begun, and a file that is read once has one such place only: lines of the prefix are cut
at a keystroke and tokenized in two parts, as a prompt that ends there would be; and nothing teaches
the model to write a word's beginning as a piece of its own.

Invariant: a sample follows from the corpus, the seed and its number alone.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from tabby_lsp.completion.snippets import SourceText, best_snippets
from tabby_lsp.domain import Segments, Snippet
from tabby_lsp.engines.llama.layout import render
from tabby_lsp.index.chunks import chunks
from tabby_lsp.models.families import Fim
from training.pieces import END, FILE_SEP, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, N_SPECIAL
from training.positions import hole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from tokenizers import Tokenizer

    from training.corpus import File
    from training.positions import Hole

# What a token is there for; the trainer weighs them.
NOTHING, CONTEXT, PREFIX, CONTINUED, MIDDLE = range(5)

FIM = Fim(
    family="starter",
    layout="spm_v2",
    prefix=FIM_PREFIX,
    suffix=FIM_SUFFIX,
    middle=FIM_MIDDLE,
    snippet=(FILE_SEP, "{path}\n{text}"),
    path_before=(FILE_SEP, "{path}\n"),
    end_tokens=frozenset({END}),
)

# The room for a prompt in the product, whose context has 1,024 tokens and whose lines 48.
MAX_PROMPT = 976
_MAX_MIDDLE = 46
_MIN_PROMPT = 320
_CHARS_PER_TOKEN = 4
_PREFIX_CHARS, _SUFFIX_CHARS = 6_000, 2_000
_MAX_SNIPPETS, _SNIPPET_CHARS = 4, 3_000
_LINES_BEFORE, _LINES_AFTER = 10, 8

_MAX_SIBLINGS, _MAX_SIBLING_CHARS = 12, 40_000
_HOLES_PER_FILE = 3
SHARD_SAMPLES = 1_500
_SEEDS_PER_SHARD = 100_000
_IS_TEST = re.compile(r"(?:^|/)tests?/|(?:^|/)(?:test_|conftest)[^/]*$|_test\.py$")


@dataclass(frozen=True, slots=True)
class Sample:
    """Token ids and, for each, what it is there for."""

    tokens: list[int]
    roles: list[int]


class Sampler:
    """Draws samples from a corpus."""

    def __init__(self, files: Sequence[File], tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._packages: dict[str, list[File]] = defaultdict(list)
        self._folders: dict[tuple[str, str], list[File]] = defaultdict(list)
        for file in files:
            self._packages[file.package].append(file)
            self._folders[file.package, posixpath.dirname(file.path)].append(file)
        self._names = sorted(self._packages)
        # Every package is heard, and a large one not as much more as it is larger.
        sizes = (sum(len(file.text) for file in self._packages[name]) for name in self._names)
        self._shares = list(accumulate(size**0.5 for size in sizes))
        self._file_shares = {
            name: list(accumulate(_share(file) for file in self._packages[name]))
            for name in self._names
        }

    def draw(self, seed: int) -> Iterator[Sample]:
        """Some samples, all of one file."""
        random = Random(seed)
        name = random.choices(self._names, cum_weights=self._shares)[0]
        file = random.choices(self._packages[name], cum_weights=self._file_shares[name])[0]
        starts = [0, *(m.end() for m in re.finditer(r"\n(?=.)", file.text, re.DOTALL))]
        others = self._siblings(file) if random.random() < 0.7 else []
        for _ in range(_HOLES_PER_FILE):
            place = hole(file.text, starts, random)
            if place is not None:
                yield self._sample(file, place, others, random)

    def _siblings(self, file: File) -> list[SourceText]:
        """Files of its folder, else of the package, cut as the product cuts them."""
        near = self._folders[file.package, posixpath.dirname(file.path)]
        others = near if len(near) > 2 else self._packages[file.package]
        others = [o for o in others if o is not file and len(o.text) <= _MAX_SIBLING_CHARS]
        at = sum(other.path < file.path for other in others)
        start = max(0, min(at - _MAX_SIBLINGS // 2, len(others) - _MAX_SIBLINGS))
        return [SourceText(o.path, _chunks(o.text)) for o in others[start : start + _MAX_SIBLINGS]]

    def _sample(self, file: File, hole: Hole, others: list[SourceText], random: Random) -> Sample:
        text = file.text
        prefix = text[max(0, hole.start - _PREFIX_CHARS) : hole.start]
        suffix = text[hole.end : hole.end + _SUFFIX_CHARS]
        if random.random() < 0.08:
            suffix = ""  # the end of a file that grows
        elif random.random() < 0.12:
            suffix = "\n" + _after_block(text, hole)[:_SUFFIX_CHARS]  # a function that grows
        segments = Segments(
            prefix="",
            suffix=suffix,
            path=file.path if random.random() < 0.9 else "",
            snippets=_snippets(prefix, suffix, others) if others else (),
        )
        longest = MAX_PROMPT if random.random() < 0.5 else random.randint(_MIN_PROMPT, MAX_PROMPT)
        header = render(segments, FIM, self._tokens, longest)
        before, roles = self._prefix(prefix, longest - len(header), random)
        middle = [*self._tokens(text[hole.start : hole.end]), END][:_MAX_MIDDLE]
        return Sample(
            [*header, *before, *middle],
            [
                *(NOTHING if t < N_SPECIAL else CONTEXT for t in header),
                *roles,
                *[MIDDLE] * len(middle),
            ],
        )

    def _prefix(self, prefix: str, n_room: int, random: Random) -> tuple[list[int], list[int]]:
        """The end of the prefix, from a line's beginning, with some lines cut as if typed."""
        parts = [
            (self._tokens(text), is_continued)
            for text, is_continued in _stretches(prefix[-_CHARS_PER_TOKEN * n_room :], random)
        ]
        while len(parts) > 1 and sum(len(ids) for ids, _ in parts) > n_room:
            del parts[0]
        tokens: list[int] = []
        roles: list[int] = []
        for index, (ids, is_continued) in enumerate(parts):
            marks = [PREFIX] * len(ids)
            if is_continued:
                marks[:2] = [CONTINUED] * len(marks[:2])
            if ids and (index + 1 == len(parts) or parts[index + 1][1]):
                marks[-1] = NOTHING  # a beginning, cut off by a keystroke
            tokens += ids
            roles += marks
        return tokens[-n_room:], roles[-n_room:]

    def _tokens(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids


def _stretches(prefix: str, random: Random) -> list[tuple[str, bool]]:
    """The text again, in parts to be tokenized apart, and whether each goes on within a line.

    A part that is not continued begins a line, where tokens part anyway.
    """
    parts: list[tuple[str, bool]] = []
    lines = prefix.split("\n")
    for index, line in enumerate(lines):
        end = "\n" if index < len(lines) - 1 else ""
        n_blanks = len(line) - len(line.lstrip())
        if end and line.strip() and random.random() < 0.3:
            cut = random.randint(n_blanks, len(line))
            parts += [(line[:cut], False), (line[cut:] + end, True)]
        else:
            parts.append((line + end, False))
    # Blanks at a line's end and the line end belong to one token with the next line's indentation.
    joined: list[tuple[str, bool]] = []
    for text, is_continued in parts:
        if joined and not is_continued:
            joined[-1] = (joined[-1][0] + text, joined[-1][1])
        else:
            joined.append((text, is_continued))
    return joined


def _share(file: File) -> float:
    share = min(len(file.text), 30_000) ** 0.8
    return share * 0.35 if _IS_TEST.search(file.path) else share


def _after_block(text: str, hole: Hole) -> str:
    """The text from where the block of the hole's line ends."""
    line_start = text.rfind("\n", 0, hole.start) + 1
    line = text[line_start : hole.end]
    indent = len(line) - len(line.lstrip())
    if not indent:
        return text[hole.end :].lstrip("\n")
    outer = re.compile(rf"^[ \t]{{0,{indent - 1}}}[^\s)\]}}]", re.MULTILINE)
    found = outer.search(text, hole.end)
    return "\n" + text[found.start() :] if found else ""


def _snippets(prefix: str, suffix: str, others: list[SourceText]) -> tuple[Snippet, ...]:
    before = prefix.split("\n")[-_LINES_BEFORE - 1 : -1]
    after = suffix.split("\n", _LINES_AFTER + 1)[1 : _LINES_AFTER + 1]
    return best_snippets("\n".join([*before, *after]), others, _MAX_SNIPPETS, _SNIPPET_CHARS)


@lru_cache(maxsize=2048)
def _chunks(text: str) -> tuple[str, ...]:
    return tuple(chunk.text for chunk in chunks(text, "python"))


def write_shards(sampler: Sampler, folder: Path, numbers: Iterable[int], seed: int) -> None:
    """`train-NNNN.npz` for each number, `SHARD_SAMPLES` samples each."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        write(take(sampler, SHARD_SAMPLES, seed + number * _SEEDS_PER_SHARD), shard(folder, number))


def take(sampler: Sampler, n_samples: int, seed: int) -> list[Sample]:
    """So many samples; others for a seed that is `_SEEDS_PER_SHARD` away."""
    drawn: list[Sample] = []
    while len(drawn) < n_samples:
        drawn += sampler.draw(seed)
        seed += 1
    return drawn[:n_samples]


def shard(folder: Path, number: int) -> Path:
    """Where it is, or will be."""
    return folder / f"train-{number:04}.npz"


def held_out(folder: Path) -> Path:
    """Where the samples are that nothing is learned from."""
    return folder / "held-out.npz"


def write(samples: Sequence[Sample], path: Path) -> None:
    """All tokens, all roles, and where each sample begins."""
    starts = np.cumsum([0, *(len(sample.tokens) for sample in samples)])
    part = path.with_name(path.name + ".part.npz")
    np.savez_compressed(
        part,
        tokens=np.concatenate([np.array(s.tokens, np.uint16) for s in samples]),
        roles=np.concatenate([np.array(s.roles, np.uint8) for s in samples]),
        starts=starts.astype(np.int64),
    )
    part.replace(path)


def read(path: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Tokens and roles of each sample of a shard."""
    with np.load(path) as shard:
        tokens, roles, starts = shard["tokens"], shard["roles"], shard["starts"]
    for start, end in pairwise(starts):
        yield tokens[start:end], roles[start:end]
