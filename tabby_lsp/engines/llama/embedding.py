"""The meaning of texts as vectors, from a GGUF file's model, in this process.

Any model will do: one for vectors, and one that completes or chats, whose vectors of all the tokens
are then averaged. Stands still while a completion runs.
"""

from __future__ import annotations

import ctypes
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tabby_lsp.domain import Embedding, EngineError
from tabby_lsp.engines.llama.answering import patiently
from tabby_lsp.engines.llama.context import Context
from tabby_lsp.engines.llama.resident import Resident

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tabby_lsp.config import LocalSettings
    from tabby_lsp.domain import EngineStatus
    from tabby_lsp.engines.llama.binding import Model
    from tabby_lsp.engines.llama.precedence import Precedence
    from tabby_lsp.engines.llama.resident import Loaded
    from tabby_lsp.engines.llama.speculation import Read
    from tabby_lsp.engines.llama.worker import Job
    from tabby_lsp.models.gguf import Header

# A chunk of code has a few hundred; the attention of a model that sees them all at once takes their
# square of memory.
_MAX_TOKENS = 2048
# Read at once by a model that reads from left to right: llama.cpp keeps the logits of each token,
# which are of no use here and have the vocabulary's size.
_N_UBATCH = 64
_MOST_CHARS_PER_TOKEN = 16
# llama.cpp's numbers of what `pooling_type` may be in a file.
_CLS, _LAST, _RANK = 2, 3, 4


class VectorContext(Context):
    """Gives the vectors of tokens instead of saying what comes next."""

    _n_sequences = 1

    def __init__(self, model: Model, n_ctx: int, n_ubatch: int, n_threads: int) -> None:
        """Raises EngineError."""
        super().__init__(model, n_ctx, n_ubatch, n_threads)
        self._width: int = self._api.llama_model_n_embd_out(model.handle)

    def vectors(self, n_tokens: int) -> NDArray[Any]:
        """Of the last `n_tokens`, which were evaluated in one call: (n_tokens, width), a copy.

        With others before them, where the call had to begin anew.
        """
        import numpy as np

        pointer = self._api.llama_get_embeddings(self.handle)
        rows = np.ctypeslib.as_array(pointer, shape=(len(self._array), self._width))
        return rows[-n_tokens:].copy()

    def _filled(self, tokens: Sequence[int], _: int) -> Any:
        """Without a wish for what comes next: llama.cpp gives the vectors of all."""
        self._array = (ctypes.c_int32 * len(tokens))(*tokens)  # read until it is evaluated
        return self._api.llama_batch_get_one(self._array, len(tokens))

    def _adjust(self, parameters: Any) -> None:
        parameters.embeddings = True
        # Where a text is read in parts, llama.cpp would pool the last part.
        parameters.pooling_type = self._api.LLAMA_POOLING_TYPE_NONE


class LlamaEmbedder:
    """Keeps domain.Embedder's promise with one model, one text after the other."""

    def __init__(
        self, name: str, header: Header, settings: LocalSettings, precedence: Precedence
    ) -> None:
        n_ctx = min(header.n_ctx_train, _MAX_TOKENS)
        n_ubatch = min(n_ctx, _N_UBATCH) if _reads_from_the_left(header) else n_ctx
        settings = replace(settings, n_ctx=n_ctx, n_ubatch=n_ubatch)
        self._resident = Resident(name, header, settings, precedence.wake, VectorContext)
        self._header = header
        self._precedence = precedence

    @property
    def status(self) -> EngineStatus:
        return self._resident.status()

    async def load(self) -> None:
        await self._resident.load(self._prepare)

    async def embed(self, texts: Sequence[str]) -> list[Embedding]:
        await self.load()

        def work(loaded: Loaded, job: Job[list[Embedding]]) -> list[Embedding]:
            context = loaded.context
            with self._precedence.second(context.abort_flag):
                read = patiently(context, self._precedence, lambda: job.is_cancelled)
                return [self._embed(loaded, text, read) for text in texts]

        return await self._resident.call(work)

    async def decode(self, tokens: Sequence[int], *, controls: bool) -> str:
        """As domain.TextEngine has it: a text may come as this model's own token ids."""
        await self.load()
        return await self._resident.decode(tokens, controls=controls)

    async def close(self) -> None:
        await self._resident.close()

    def _prepare(self, loaded: Loaded) -> None:
        if self._header.figure("pooling_type", 0) == _RANK:
            raise EngineError(
                f"{self._header.path} is a reranker, which gives no vectors: "
                "choose a model for embeddings."
            )
        if loaded.model.has_encoder:
            raise EngineError(
                f"{self._header.path} has an encoder and a decoder, which cannot give vectors "
                "here: choose another model for embeddings."
            )

    def _embed(self, loaded: Loaded, text: str, read: Read) -> Embedding:
        context = loaded.context
        assert isinstance(context, VectorContext)
        tokens = _fitting(loaded.model, text, context.n_ctx)
        context.keep(0)
        parts = []
        for start in range(0, len(tokens), context.n_ubatch):
            part = tokens[start : start + context.n_ubatch]
            read(part, 1)
            loaded.n_evaluated_total += len(part)
            parts.append(context.vectors(len(part)))
        vector = _pooled(parts, self._header.figure("pooling_type", 0))
        return Embedding(tuple(vector.tolist()), len(tokens))


def _fitting(model: Model, text: str, n_most: int) -> list[int]:
    """The tokens of a text, without its end where that is too much; at least one."""
    tokens = model.tokenize_whole(text[: n_most * _MOST_CHARS_PER_TOKEN]) or [model.start]
    if len(tokens) > n_most:
        # What the vocabulary puts behind a whole text has no bytes.
        behind = [] if model.piece(tokens[-1]) else tokens[-1:]
        tokens = tokens[: n_most - len(behind)] + behind
    return tokens


def _pooled(parts: list[NDArray[Any]], pooling: int) -> NDArray[Any]:
    """One vector of length 1 from those of the tokens."""
    import numpy as np

    vectors = np.concatenate(parts).astype(np.float64)
    if pooling == _CLS:
        vector = vectors[0]
    elif pooling == _LAST:
        vector = vectors[-1]
    else:
        vector = vectors.mean(axis=0)
    length = float(np.linalg.norm(vector))
    if not np.isfinite(length) or not length:
        raise EngineError("The model computes nonsense, so its file is damaged: get it again.")
    result: NDArray[Any] = vector / length
    return result


def _reads_from_the_left(header: Header) -> bool:
    """Whether a token's vector knows nothing of the text behind it."""
    causal = header.metadata.get(f"{header.architecture}.attention.causal")
    if isinstance(causal, bool):
        return causal
    return not any(word in header.architecture for word in ("bert", "embedding"))
