"""How many rests of lines a model gets right in the held-out packages, along the truth.

Each token of the true rest has to be the likeliest one behind those before it, chosen as the
product chooses: what is typed already binds, and what stands elsewhere is copied. One pass of the
network for each place, so this judges checkpoints; `training.evaluate` judges models.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, islice
from typing import TYPE_CHECKING

import numpy as np

from tabby_lsp.engines.llama.healing import Vocabulary
from tabby_lsp.engines.llama.sampling import scores_of
from training import corpus, samples, tokenizer
from training.copying import answer_logits, copy_source, ends_line, right_tokens
from training.export import read_gate, read_gguf
from training.pieces import END
from training.train import load_checkpoint, settle

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from tokenizers import Tokenizer

    from tabby_lsp.models.families import CopyGate
    from training.model import Decoder
    from training.samples import Asked

# Drawn as people type; the trainer's own measure takes others.
_SEED = 700_000_000


@dataclass(frozen=True, slots=True)
class Line:
    """One place."""

    is_right: bool
    nats: float  # of the whole rest
    n_tokens: int


def judge(folder: Path, models: Sequence[Path], n_places: int, is_cross_file: bool) -> str:
    """A line for each: GGUF files, the first of which has the vocabulary, and folders of runs.

    A run copies as the first model does.
    """
    settle()
    pieces = tokenizer.read_gguf(models[0])
    of_bytes = tokenizer.bytes_of(pieces)
    files = corpus.read(folder / "held-out.jsonl.xz")
    sampler = samples.Sampler(files, pieces, of_bytes, cross_file_share=float(is_cross_file))
    drawn = (each for seed in count(_SEED) for each in sampler.ask(seed))
    fit = (
        each
        for each in drawn
        if _has_rest(each, of_bytes) and (not is_cross_file or sampler.is_cross_file(each))
    )
    asked = [*islice(fit, n_places)]
    told = []
    first: list[Line] = []
    for path in models:
        model = load_checkpoint(path)[0] if path.is_dir() else read_gguf(path)
        gate = read_gate(models[0] if path.is_dir() else path)
        lines = [*along_the_truth(model, gate, pieces, of_bytes, asked)]
        first = first or lines
        told.append(f"{path}: {_told(lines, first)}")
    return "\n".join(told)


def _has_rest(asked: Asked, pieces: Sequence[bytes]) -> bool:
    """Whether there is more to the line than what is typed."""
    answer = b"".join(pieces[token] for token in asked.answer)
    return bool(answer[len(asked.typed.encode()) :].partition(b"\n")[0].strip())


def _told(lines: Sequence[Line], first: Sequence[Line]) -> str:
    n_won = sum(a.is_right > b.is_right for a, b in zip(lines, first, strict=True))
    n_lost = sum(a.is_right < b.is_right for a, b in zip(lines, first, strict=True))
    nats = sum(line.nats for line in lines) / sum(line.n_tokens for line in lines)
    share = sum(line.is_right for line in lines) / len(lines)
    return f"{share:.3f} of {len(lines)} right, +{n_won} -{n_lost}, {nats:.3f} nats a token"


def along_the_truth(
    model: Decoder,
    gate: CopyGate | None,
    spelling: Tokenizer,
    pieces: Sequence[bytes],
    asked: Iterable[Asked],
) -> Iterator[Line]:
    """What each place's first line comes to."""
    vocabulary = Vocabulary(pieces)
    for each in asked:
        source = copy_source(gate, spelling, each) if gate else None
        is_right, nats, n_tokens = True, 0.0, 0
        left = each.typed.encode()
        for token, logits in answer_logits(model, each):
            is_end = not left and (token == END or ends_line(pieces[token]))
            if left:
                logits = vocabulary.only_fitting(logits, left)
            if source is not None:
                logits = source.mixed(logits)
                source.hear(token)
            right = right_tokens(END if is_end else token, pieces)
            nats -= _log_share(logits, right)
            n_tokens += 1
            is_right &= int(logits.argmax()) in right
            left = left[len(pieces[token]) :]
            if is_end:
                break
        yield Line(is_right, nats, n_tokens)


def _log_share(logits: NDArray[np.float32], right: list[int]) -> float:
    """The logarithm of the probability of any of them."""
    every = scores_of(logits)
    return float(np.log(every[right].sum() / every.sum() + 1e-9))
