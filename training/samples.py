"""Samples: prompts as the product makes them, each with the text that belongs at the cursor.

Snippets are chosen, prompts are laid out and the last tokens are taken back by the product's own
code, so that the model is taught what it will be asked. Places where a name is wanted that only
another file has are looked for, since chance seldom finds one.

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

from tabby_lsp.completion.cursor import Cursor
from tabby_lsp.completion.discretion import further_without_secrets
from tabby_lsp.completion.imports import head_of, imports_of
from tabby_lsp.completion.snippets import SourceText, best_snippets, whole_texts
from tabby_lsp.domain import Segments, Snippet
from tabby_lsp.engines.llama.anchor import drop_anchor, texts_elsewhere
from tabby_lsp.engines.llama.healing import Vocabulary, n_taken_back
from tabby_lsp.index.chunks import chunks
from tabby_lsp.models.families import Fim
from tabby_lsp.request import FILES_CHARS, further_of
from training.pieces import END, FILE_SEP, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, N_SPECIAL
from training.positions import hole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from tokenizers import Tokenizer

    from tabby_lsp.engines.llama.anchor import Anchor
    from training.corpus import File
    from training.positions import Hole

# What a token is there for; the trainer weighs them.
NOTHING, CONTEXT, PREFIX, MIDDLE = range(4)

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

# The room for a prompt in the product, whose context has 1,024 tokens and whose blocks 96.
MAX_PROMPT = 928
_MAX_MIDDLE = 46
_MIN_PROMPT = 320
_PREFIX_CHARS, _SUFFIX_CHARS = 6_000, 2_000
_MAX_SNIPPETS, _SNIPPET_CHARS = 4, 3_000
_LINES_BEFORE, _LINES_AFTER = 10, 8

_MAX_SIBLINGS, _MAX_SIBLING_CHARS = 12, 40_000
_HOLES_PER_FILE = 3
# So many samples are to need a name of another file, and so many places are tried for one.
_CROSS_FILE_SHARE, _CROSS_FILE_TRIALS = 0.4, 5
_TEXT_SHARE = 0.05
_NAME = re.compile(r"[A-Za-z_]\w{3,}")
SHARD_SAMPLES = 1_500
_SEEDS_PER_SHARD = 100_000
_IS_TEST = re.compile(r"(?:^|/)tests?/|(?:^|/)(?:test_|conftest)[^/]*$|_test\.py$")


@dataclass(frozen=True, slots=True)
class Sample:
    """Token ids and, for each, what it is there for."""

    tokens: list[int]
    roles: list[int]


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt as the product makes it, and what belongs at the cursor."""

    anchor: Anchor  # what stands before the open text
    open_tokens: list[int]  # without what is taken back
    typed: str  # what is taken back
    answer: list[int]  # begins with that; its end is cut off where it is too long
    elsewhere: tuple[str, ...]  # what there is of text besides the open one

    @property
    def prompt(self) -> list[int]:
        """All that is read."""
        return [*self.anchor.before, *self.open_tokens]

    @property
    def sample(self) -> Sample:
        """It all, for training."""
        header = self.anchor.before
        return Sample(
            [*header, *self.open_tokens, *self.answer],
            [
                *(NOTHING if token < N_SPECIAL else CONTEXT for token in header),
                *[PREFIX] * len(self.open_tokens),
                *[MIDDLE] * len(self.answer),
            ],
        )


