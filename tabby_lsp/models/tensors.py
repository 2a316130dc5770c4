"""Checks the list of tensors in a GGUF header against itself and against the file's size.

Invariant: the rules are those of llama.cpp's reader (ggml/src/gguf.cpp); weights are not looked at.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tabby_lsp.models.cursor import ModelFileError

if TYPE_CHECKING:
    from tabby_lsp.models.cursor import Cursor

MAX_TENSORS = 1 << 15  # the largest models have about 2,000
MIN_TENSOR_BYTES = 8 + 4 + 4 + 8
_MAX_NAME_BYTES = 63  # GGML_MAX_NAME less its final zero
_MAX_DIMENSIONS = 4  # GGML_MAX_DIMS
_MAX_WEIGHTS = (1 << 63) - 1

# ggml type -> weights and bytes of a block: ggml_blck_size and ggml_type_size of ggml 0.25.3.
BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    9: (32, 36), 10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),
    15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18),
    21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8),
    28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17),
    40: (64, 36), 41: (128, 18), 42: (64, 18),
}  # fmt: skip


def check_tensors(cursor: Cursor, n_tensors: int, alignment: int) -> int:
    """How many bytes all weights have; they lie one after the other, at multiples of `alignment`.

    Raises ModelFileError when the list is damaged or the file too short for it.
    """
    names: set[bytes] = set()
    offset = end = total_bytes = 0
    for _ in range(n_tensors):
        name, n_bytes = _tensor(cursor, offset)
        if name in names:
            cursor.damaged(f"the tensor {name.decode(errors='replace')!r} stands in it twice")
        names.add(name)
        end = offset + n_bytes
        offset = _padded(end, alignment)
        total_bytes += n_bytes
    needed_bytes = _padded(cursor.position, alignment) + end
    if needed_bytes > cursor.size_bytes:
        cursor.truncated(needed_bytes)
    return total_bytes


def _tensor(cursor: Cursor, expected_offset: int) -> tuple[bytes, int]:
    n_name_bytes = cursor.u64()
    if n_name_bytes > _MAX_NAME_BYTES:
        cursor.damaged(f"a tensor's name claims a length of {n_name_bytes:,} bytes")
    name = cursor.take(n_name_bytes)
    n_dimensions = cursor.u32()
    if n_dimensions > _MAX_DIMENSIONS:
        cursor.damaged(f"a tensor claims {n_dimensions:,} dimensions")
    shape = [cursor.u64() for _ in range(n_dimensions)]
    kind, offset = cursor.u32(), cursor.u64()
    if kind not in BLOCKS:
        raise ModelFileError(
            f"{cursor.path} has weights of the unknown type {kind}; get another quantization of it"
        )
    n_weights = math.prod(shape)
    block_weights, block_bytes = BLOCKS[kind]
    row = shape[0] if shape else 1
    if max(n_weights, *shape, 0) > _MAX_WEIGHTS or row % block_weights:
        cursor.damaged(f"a tensor has the shape {shape}")
    if offset != expected_offset:
        cursor.damaged(f"a tensor lies at {offset:,} instead of {expected_offset:,}")
    return name, n_weights // block_weights * block_bytes


def _padded(n_bytes: int, alignment: int) -> int:
    return (n_bytes + alignment - 1) // alignment * alignment
