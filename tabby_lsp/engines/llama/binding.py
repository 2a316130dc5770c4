"""A model and a context of llama.cpp, as Python objects over its C functions.

Invariant: one thread, the worker's, calls everything here but `AbortFlag`.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tabby_lsp.domain import EngineError
from tabby_lsp.engines.llama import library

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

_ABORTED = 2  # what llama_decode returns when the abort callback said so


class Aborted(Exception):
    """The abort flag stopped an evaluation; the parts that were finished are kept."""


class AbortFlag:
    """One byte that llama.cpp looks at after every graph node; any thread may set or clear it."""

    def __init__(self) -> None:
        self._buffer = ctypes.create_string_buffer(2)

    @property
    def address(self) -> int:
        return ctypes.addressof(self._buffer)

    def set(self) -> None:
        self._buffer[0] = b"x"

    def clear(self) -> None:
        self._buffer[0] = b"\0"


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
        if not self.uses_graphics:
            parameters.n_gpu_layers = 0
            # Else large batches would still be computed there.
            parameters.devices = ctypes.addressof(nowhere)
        self.handle = self._api.llama_model_load_from_file(str(path).encode(), parameters)
        if not self.handle:
            raise EngineError(f"llama.cpp cannot load {path}: {_last_words()}")
        self._vocab = self._api.llama_model_get_vocab(self.handle)
        self.n_vocab: int = self._api.llama_vocab_n_tokens(self._vocab)
        self.n_ctx_train: int = self._api.llama_model_n_ctx_train(self.handle)
        self.is_bpe = self._api.llama_vocab_type(self._vocab) == self._api.LLAMA_VOCAB_TYPE_BPE
        self.bos: int = self._api.llama_vocab_bos(self._vocab)
        self.eos: int = self._api.llama_vocab_eos(self._vocab)
        self.adds_bos: bool = self._api.llama_vocab_get_add_bos(self._vocab)
        self.has_encoder: bool = self._api.llama_model_has_encoder(self.handle)
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
        n_bytes = self._token_to_piece(token, controls)
        if n_bytes < 0:
            self._piece_buffer = ctypes.create_string_buffer(-n_bytes)
            n_bytes = self._token_to_piece(token, controls)
        return self._piece_buffer.raw[:n_bytes]

    @cached_property
    def first_bytes(self) -> NDArray[np.int16]:
        """Of every token; 256 for those that have none. Takes a moment the first time."""
        import numpy as np

        pieces = map(self.piece, range(self.n_vocab))
        return np.array([piece[0] if piece else 256 for piece in pieces], dtype=np.int16)

    def close(self) -> None:
        self._api.llama_model_free(self.handle)

    def _token_to_piece(self, token: int, controls: bool) -> int:
        buffer = self._piece_buffer
        n_bytes: int = self._api.llama_token_to_piece(
            self._vocab, token, buffer, len(buffer), 0, controls
        )
        return n_bytes


class Context:
    """A KV cache of one sequence and the token ids that it holds; lives until `close`."""

    def __init__(self, model: Model, n_ctx: int, n_ubatch: int, n_threads: int) -> None:
        """Raises EngineError when llama.cpp cannot make it, memory being the usual reason."""
        self._api = library.opened()
        parameters = self._api.llama_context_default_params()
        parameters.n_ctx = n_ctx
        # A whole window in one call: the abort flag is looked at inside it, and what was finished,
        # in steps of n_ubatch tokens, is kept.
        parameters.n_batch = n_ctx
        parameters.n_ubatch = n_ubatch
        parameters.n_threads = parameters.n_threads_batch = n_threads
        if not model.uses_graphics:
            # On a processor it is no faster, and what it computes depends on how the prompt was
            # cut: logits move by 0.13 instead of 0.001 (docs/log.md, 2026-11-21).
            parameters.flash_attn_type = self._api.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self._adjust(parameters)
        self.handle = self._api.llama_init_from_model(model.handle, parameters)
        if not self.handle:
            raise EngineError(
                f"llama.cpp cannot make a context of {n_ctx} tokens ({_last_words()}): "
                "set a smaller `n_ctx` under `[local]` in config.toml."
            )
        # llama.cpp rounds up to a multiple of 256; a batch may still hold no more than was asked
        # for.
        self.n_ctx = n_ctx
        self.abort_flag = AbortFlag()
        self._abort_callback = ctypes.cast(library.native_strlen(), self._api.ggml_abort_callback)
        self._api.llama_set_abort_callback(
            self.handle, self._abort_callback, self.abort_flag.address
        )
        self._memory = self._api.llama_get_memory(self.handle)  # None: it sees a text at once
        self._n_vocab = model.n_vocab
        self.tokens: list[int] = []  # what the KV cache holds, in order

    def keep(self, n_tokens: int) -> None:
        """Forget all but the first `n_tokens`; a memory that cannot forget a part forgets all."""
        if n_tokens == len(self.tokens):
            return
        if not self._memory:
            n_tokens = 0
        elif not self._api.llama_memory_seq_rm(self._memory, 0, n_tokens, -1):
            self._api.llama_memory_clear(self._memory, True)
            n_tokens = 0
        del self.tokens[n_tokens:]

    def evaluate(self, tokens: Sequence[int]) -> None:
        """Append tokens to the KV cache.

        Raises Aborted when the flag was set (what was finished is in `tokens`), EngineError when
        llama.cpp fails (the cache is empty then).
        """
        if len(self.tokens) + len(tokens) > self.n_ctx:
            # llama.cpp would end the process.
            raise EngineError(f"A prompt of {len(tokens)} tokens does not fit into {self.n_ctx}.")
        array = (ctypes.c_int32 * len(tokens))(*tokens)
        batch = self._api.llama_batch_get_one(array, len(tokens))
        status = self._api.llama_decode(self.handle, batch)
        if status == 0:
            self.tokens.extend(tokens)
        elif status == _ABORTED and not self._memory:
            raise Aborted
        elif status == _ABORTED:
            n_held = self._api.llama_memory_seq_pos_max(self._memory, 0) + 1
            self.tokens.extend(tokens[: n_held - len(self.tokens)])
            raise Aborted
        else:
            if self._memory:
                self._api.llama_memory_clear(self._memory, True)
            self.tokens.clear()
            raise EngineError(f"llama.cpp failed to evaluate (status {status}): {_last_words()}")

    def logits(self) -> NDArray[np.float32]:
        """What the model says after the last token: shape (n_vocab,), valid until the next call."""
        import numpy as np

        pointer = self._api.llama_get_logits_ith(self.handle, -1)
        return np.ctypeslib.as_array(pointer, shape=(self._n_vocab,))

    def close(self) -> None:
        self._api.llama_free(self.handle)

    def _adjust(self, parameters: Any) -> None:
        """Change what llama.cpp is asked for, in contexts of another kind."""


def _last_words() -> str:
    with suppress(StopIteration):
        lines = reversed(library.recent_log())
        return next(line.strip() for line in lines if "error" in line or "failed" in line)
    return "it gave no reason"
