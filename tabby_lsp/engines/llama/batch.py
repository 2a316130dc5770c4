"""What llama.cpp is given to read at once: tokens, their places, and after which it is asked on.

Invariant: the arrays are the same ones for as long as the context lives.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


class Batch:
    """llama.cpp's struct of the same name, over arrays that are used again and again.

    All the pointers to a token's sequence lead to one number, so that it costs one to change it.
    """

    def __init__(self, api: Any, n_most: int) -> None:
        self._tokens = (ctypes.c_int32 * n_most)()
        self._positions = (ctypes.c_int32 * n_most)()
        self._n_sequences = (ctypes.c_int32 * n_most)(*[1] * n_most)
        self._number = (ctypes.c_int32 * 1)()
        pointer = ctypes.cast(self._number, ctypes.POINTER(ctypes.c_int32))
        self._numbers = (ctypes.POINTER(ctypes.c_int32) * n_most)(*[pointer] * n_most)
        self._outputs = (ctypes.c_int8 * n_most)()
        self._batch = api.llama_batch()
        self._batch.token = self._tokens
        self._batch.embd = None
        self._batch.pos = self._positions
        self._batch.n_seq_id = self._n_sequences
        self._batch.seq_id = self._numbers
        self._batch.logits = self._outputs
        self._told = range(0)

    def filled(self, tokens: Sequence[int], position: int, number: int, n_told: int) -> Any:
        """To append tokens to a sequence, and ask what comes after each of the last `n_told`."""
        n_tokens = len(tokens)
        if n_tokens == 1:
            self._tokens[0], self._positions[0] = tokens[0], position
        else:
            self._tokens[:n_tokens] = list(tokens)
            self._positions[:n_tokens] = list(range(position, position + n_tokens))
        self._number[0] = number
        for n in self._told:
            self._outputs[n] = 0
        self._told = range(max(0, n_tokens - n_told), n_tokens)
        for n in self._told:
            self._outputs[n] = 1
        self._batch.n_tokens = n_tokens
        return self._batch
