"""llama.cpp as it is, called in C: the time below which nobody comes for the same tokens."""

from __future__ import annotations

import ctypes
import time
from typing import TYPE_CHECKING, Any, Self

from tabby_lsp.engines.llama import library

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_ANY_TOKEN = 100
_N_PREFILL, _N_DECODE = 256, 32
_N_BATCH = 2048  # as llama-bench and llama-server have it


class Raw:
    """A model as llama-bench has it, with repacked weights where they work.

    Flash attention, which is llama-bench's own choice, writes a token at half the speed on some
    processors: whichever is faster for the answers in a document counts there.
    """

    def __init__(self, model: Path, n_ctx: int, n_threads: int) -> None:
        self._api = library.opened()
        parameters = self._api.llama_model_default_params()
        parameters.use_extra_bufts = library.extra_buffers_are_safe(self._api)
        self._model = self._api.llama_model_load_from_file(str(model).encode(), parameters)
        kinds = (
            self._api.LLAMA_FLASH_ATTN_TYPE_AUTO,
            self._api.LLAMA_FLASH_ATTN_TYPE_DISABLED,
        )
        self._contexts = [_Context(self._api, self._model, n_ctx, n_threads, k) for k in kinds]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for context in self._contexts:
            context.close()
        self._api.llama_model_free(self._model)

    def answers_ms(self, answers: Sequence[tuple[int, int, int]]) -> float:
        """Answers to prompts of which so many tokens were held, so many read, and so many said.

        Nothing is read where what comes behind the prompt is held too.
        """
        return min(sum(context.answer_ms(*each) for each in answers) for context in self._contexts)

    def tokens_per_s(self) -> tuple[float, float]:
        """Of a long prompt, and of an answer: pp256 and tg32 in llama-bench's words."""
        rates = [context.tokens_per_s() for context in self._contexts]
        return max(read for read, _ in rates), max(written for _, written in rates)


class _Context:
    def __init__(self, api: Any, model: Any, n_ctx: int, n_threads: int, attention: int) -> None:
        self._api = api
        options = api.llama_context_default_params()
        options.n_ctx, options.n_batch = n_ctx, min(n_ctx, _N_BATCH)
        options.n_threads = options.n_threads_batch = n_threads
        options.flash_attn_type = attention
        self._context = api.llama_init_from_model(model, options)
        self._memory = api.llama_get_memory(self._context)
        self._n_held = 0
        self._decode(2)  # whatever is set up at the first call

    def close(self) -> None:
        self._api.llama_free(self._context)

    def answer_ms(self, n_held: int, n_evaluated: int, n_generated: int) -> float:
        self._hold(n_held)
        started_s = time.perf_counter()
        self._decode(n_evaluated)
        for _ in range(n_generated - 1):  # the last one is chosen, and not read
            self._decode(1)
        return (time.perf_counter() - started_s) * 1_000

    def tokens_per_s(self) -> tuple[float, float]:
        self._hold(0)
        started_s = time.perf_counter()
        self._decode(_N_PREFILL)
        read_s = time.perf_counter()
        self._hold(0)
        begun_s = time.perf_counter()
        for _ in range(_N_DECODE):
            self._decode(1)
        return _N_PREFILL / (read_s - started_s), _N_DECODE / (time.perf_counter() - begun_s)

    def _hold(self, n_tokens: int) -> None:
        if n_tokens < self._n_held:
            self._api.llama_memory_seq_rm(self._memory, 0, n_tokens, -1)
            self._n_held = n_tokens
        if n_tokens > self._n_held:
            self._decode(n_tokens - self._n_held)

    def _decode(self, n_tokens: int) -> None:
        if n_tokens == 0:
            return
        tokens = (ctypes.c_int32 * n_tokens)(*[_ANY_TOKEN] * n_tokens)
        status = self._api.llama_decode(
            self._context, self._api.llama_batch_get_one(tokens, n_tokens)
        )
        if status != 0:
            raise RuntimeError(f"llama_decode of {n_tokens} tokens: status {status}")
        self._api.llama_get_logits_ith(self._context, -1)  # waits until it is computed
        self._n_held += n_tokens
