"""Damaged copies of the starter model, the same ones for each seed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tabby_lsp.models.gguf import read_header
from tests.models.model_files import STARTER

if TYPE_CHECKING:
    from collections.abc import Iterator


WHOLE = STARTER.read_bytes()
# Where damage does most: the counts, the figures, the vocabulary, the tensors' descriptions.
_START_BYTES = 4096


def truncated(n: int, seed: int) -> Iterator[bytes]:
    """Cut off anywhere, half of them in the header."""
    chance = random.Random(seed)
    header_bytes = len(WHOLE) - tensor_bytes()
    for number in range(n):
        limit = header_bytes if number % 2 else len(WHOLE)
        yield WHOLE[: chance.randrange(limit)]


def mutated(n: int, seed: int) -> Iterator[bytes]:
    """A few bytes changed in one of five regions, by turns."""
    chance = random.Random(seed)
    header_bytes = len(WHOLE) - tensor_bytes()
    regions = [
        (0, 64),
        (0, _START_BYTES),
        (_START_BYTES, header_bytes),
        (max(0, header_bytes - 8192), header_bytes),
        (header_bytes, len(WHOLE)),
    ]
    for number in range(n):
        start, end = regions[number % len(regions)]
        damaged = bytearray(WHOLE)
        for _ in range(chance.choice((1, 1, 2, 8))):
            at = chance.randrange(start, end)
            damaged[at] = chance.choice(
                (damaged[at] ^ 1 << chance.randrange(8), chance.randrange(256), 0, 255)
            )
        yield bytes(damaged)


def tensor_bytes() -> int:
    """How much of the starter is weights, which stand at its end."""
    return read_header(STARTER).tensor_bytes
