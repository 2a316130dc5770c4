"""A text that grows has the tokens of the whole, and little of it is read at each key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tabby_lsp.engines.llama.growing import GrowingTokenizer
from tests import reference_document

TEXT = Path(reference_document.__file__).read_text("utf-8")[:3_000] + "x = __\n_name__\n" * 20
# How vocabularies split: as GPT-2 and StarCoder, as Qwen and Llama 3, and one that joins words.
PATTERNS = {
    "gpt-2": r"'(?:[sdmt]|ll|ve|re)| ?[^\W\d_]+| ?\d+| ?[^\s\w]+| ?_+|\s+(?!\S)|\s+",
    "qwen": r"[^\r\n\w]?[^\W\d_]+|\d| ?(?:[^\s\w]|_)+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "superwords": r"\w+(?: \w+)*|\s+|[^\w\s]+",
}


class Tokenizer:
    """One token for each piece that the pattern splits off."""

    def __init__(self, pattern: str) -> None:
        self._pattern = re.compile(pattern)
        self._ids: dict[str, int] = {}
        self.n_chars = 0

    def __call__(self, text: str) -> list[int]:
        self.n_chars += len(text)
        pieces = self._pattern.findall(text)
        assert "".join(pieces) == text
        return [self._ids.setdefault(piece, len(self._ids)) for piece in pieces]


@pytest.mark.parametrize("name", PATTERNS)
def test_the_tokens_are_those_of_the_whole(name: str) -> None:
    parts = Tokenizer(PATTERNS[name])
    growing = GrowingTokenizer(parts)
    for n in range(len(TEXT)):
        text = TEXT[:n]
        assert growing(text) == parts(text)
        # And where something else is typed there.
        assert growing(text + " else\n") == parts(text + " else\n")


@pytest.mark.parametrize("name", ["gpt-2", "qwen"])
def test_a_key_reads_little(name: str) -> None:
    tokenize = Tokenizer(PATTERNS[name])
    growing = GrowingTokenizer(tokenize)
    growing(TEXT[:500])
    tokenize.n_chars = 0
    for n in range(501, 2_501):
        growing(TEXT[:n])
    assert tokenize.n_chars < 2_000 * 60


@pytest.mark.parametrize("name", PATTERNS)
def test_what_is_taken_back_is_forgotten(name: str) -> None:
    parts = Tokenizer(PATTERNS[name])
    growing = GrowingTokenizer(parts)
    growing(TEXT[:600])
    for n in range(600, 400, -1):
        assert growing(TEXT[:n]) == parts(TEXT[:n])
        # A cut behind a word holds no longer where the word goes on.
        assert growing(TEXT[:n] + "word word") == parts(TEXT[:n] + "word word")


@pytest.mark.parametrize("name", ["gpt-2", "qwen"])
def test_what_is_taken_back_costs_little(name: str) -> None:
    tokenize = Tokenizer(PATTERNS[name])
    growing = GrowingTokenizer(tokenize)
    for n in range(300, 900):
        growing(TEXT[:n])
    tokenize.n_chars = 0
    for n in range(899, 750, -1):
        growing(TEXT[:n])
    assert tokenize.n_chars < 150 * 120
