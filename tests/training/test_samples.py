"""Samples are the product's own prompts, with what belongs at the cursor behind them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tabby_lsp.models.families import fim_of
from tabby_lsp.models.gguf import read_header
from training import samples
from training.corpus import File
from training.pieces import END, FILE_SEP, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX
from training.samples import MIDDLE, PREFIX, Sample, Sampler

STARTER = next(
    (Path(samples.__file__).parents[1] / "tabby_lsp" / "models" / "starter").glob("*.gguf")
)
FIRST_CHAR = 100  # ids of the letters below


class Letters:
    """Each letter is a piece, and so are a few words: enough to see where a text was parted."""

    words = ("self", "books", "return")
    pieces = (
        *[b""] * 50,
        *(word.encode() for word in words),
        *[b""] * (FIRST_CHAR - 53),
        *(bytes([code]) for code in range(128)),
    )

    class Encoded:
        def __init__(self, ids: list[int]) -> None:
            self.ids = ids

    def encode(self, text: str, add_special_tokens: bool) -> Encoded:
        ids = []
        while text:
            word = next((word for word in self.words if text.startswith(word)), text[0])
            ids.append(
                self.words.index(word) + 50 if word in self.words else FIRST_CHAR + ord(word)
            )
            text = text[len(word) :]
        return self.Encoded(ids)

    def decode(self, ids: list[int]) -> str:
        return "".join(
            chr(i - FIRST_CHAR) if i >= FIRST_CHAR else self.words[i - 50] for i in ids if i >= 50
        )


def files() -> list[File]:
    code = """\
class Shelf{n}:
    def __init__(self):
        self.books = []

    def first(self):
        return self.books[{n}]

    def add(self, book):
        self.books.append(book)
"""
    return [File("shop", f"shop/shelf{n}.py", code.format(n=n)) for n in range(4)]


@pytest.fixture(scope="module")
def drawn() -> list[Sample]:
    sampler = Sampler(files(), Letters(), Letters.pieces)
    return samples.take(sampler, 300, seed=0)


def test_the_layout_is_the_one_that_the_starter_declares() -> None:
    declared = fim_of(read_header(STARTER))
    for name in ("layout", "prefix", "suffix", "middle", "snippet", "path_before", "bos"):
        assert getattr(declared, name) == getattr(samples.FIM, name)


@pytest.fixture(scope="module")
def fim(drawn: list[Sample]) -> list[Sample]:
    return [sample for sample in drawn if FIM_MIDDLE in sample.tokens]


def test_a_sample_is_suffix_then_prefix_then_middle(fim: list[Sample]) -> None:
    for sample in fim:
        controls = [token for token in sample.tokens if token < 7 and token != FILE_SEP]
        assert controls in (
            [FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE, END],
            [FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE],
        )
        assert sample.roles[-1] == MIDDLE
        assert len(sample.tokens) == len(sample.roles) <= samples.MAX_PROMPT + 46


def test_some_are_plain_text(drawn: list[Sample], fim: list[Sample]) -> None:
    texts = [sample for sample in drawn if sample not in fim]
    assert 0 < len(texts) < 0.2 * len(drawn)
    for sample in texts:
        assert set(sample.roles) == {PREFIX}
        assert any(Letters().decode(sample.tokens) in file.text for file in files())


def test_prefix_and_middle_are_a_part_of_the_file(fim: list[Sample]) -> None:
    texts = [file.text for file in files()]
    for sample in fim:
        written = Letters().decode(sample.tokens[sample.tokens.index(FIM_MIDDLE) + 1 :])
        assert any(written in text for text in texts)


def test_a_word_that_somebody_has_begun_is_begun_anew(fim: list[Sample]) -> None:
    n_words = 0
    for sample in fim:
        answer = sample.roles.index(MIDDLE)
        begun = Letters().decode(sample.tokens[answer - 2 : answer])
        assert not any(word.startswith(begun) for word in Letters.words)
        n_words += sample.tokens[answer] < FIRST_CHAR
    assert n_words > 30


def test_places_that_need_another_file_are_looked_for() -> None:
    """`restock` stands once in each of the two files, and most lines have no such name."""
    lines = [f"        self.books.append({n} + self.first())" for n in range(12)]
    here = ["class Shelf:", "    def add(self, book):", *lines, "        self.restock(book)"]
    there = ["class Store:", "    def restock(self, book):", *lines, "        return self.books"]
    both = [File("shop", f"{n}.py", "\n".join(each)) for n, each in enumerate((here, there))]

    def n_needed(cross_file_share: float) -> int:
        sampler = Sampler(both, Letters(), Letters.pieces, cross_file_share=cross_file_share)
        asked = [each for seed in range(150) for each in sampler.ask(seed)]
        return sum("restock" in Letters().decode(each.answer) for each in asked)

    assert n_needed(0.5) > 1.3 * n_needed(0.0) > 0


def test_most_samples_have_snippets_of_siblings(drawn: list[Sample]) -> None:
    with_siblings = [sample for sample in drawn if sample.tokens.count(FILE_SEP) > 1]
    assert 0.3 * len(drawn) < len(with_siblings) < 0.9 * len(drawn)


def test_the_same_seed_gives_the_same_samples(drawn: list[Sample], tmp_path: Path) -> None:
    again = samples.take(Sampler(files(), Letters(), Letters.pieces), 300, seed=0)
    assert again == drawn
    samples.write(drawn, tmp_path / "shard.npz")
    read = [
        (tokens.tolist(), roles.tolist()) for tokens, roles in samples.read(tmp_path / "shard.npz")
    ]
    assert read == [(sample.tokens, sample.roles) for sample in drawn]
    assert np.uint16(65_535) >= max(max(sample.tokens) for sample in drawn)
