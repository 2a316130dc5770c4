"""A model of llama.cpp's as a Python object over its C functions.

Invariant: one thread, the worker's, calls everything here.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from tabby_lsp.domain import EngineError
from tabby_lsp.engines.llama import library

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


class Model:
    """Weights and vocabulary; lives until `close`."""

    def __init__(self, path: Path, *, is_on_processor: bool = False) -> None:
        """Load the weights, on the graphics card where there is one and nobody says otherwise.

        Raises EngineError with llama.cpp's own last words when it cannot.
        """
        self._api = library.opened()
        avoided = library.avoided()
        may_use_graphics = not is_on_processor and "graphics" not in avoided
        self.uses_graphics: bool = may_use_graphics and self._api.llama_supports_gpu_offload()
        parameters = self._api.llama_model_default_params()
        is_safe = library.extra_buffers_are_safe(self._api)
        parameters.use_extra_bufts = is_safe and "repacking" not in avoided
        nowhere = (ctypes.c_void_p * 1)()  # a list of devices that is at its end
        if not may_use_graphics:
            parameters.n_gpu_layers = 0
            # Else large batches would still be computed there.
            parameters.devices = ctypes.addressof(nowhere)
        self.handle = self._api.llama_model_load_from_file(os.fsencode(path), parameters)
        if not self.handle:
            raise EngineError(f"llama.cpp cannot load {path}: {last_words()}")
        self._vocab = self._api.llama_model_get_vocab(self.handle)
        self.n_vocab: int = self._api.llama_vocab_n_tokens(self._vocab)
        self.n_ctx_train: int = self._api.llama_model_n_ctx_train(self.handle)
        self.is_bpe = self._api.llama_vocab_type(self._vocab) == self._api.LLAMA_VOCAB_TYPE_BPE
        self.bos: int = self._api.llama_vocab_bos(self._vocab)
        self.eos: int = self._api.llama_vocab_eos(self._vocab)
        self.adds_bos: bool = self._api.llama_vocab_get_add_bos(self._vocab)
        self.has_encoder: bool = self._api.llama_model_has_encoder(self.handle)
        # Whether its memory is a state that cannot go back, all of it or in part.
        self.is_recurrent = bool(
            self._api.llama_model_is_recurrent(self.handle)
            or self._api.llama_model_is_hybrid(self.handle)
        )
        # How far back layers with a sliding window see; 0 where all see everything.
        self.n_swa: int = self._api.llama_model_n_swa(self.handle)
        self.eog_tokens = tuple(
            token
            for token in range(self.n_vocab)
            if self._api.llama_vocab_is_eog(self._vocab, token)
        )
        # What a text without a beginning begins with.
        self.start = next((token for token in (self.bos, self.eos) if token >= 0), 0)
        self._piece_buffer = ctypes.create_string_buffer(64)
        # SentencePiece vocabularies put a blank before every text; behind a line end it can be told
        # from the text's own.
        self._before = "" if self.is_bpe else "\n"
        self._n_before = len(self._tokenize(self._before))

    def tokenize(self, text: str) -> list[int]:
        """Token ids of plain text: what looks like a control token in it stays text."""
        return self._tokenize(self._before + text)[self._n_before :]

    def tokenize_controls(self, text: str) -> list[int]:
        """Token ids of text that is not a user's, in which control tokens are meant as such."""
        return self._tokenize(self._before + text, controls=True)[self._n_before :]

    def tokenize_whole(self, text: str) -> list[int]:
        """Token ids of plain text with what the vocabulary puts round a whole one."""
        return self._tokenize(text, is_whole=True)

    def text_of(self, token: int) -> str:
        """A token's own name, such as `<s>`; "" for none."""
        if not 0 <= token < self.n_vocab:
            return ""
        name: bytes = self._api.llama_vocab_get_text(self._vocab, token)
        return name.decode("utf-8", "replace")

    def _tokenize(self, text: str, *, controls: bool = False, is_whole: bool = False) -> list[int]:
        # A lone surrogate cannot be written as UTF-8; the model sees a question mark.
        encoded = text.encode("utf-8", "replace")
        n_most = len(encoded) + 4
        tokens = (ctypes.c_int32 * n_most)()
        n_tokens = self._api.llama_tokenize(
            self._vocab, encoded, len(encoded), tokens, n_most, is_whole, controls
        )
        if n_tokens < 0:
            raise EngineError(f"llama.cpp cannot tokenize a text of {len(encoded)} bytes.")
        return tokens[:n_tokens]

    def piece(self, token: int, *, controls: bool = False) -> bytes:
        """The bytes of one token of the vocabulary; control tokens have none, or their names."""
        if not controls and "pieces" in self.__dict__:  # all of them were asked for before
            return self.pieces[token]
        n_bytes = self._token_to_piece(token, controls)
        if n_bytes < 0:
            self._piece_buffer = ctypes.create_string_buffer(-n_bytes)
            n_bytes = self._token_to_piece(token, controls)
        return self._piece_buffer.raw[:n_bytes]

    @cached_property
    def pieces(self) -> list[bytes]:
        """The bytes of every token. Takes a moment the first time."""
        return [*map(self.piece, range(self.n_vocab))]

    @cached_property
    def first_bytes(self) -> NDArray[np.int16]:
        """Of every token; 256 for those that have none."""
        import numpy as np

        return np.array([piece[0] if piece else 256 for piece in self.pieces], dtype=np.int16)

    def close(self) -> None:
        self._api.llama_model_free(self.handle)

    def _token_to_piece(self, token: int, controls: bool) -> int:
        buffer = self._piece_buffer
        n_bytes: int = self._api.llama_token_to_piece(
            self._vocab, token, buffer, len(buffer), 0, controls
        )
        return n_bytes


def last_words() -> str:
    """What llama.cpp last complained of."""
    with suppress(StopIteration):
        lines = reversed(library.recent_log())
        return next(line.strip() for line in lines if "error" in line or "failed" in line)
    return "it gave no reason"
