"""A KV cache of llama.cpp's, and the sequences of tokens that it holds.

Invariant: one thread, the worker's, calls everything here but `AbortFlag`; of every sequence it is
known which tokens it holds, and those are what llama.cpp holds.
"""

from __future__ import annotations

import ctypes
import time
from collections import OrderedDict
from mmap import mmap
from typing import TYPE_CHECKING, Any, NamedTuple

from tabby_lsp.domain import EngineError
from tabby_lsp.engines.llama import library
from tabby_lsp.engines.llama.batch import Batch
from tabby_lsp.engines.llama.binding import last_words
from tabby_lsp.engines.llama.cells import Cells, Held

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from tabby_lsp.engines.llama.binding import Model

_BF16 = 30  # ggml's number for the type
_ABORTED = 2  # what llama_decode returns when the abort callback said so

# One token alone is computed by other kernels than several, which add in another order; where
# weights have 8 bits that is sometimes enough for another answer (docs/log.md, 2026-11-29). On a
# graphics card the kernels change at more places than this one.
_N_LEAST = 2

# Three candidates, what is made ahead, and some that were passed over.
_N_SEQUENCES = 8
# Cells beyond the window, for what forks hold on their own.
_SPARE_SHARE = 0.5
_MOST_SPARE_CELLS = 1024
# Of so many places it is known what the model says there: of the last two answers' beginnings,
# which is where somebody types on. A large vocabulary takes 0.6 MB for each.
_N_PLACES_KNOWN = 16
_MOST_ADDRESSES = 64


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


class Noted(NamedTuple):
    """What the model says at a place."""

    logits: NDArray[np.float32]  # shape (n_vocab,)
    is_sure: bool  # whether nothing was computed with it that was only drafted