class Sampler:
    """Draws samples from a corpus."""

    def __init__(
        self,
        files: Sequence[File],
        tokenizer: Tokenizer,
        pieces: Sequence[bytes],
        cross_file_share: float = _CROSS_FILE_SHARE,
    ) -> None:
        """`pieces` are the bytes of the tokenizer's pieces."""
        self._cross_file_share = cross_file_share
        self._tokenizer = tokenizer
        self._vocabulary = Vocabulary(pieces)
        self._packages: dict[str, list[File]] = defaultdict(list)
        self._folders: dict[tuple[str, str], list[File]] = defaultdict(list)
        for file in files:
            self._packages[file.package].append(file)
            self._folders[file.package, posixpath.dirname(file.path)].append(file)
        self._package_names = sorted(self._packages)
        # Every package is heard, and a large one not as much more as it is larger.
        sizes = (
            sum(len(file.text) for file in self._packages[name]) for name in self._package_names
        )
        self._shares = list(accumulate(size**0.5 for size in sizes))
        self._file_shares = {
            name: list(accumulate(_share(file) for file in self._packages[name]))
            for name in self._package_names
        }

    def draw(self, seed: int) -> Iterator[Sample]:
        """Some samples, all of one file."""
        random = Random(seed)
        file = self._file(random)
        if random.random() < _TEXT_SHARE:
            tokens = self._tokens(file.text[random.choice(_line_starts(file.text)) :])[:MAX_PROMPT]
            yield Sample(tokens, [PREFIX] * len(tokens))
        else:
            yield from (asked.sample for asked in self._questions(file, random))

    def ask(self, seed: int) -> Iterator[Asked]:
        """Some questions, all about one file."""
        random = Random(seed)
        return self._questions(self._file(random), random)

    def is_cross_file(self, asked: Asked) -> bool:
        """Whether the answer has a name that stands in a snippet and nowhere else."""
        header = [*asked.anchor.before]
        own = [*header[header.index(FIM_PREFIX) :], *asked.open_tokens]
        missing = self._names([*own, *asked.answer]) - self._names(own)
        return bool(missing & self._names(header))

    def _file(self, random: Random) -> File:
        name = random.choices(self._package_names, cum_weights=self._shares)[0]
        return random.choices(self._packages[name], cum_weights=self._file_shares[name])[0]

    def _questions(self, file: File, random: Random) -> Iterator[Asked]:
        starts = _line_starts(file.text)
        others = self._siblings(file) if random.random() < 0.7 else []
        for _ in range(_HOLES_PER_FILE):
            is_sought = bool(others) and random.random() < self._cross_file_share
            found = None
            for _ in range(_CROSS_FILE_TRIALS if is_sought else 1):
                place = hole(file.text, starts, random)
                if place is not None:
                    found = self._asked(file, place, others, random)
                    if self.is_cross_file(found):
                        break
            if found is not None:
                yield found

    def _names(self, tokens: list[int]) -> set[str]:
        return set(_NAME.findall(self._spelled(tokens).decode("utf-8", "replace")))

    def _siblings(self, file: File) -> list[SourceText]:
        """Files of its folder, else of the package, cut as the product cuts them."""
        near = self._folders[file.package, posixpath.dirname(file.path)]
        others = near if len(near) > 2 else self._packages[file.package]
        others = [o for o in others if o is not file and len(o.text) <= _MAX_SIBLING_CHARS]
        at = sum(other.path < file.path for other in others)
        start = max(0, min(at - _MAX_SIBLINGS // 2, len(others) - _MAX_SIBLINGS))
        return [SourceText(o.path, _chunks(o.text)) for o in others[start : start + _MAX_SIBLINGS]]

    def _asked(self, file: File, hole: Hole, others: list[SourceText], random: Random) -> Asked:
        text = file.text
        prefix = text[max(0, hole.start - _PREFIX_CHARS) : hole.start]
        suffix, end = text[hole.end : hole.end + _SUFFIX_CHARS], hole.end + _SUFFIX_CHARS
        if random.random() < 0.08:
            suffix, end = "", len(text)  # the end of a file that grows
        elif random.random() < 0.12:
            suffix = "\n" + _after_block(text, hole)[:_SUFFIX_CHARS]  # a function that grows
        rest_closes = Cursor(prefix=prefix, suffix=suffix, language="python").rest_closes
        segments = Segments(
            prefix=prefix,
            suffix=suffix,
            imports=imports_of(head_of(text[: hole.start])),
            path=file.path if random.random() < 0.9 else "",
            snippets=_snippets(prefix, suffix, others) if others else (),
            rest_closes=rest_closes,
            further=(
                *whole_texts(others, FILES_CHARS),
                *_further(text, hole.start - len(prefix), end),
            ),
        )
        longest = MAX_PROMPT if random.random() < 0.5 else random.randint(_MIN_PROMPT, MAX_PROMPT)
        anchor, prompt = drop_anchor(segments, FIM, self._tokens, longest)
        open_tokens, typed = self._parted(prompt[len(anchor.before) :])
        # What is left out of the prompt is said by the answer.
        closers = suffix.partition("\n")[0] if rest_closes else ""
        answer = self._tokens(typed + text[hole.start : hole.end] + closers)
        texts = texts_elsewhere(anchor, segments)
        return Asked(anchor, open_tokens, typed, [*answer, END][:_MAX_MIDDLE], texts)

    def _parted(self, tokens: list[int]) -> tuple[list[int], str]:
        """What stays of a prompt's end, and the text of what is taken back."""
        n_kept = len(tokens) - n_taken_back(tokens, self._vocabulary)
        try:
            return tokens[:n_kept], self._spelled(tokens[n_kept:]).decode()
        except UnicodeDecodeError:
            return tokens, ""  # half of a character

    def _spelled(self, tokens: list[int]) -> bytes:
        return b"".join(self._vocabulary.pieces[token] for token in tokens)

    def _tokens(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids


def _line_starts(text: str) -> list[int]:
    return [0, *(found.end() for found in re.finditer(r"\n(?=.)", text, re.DOTALL))]


def _share(file: File) -> float:
    share = min(len(file.text), 30_000) ** 0.8
    return share * 0.35 if _IS_TEST.search(file.path) else share


def _further(text: str, start: int, end: int) -> tuple[str, ...]:
    """What lies beyond the windows that begin and end there: below, and above."""
    below, above = further_of(text[:start], text[end:])
    return further_without_secrets(below), further_without_secrets(above)


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
