"""Vectors of texts: from the starter, which was not made for them, and from a small BERT."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import gguf
import numpy as np
import pytest

from tabby_lsp.config import LocalSettings
from tabby_lsp.domain import Embedding, EngineError
from tabby_lsp.engines.llama.binding import Model
from tabby_lsp.engines.llama.embedding import LlamaEmbedder, VectorContext
from tabby_lsp.engines.llama.precedence import Precedence
from tabby_lsp.models.gguf import read_header
from tests.model.starter import PATH, SOURCE
from tests.models.vector_model import N_CTX, WIDTH, write_vector_model

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from typing import TypeVar

    Result = TypeVar("Result")

# Two by two, the same done in other words.
TWINS = (
    "def add(a, b):\n    return a + b\n",
    "def plus(x, y):\n    return x + y\n",
    "class Server:\n    def __init__(self, host, port):\n        self.host = host\n",
    "class Client:\n    def __init__(self, address, name):\n        self.address = address\n",
    "import os\nimport sys\nfrom pathlib import Path\n",
    "import json\nimport re\nfrom typing import Any\n",
    "for line in open(path):\n    print(line.strip())\n",
    "with open(name) as file:\n    for row in file:\n        print(row.rstrip())\n",
    "assert total == 3\nassert not errors\n",
    "assert result is None\nassert len(found) == 1\n",
)


def run(
    path: Path,
    work: Callable[[LlamaEmbedder], Awaitable[Result]],
    precedence: Precedence | None = None,
) -> Result:
    async def with_embedder() -> Result:
        embedder = LlamaEmbedder(
            "vectors", read_header(path), LocalSettings(), precedence or Precedence()
        )
        try:
            return await work(embedder)
        finally:
            await embedder.close()

    return asyncio.run(with_embedder())


@pytest.fixture(scope="module", params=["starter", "bert"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "starter":
        return PATH
    return write_vector_model(tmp_path_factory.mktemp("bert") / "bert.gguf")


def test_similar_code_is_nearer_than_other_code() -> None:
    """With the starter: each of ten pieces is nearest to the one that does the same."""
    vectors = np.array([each.vector for each in run(PATH, lambda e: e.embed(TWINS))])
    nearness = vectors @ vectors.T - 2 * np.eye(len(TWINS))
    assert nearness.argmax(axis=1).tolist() == [n ^ 1 for n in range(len(TWINS))]


def test_vectors_have_length_one_and_come_in_order(model: Path) -> None:
    async def work(embedder: LlamaEmbedder) -> tuple[list[Embedding], list[Embedding]]:
        single = [(await embedder.embed([text]))[0] for text in reversed(TWINS)]
        return await embedder.embed(TWINS), single[::-1]

    together, single = run(model, work)
    assert together == single
    assert len(set(together)) == len(TWINS)
    for each in together:
        assert np.linalg.norm(each.vector) == pytest.approx(1)


def test_a_text_that_is_too_long_is_cut(model: Path) -> None:
    n_ctx = 1024 if model == PATH else N_CTX
    end = "\nanother end\n"
    whole, other, short = run(model, lambda e: e.embed([SOURCE * 20, SOURCE * 20 + end, "x"]))
    assert whole.n_tokens == n_ctx
    assert whole == other
    assert short.n_tokens < 5


def test_nothing_and_odd_texts_have_vectors(model: Path) -> None:
    texts = ["", " ", "\x00", "\ud800", "<fim_prefix>", "[SEP]", "é\U0001f600", "\t" * 5000]
    for each in run(model, lambda embedder: embedder.embed(texts)):
        assert np.linalg.norm(each.vector) == pytest.approx(1)
        assert each.n_tokens > 0


def test_no_texts_are_no_vectors(model: Path) -> None:
    assert run(model, lambda embedder: embedder.embed([])) == []


class _Pooled(VectorContext):
    """llama.cpp's own mean over a text that is read in one call."""

    def _adjust(self, parameters: Any) -> None:
        super()._adjust(parameters)
        parameters.pooling_type = self._api.LLAMA_POOLING_TYPE_MEAN

    def mean(self, width: int) -> Any:
        pointer = self._api.llama_get_embeddings_seq(self.handle, 0)
        return np.ctypeslib.as_array(pointer, shape=(width,)).copy()


def test_the_mean_is_llama_cpps_own(model: Path) -> None:
    """Of a text that takes the starter several calls."""
    text = SOURCE[:1500] if model == PATH else "one two three four 1 2 3"
    ours = run(model, lambda embedder: embedder.embed([text]))[0]
    weights = Model(model)
    context = _Pooled(weights, 1024, 1024, 1)
    tokens = weights.tokenize_whole(text)
    context.evaluate(tokens)
    theirs = context.mean(len(ours.vector))
    context.close()
    weights.close()

    assert ours.n_tokens == len(tokens)
    assert np.dot(ours.vector, theirs / np.linalg.norm(theirs)) == pytest.approx(1, abs=1e-4)


def test_the_file_says_how_tokens_become_a_text(tmp_path: Path) -> None:
    kinds = (None, gguf.PoolingType.MEAN, gguf.PoolingType.CLS, gguf.PoolingType.LAST)
    vectors = [
        run(write_vector_model(tmp_path / f"{kind}.gguf", kind), lambda e: e.embed(["a b c"]))[0]
        for kind in kinds
    ]
    assert vectors[0] == vectors[1]
    assert len({each.vector for each in vectors}) == 3
    assert len(vectors[0].vector) == WIDTH


def test_a_reranker_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = write_vector_model(tmp_path / "rank.gguf", gguf.PoolingType.RANK)
    with pytest.raises(EngineError, match="is a reranker"):
        run(path, lambda embedder: embedder.embed(["a"]))


def test_work_that_is_cancelled_frees_the_model(model: Path) -> None:
    async def work(embedder: LlamaEmbedder) -> list[list[Embedding]]:
        await embedder.load()
        [first] = await embedder.embed(["a = 1"])
        again = []
        for n in range(15):
            task = asyncio.ensure_future(embedder.embed([SOURCE * 20] * 5000))
            await asyncio.sleep(0.005 * n)
            task.cancel()
            async with asyncio.timeout(100):
                again.append(await embedder.embed(["a = 1"]))
        assert embedder.status.n_waiting == 0
        return [[first], *again]

    first, *again = run(model, work)
    assert all(each == first for each in again)


def test_vectors_wait_while_a_completion_runs(model: Path) -> None:
    async def work(embedder: LlamaEmbedder) -> tuple[list[Embedding], list[Embedding]]:
        texts = [SOURCE[:2000]] * 3
        undisturbed = await embedder.embed(texts)
        task = asyncio.ensure_future(embedder.embed(texts))
        pause_s = 0.05
        while not task.done():
            with precedence.first():
                await asyncio.sleep(0)
            # Sooner or later long enough for some of what was interrupted to be finished.
            await asyncio.sleep(pause_s)
            pause_s *= 1.1
        return undisturbed, task.result()

    precedence = Precedence()
    undisturbed, interrupted = run(model, work, precedence)
    assert interrupted == undisturbed