class Context:
    """A KV cache of several sequences, of which one is read and continued; lives until `close`."""

    _n_sequences = _N_SEQUENCES

    def __init__(self, model: Model, n_ctx: int, n_ubatch: int, n_threads: int) -> None:
        """Raises EngineError when llama.cpp cannot make it, memory being the usual reason."""
        self._api = library.opened()
        parameters = self._api.llama_context_default_params()
        self.can_fork = self._n_sequences > 1
        self._is_recurrent, self._n_swa = model.is_recurrent, model.n_swa
        # Whether what was saved can be cut back later.
        self.saves_all = not model.is_recurrent and not model.n_swa
        self.n_cells = n_ctx + (n_spare_cells(n_ctx) if self.can_fork else 0)
        parameters.n_ctx = self.n_cells
        # A whole window in one call: the abort flag is looked at inside it, and what was finished,
        # in steps of n_ubatch tokens, is kept.
        parameters.n_batch = n_ctx
        parameters.n_ubatch = n_ubatch
        parameters.n_threads = parameters.n_threads_batch = n_threads
        parameters.n_seq_max = self._n_sequences
        # One buffer for all, so that a fork is a note beside the cells and no copy of them.
        parameters.kv_unified = True
        self.n_least = 1  # tokens of a prompt that are best evaluated together
        if not model.uses_graphics:
            self.n_least = _N_LEAST
            # On a processor it is no faster, and what it computes depends on how the prompt was
            # cut: logits move by 0.13 instead of 0.001 (docs/log.md, 2026-11-21).
            parameters.flash_attn_type = self._api.LLAMA_FLASH_ATTN_TYPE_DISABLED
            if library.multiplies_bf16(self._api):
                # A tenth faster than f16, and no less right (docs/log.md, 2026-11-30).
                parameters.type_k = parameters.type_v = _BF16
        self._adjust(parameters)
        self.handle = self._api.llama_init_from_model(model.handle, parameters)
        if not self.handle:
            raise EngineError(
                f"llama.cpp cannot make a context of {n_ctx} tokens ({last_words()}): "
                "set a smaller `n_ctx` under `[local]` in config.toml."
            )
        # llama.cpp rounds up to a multiple of 256; a batch may still hold no more than was asked
        # for.
        self.n_ctx = n_ctx
        self.n_ubatch = n_ubatch
        self.abort_flag = AbortFlag()
        self._abort_callback = ctypes.cast(library.native_strlen(), self._api.ggml_abort_callback)
        self._api.llama_set_abort_callback(
            self.handle, self._abort_callback, self.abort_flag.address
        )
        self._memory = self._api.llama_get_memory(self.handle)  # None: it sees a text at once
        # Whether what was read too much can be taken back.
        self.can_draft = self.saves_all and bool(self._memory)
        self._logits_type = ctypes.c_float * model.n_vocab
        self._logits: dict[int, NDArray[np.float32]] = {}  # by address
        # A graphics card is waited for here.
        self._logits_at = library.addressing(
            self._api.llama_get_logits_ith, waits=model.uses_graphics
        )
        self._held: dict[int, Held] = {0: Held()}
        self._live = 0
        self._cells = Cells(self.n_cells)
        self._known: OrderedDict[tuple[int, int], Noted] = OrderedDict()
        self._batch = Batch(self._api, n_ctx)
        # How many tokens the last evaluation had, and when it began, by `time.perf_counter`.
        self.last_evaluation = (0, 0.0)

    @property
    def tokens(self) -> list[int]:
        """What the sequence holds that is read and continued."""
        return self._held[self._live].tokens

    @property
    def live(self) -> int:
        """Which sequence that is."""
        return self._live

    @property
    def held(self) -> dict[int, Held]:
        """Every sequence by llama.cpp's number, the latest used last."""
        return self._held

    @property
    def n_used_cells(self) -> int:
        """How many cells are taken, those that sequences share counted once."""
        return self._cells.n_used

    def n_in_order(self) -> int:
        """How many tokens of the live sequence may be kept so that the next come behind them."""
        return self._cells.n_in_order(self._held[self._live].cells)

    def reach(self, number: int, n_tokens: int) -> int:
        """How many of a sequence's first `n_tokens` can be gone on from: all, or fewer."""
        if self.saves_all or n_tokens == len(self._held[number].tokens):
            return n_tokens
        if self._is_recurrent:
            return 0
        first = self._api.llama_memory_seq_pos_min(self._memory, number)
        return n_tokens if first <= max(0, n_tokens + 1 - self._n_swa) else 0

    def pass_over(self, prompt: Sequence[int]) -> None:
        """Forget what is held beside the sequences and leads to no such prompt: nothing here."""

    def switch(self, number: int) -> None:
        """Read and continue another sequence from now on."""
        self._held[number] = self._held.pop(number)
        self._held[number].n_passes = 0
        self._live = number

    def fork(self, n_tokens: int) -> bool:
        """Go on behind the first `n_tokens` in a sequence of its own, and leave this one as it is.

        False where there can be none.
        """
        if not self.can_fork or self.reach(self._live, n_tokens) < n_tokens:
            return False
        number, was = self._free_number(n_tokens), self._held[self._live]
        cells = self._copy(number, n_tokens)
        n_prompt = min(was.n_prompt, n_tokens)
        self._held[number] = Held(was.tokens[:n_tokens], cells, n_prompt, was.client)
        for (known, n_known), noted in list(self._known.items()):
            if known == self._live and n_known <= n_tokens:
                self._know(number, n_known, noted)
        self.switch(number)
        return True

    def drop(self, number: int) -> None:
        """Forget a sequence that is not the live one."""
        assert number != self._live, "what is read and continued is kept"
        self._api.llama_memory_seq_rm(self._memory, number, -1, -1)
        self._cells.free(self._held.pop(number).cells)
        self._forget(number, -1)

    def keep(self, n_tokens: int) -> None:
        """Forget all but the first `n_tokens`; what cannot be cut back to there forgets more."""
        if n_tokens != len(self.tokens):
            self._cut(self.reach(self._live, n_tokens) if self._memory else 0)

    def _cut(self, n_tokens: int) -> None:
        """Leave the first `n_tokens`, or none where llama.cpp refuses."""
        remove, memory, live = self._api.llama_memory_seq_rm, self._memory, self._live
        if memory and not remove(memory, live, n_tokens, -1):
            n_tokens = 0
            remove(memory, live, -1, -1)
        held = self._held[self._live]
        self._cells.free(held.cells[n_tokens:])
        del held.tokens[n_tokens:], held.cells[n_tokens:]
        held.n_prompt = min(held.n_prompt, n_tokens)
        self._forget(self._live, n_tokens)

    def evaluate(self, tokens: Sequence[int], n_told: int = 1) -> None:
        """Append tokens to the live sequence; what comes after each of the last `n_told` is known.

        Raises Aborted when the flag was set (what was finished is in `tokens`), EngineError when
        llama.cpp fails (the cache is empty then).
        """
        held = self._held[self._live]
        if len(held.tokens) + len(tokens) > self.n_ctx:
            # llama.cpp would end the process.
            raise EngineError(f"A prompt of {len(tokens)} tokens does not fit into {self.n_ctx}.")
        if not tokens:
            return
        n_last = max(self.n_least, n_told)
        if len(tokens) > self.n_ubatch and 0 < len(tokens) % self.n_ubatch < n_last < len(tokens):
            # The last part would be too small.
            self.evaluate(tokens[:-n_last])
            tokens = tokens[-n_last:]
        self._make_room(len(tokens))
        self.last_evaluation = (len(tokens), time.perf_counter())
        status = self._api.llama_decode(self.handle, self._filled(tokens, n_told))
        if status == 0:
            self._append(tokens)
        elif status == _ABORTED:
            if self._is_recurrent:
                # The state is somewhere between two tokens, and llama.cpp does not say so.
                self._lose_state()
            elif self._memory:
                n_held = self._api.llama_memory_seq_pos_max(self._memory, self._live) + 1
                self._append(tokens[: n_held - len(held.tokens)])
            raise Aborted
        else:
            self.clear()
            raise EngineError(f"llama.cpp failed to evaluate (status {status}): {last_words()}")

    def logits(self, n_before: int = 0) -> NDArray[np.float32]:
        """What the model says so many tokens before the last that was evaluated: shape (n_vocab,).

        It is llama.cpp's own memory, and holds until the next one is evaluated.
        """
        import numpy as np

        address = self._logits_at(self.handle, -1 - n_before)
        logits = self._logits.get(address)
        if logits is None:
            # Nearly always the same few.
            if len(self._logits) == _MOST_ADDRESSES:
                self._logits.clear()
            every = self._logits_type.from_address(address)
            logits = np.frombuffer(memoryview(every), dtype=np.float32)
            logits.flags.writeable = False
            self._logits[address] = logits
        return logits

    def note(self, n_tokens: int, logits: NDArray[np.float32], *, is_sure: bool) -> None:
        """Remember for a while what the model says after so many tokens of the live sequence."""
        self._know(self._live, n_tokens, Noted(logits.copy(), is_sure))

    def noted(self, n_tokens: int) -> Noted | None:
        """What it says after so many tokens of the live sequence, where that is remembered."""
        place = (self._live, n_tokens)
        if place in self._known:
            self._known.move_to_end(place)
        return self._known.get(place)

    def clear(self) -> None:
        """Forget everything."""
        if self._memory:
            self._api.llama_memory_clear(self._memory, True)
        self._held = {0: Held()}
        self._live = 0
        self._cells = Cells(self.n_cells)
        self._known.clear()

    def n_saved_bytes(self) -> int:
        """How large the live sequence is when it is saved."""
        n_bytes: int = self._api.llama_state_seq_get_size(self.handle, self._live)
        return n_bytes

    def saved(self) -> mmap | None:
        """The live sequence as bytes, which `restore` takes; None where that cannot be.

        Pages of its own: where such blocks come and go in malloc's heap, holes are left in it.
        """
        n_bytes = self.n_saved_bytes()
        if not n_bytes:
            return None
        saved = mmap(-1, n_bytes)
        buffer = (ctypes.c_uint8 * n_bytes).from_buffer(saved)
        n_written = self._api.llama_state_seq_get_data(self.handle, buffer, n_bytes, self._live)
        return saved if n_written == n_bytes else None

    def restore(self, tokens: Sequence[int], saved: mmap) -> bool:
        """Have the live sequence be what was saved; where it cannot, it is empty, and False."""
        self.keep(0)
        self._make_room(len(tokens))
        buffer = (ctypes.c_uint8 * len(saved)).from_buffer(saved)
        n_read = self._api.llama_state_seq_set_data(self.handle, buffer, len(saved), self._live)
        n_held = self._api.llama_memory_seq_pos_max(self._memory, self._live) + 1
        if n_read != len(saved) or n_held != len(tokens):
            self._api.llama_memory_seq_rm(self._memory, self._live, -1, -1)
            return False
        self._append(tokens)
        return True

    def close(self) -> None:
        self._api.llama_free(self.handle)

    def _append(self, tokens: Sequence[int]) -> None:
        held = self._held[self._live]
        held.tokens.extend(tokens)
        held.cells.extend(self._cells.take(len(tokens)))

    def _lose_state(self) -> None:
        """The live sequence can no longer be gone on from where it ends."""
        self._cut(0)

    def _free_number(self, n_tokens: int) -> int:
        """A sequence of llama.cpp's that is not in use, to copy `n_tokens` to; the oldest goes."""
        if len(self._held) == self._n_sequences:
            self._drop_oldest()
        return next(n for n in range(self._n_sequences) if n not in self._held)

    def _drop_oldest(self) -> None:
        self.drop(next(number for number in self._held if number != self._live))

    def _copy(self, number: int, n_tokens: int) -> list[int]:
        """Have another sequence begin with the first `n_tokens` of the live one; in which cells."""
        self._api.llama_memory_seq_cp(self._memory, self._live, number, 0, n_tokens)
        cells = self._held[self._live].cells[:n_tokens]
        self._cells.share(cells)
        return cells

    def _make_room(self, n_tokens: int) -> None:
        """Drop the sequences that were not used for longest, until so many cells are free."""
        while len(self._held) > 1 and self._cells.n_free < n_tokens:
            self._drop_oldest()

    def _know(self, number: int, n_tokens: int, noted: Noted) -> None:
        self._known[number, n_tokens] = noted
        self._known.move_to_end((number, n_tokens))
        if len(self._known) > _N_PLACES_KNOWN:
            self._known.popitem(last=False)

    def _forget(self, number: int, n_tokens: int) -> None:
        for place in [at for at in self._known if at[0] == number and at[1] > n_tokens]:
            del self._known[place]

    def _filled(self, tokens: Sequence[int], n_told: int) -> Any:
        """The batch that appends tokens to the live sequence, and asks what comes after them."""
        return self._batch.filled(tokens, len(self.tokens), self._live, n_told)

    def _adjust(self, parameters: Any) -> None:
        """Change what llama.cpp is asked for, in contexts of another kind."""


def n_spare_cells(n_ctx: int) -> int:
    """How many cells a context has beyond its window, for what forks hold on their own."""
    return min(int(n_ctx * _SPARE_SHARE), _MOST_SPARE_CELLS)
