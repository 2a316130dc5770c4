"""What was kept, forked, parked and restored says what a cold prompt says: 300 keys, seeded."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from tabby_lsp.engines.llama.copying import Copying, GreedyCopying
from tabby_lsp.engines.llama.healing import Healing
from tabby_lsp.engines.llama.sampling import Greedy
from tests import reference_document
from tests.model.random_qwen import write_random_qwen
from tests.model.starter import PATH, SOURCE, Bench, bench
from tests.model.typist import Typist

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabby_lsp.engines.llama.desk import Prompt
    from tabby_lsp.engines.llama.sampling import Choose
    from tabby_lsp.models.fim_table import Layout

N_CTX = 448
N_TOKENS = 8
OTHER = Path(reference_document.__file__).read_text("utf-8")


def asked(warm: Bench, n_cases: int, seed: str) -> Iterator[tuple[Prompt, str]]:
    """Prompts and answers of somebody who types, for one key in three, with work done ahead."""
    rng = random.Random(seed)
    typist = Typist({"engine.py": SOURCE, "document.py": OTHER}, seed, N_TOKENS)
    for key in islice(typist.keys(), 3 * n_cases):
        if rng.random() < 0.2:
            segments = replace(key.request.segments, prefix=key.request.segments.prefix + "self\n")
            warm.ask(replace(key.request, segments=segments, is_ahead=True))
        text, prompt, _ = warm.ask(key.request)
        yield prompt, text


def cold_text(cold: Bench, prompt: Prompt) -> str:
    """What is said to a prompt that is read in one go."""
    context, model, vocabulary = cold.loaded.context, cold.loaded.model, cold.desk.vocabulary
    assert vocabulary is not None
    end_tokens = tuple({*model.eog_tokens, *cold.fim.end_tokens})
    likeliest: Choose = Greedy(end_tokens)
    if gate := cold.fim.copy_gate:
        source = Copying(gate, prompt.elsewhere, prompt.open_tokens)
        likeliest = GreedyCopying(source, end_tokens)
    choose_healed = Healing(prompt.typed, vocabulary, likeliest)
    context.clear()
    context.evaluate(prompt.tokens)
    said, n_said = b"", 0
    while n_said < N_TOKENS:
        token = choose_healed(context.logits()).token
        if token is None:
            break
        choose_healed.hear(token)
        said += model.piece(token)
        n_said += len(said) >= len(prompt.typed)
        context.evaluate([token])
    return said[len(prompt.typed) :].decode("utf-8", "replace")


def n_unlike(path: Path, layout: Layout | None, seed: str) -> int:
    """Of 100 keys, those whose answer is not that of the same prompt, read in one go."""
    warm, cold = bench(path, layout, n_ctx=N_CTX), bench(path, layout, n_ctx=N_CTX)
    every = list(asked(warm, 100, seed))[::3]
    unlike = [prompt for prompt, text in every if cold_text(cold, prompt) != text]
    warm.close()
    cold.close()
    return len(unlike)


def test_300_answers_are_those_of_cold_prompts(tmp_path: Path) -> None:
    """The starter in its own order and in another, and one that reads the prefix first.

    Forks are computed in other cells, and a token alone by other kernels: a tie may fall otherwise.
    """
    qwen = write_random_qwen(tmp_path / "qwen.gguf")
    n = n_unlike(PATH, "spm_v2", "a") + n_unlike(PATH, "psm", "b") + n_unlike(qwen, None, "c")

    assert n <= 3
