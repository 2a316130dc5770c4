"""The whole recipe in a given time: corpus, vocabulary, samples, training, GGUF file.

Invariant: ends when it was told to, give or take the last step; what fits into the time is chosen
before anything is begun.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from itertools import count, islice
from typing import TYPE_CHECKING

from training import corpus, samples, tokenizer
from training.model import Shape

if TYPE_CHECKING:
    from pathlib import Path

    from tokenizers import Tokenizer

    from tabby_lsp.models.families import CopyGate
    from training.model import Decoder

# From small to large; a run takes the largest that sees enough tokens in its time.
SHAPES = (
    Shape(n_vocab=4_096, n_layers=4, width=128, n_heads=2, n_kv_heads=1, feed_forward=352),
    Shape(n_vocab=8_192, n_layers=4, width=192, n_heads=3, n_kv_heads=1, feed_forward=512),
    Shape(n_vocab=8_192),
    Shape(n_vocab=16_384, n_layers=8, width=384, n_heads=6, n_kv_heads=2, feed_forward=1_024),
    Shape(n_vocab=16_384, n_layers=12, width=512, n_heads=8, n_kv_heads=2, feed_forward=1_408),
)
_TOKENS_PER_PARAMETER = 8
# Parameters times tokens a second: measured on a core with bf16, and what a GPU does at the least.
_PACE_OF_CORE, _PACE_OF_GPU = 1.2e10, 5e12
_PACKAGES_PER_MINUTE = 4
_MIN_PACKAGES = 12
_VOCABULARY_CHARS = 20_000_000
_TOKENS_PER_SAMPLE = 700
_SAMPLES_SHARE = 0.15  # of the time
_SAVED_S = 40.0  # for the copy gate and the export
_GATE_PLACES = 100
_GATE_SEED = 900_000_000  # none that a shard has
# A short run needs steps more than it needs quiet ones; and a machine that does something else,
# too, does a quarter of them.
_N_STEPS, _MIN_STEP, _MAX_STEP = 2_400, 4_096, 16_384
_N_HELD_OUT = 90


def make(folder: Path, minutes: float, start: Path | None) -> Path:
    """A model made in so many minutes, from nothing or from the GGUF file `start`; its file."""
    from training.export import read_gguf, write_gguf
    from training.train import Plan, load, train

    ends_s = time.monotonic() + 60 * minutes
    shape = read_gguf(start).shape if start else shape_for(minutes, pace())
    files = corpus_for(folder, minutes)
    pieces = tokenizer.read_gguf(start) if start else vocabulary(files, shape.n_vocab)
    shape = replace(shape, n_vocab=pieces.get_vocab_size())
    _say(f"samples: {len(files)} files, a vocabulary of {shape.n_vocab} pieces")
    shards = folder / "shards"
    write_held_out(folder, pieces)
    sampler = samples.Sampler(files, pieces, tokenizer.bytes_of(pieces))
    n_tokens = int(pace() / n_parameters(shape) * 60 * minutes)
    stops_s = time.monotonic() + _SAMPLES_SHARE * 60 * minutes
    for number in range(1 + n_tokens // _TOKENS_PER_SAMPLE // samples.SHARD_SAMPLES):
        samples.write_shards(sampler, shards, [number], seed=0)
        if time.monotonic() > stops_s:
            break
    left_minutes = max(0.5, (ends_s - time.monotonic() - _SAVED_S) / 60)
    _say(
        f"training: {n_parameters(shape) / 1e6:.1f} million parameters, {left_minutes:.1f} minutes"
    )
    plan = Plan(
        shards=shards, out=folder / "run", start=start, shape=shape, minutes=left_minutes,
        n_processes=n_cores(), step_tokens=min(max(n_tokens // _N_STEPS, _MIN_STEP), _MAX_STEP),
    )  # fmt: skip
    (plan.out / "checkpoint.pt").unlink(missing_ok=True)
    train(plan)
    model, _ = load(plan)
    path = folder / "model.gguf"
    gate = copy_gate(model, files, pieces, _GATE_PLACES)
    write_gguf(model, pieces, path, f"tabby-lsp model of {minutes:g} minutes (python)", gate)
    return path


def copy_gate(
    model: Decoder, files: list[corpus.File], pieces: Tokenizer, n_places: int
) -> CopyGate:
    """How much the model is to copy, fitted at so many places, drawn as people type."""
    from training import copying
    from training.train import settle

    settle()
    of_bytes = tokenizer.bytes_of(pieces)
    sampler = samples.Sampler(files, pieces, of_bytes, cross_file_share=0.0)
    asked = (each for seed in count(_GATE_SEED) for each in sampler.ask(seed))
    return copying.fit(model, pieces, of_bytes, islice(asked, n_places))


def corpus_for(folder: Path, minutes: float) -> list[corpus.File]:
    """The text that is in the folder, as it came from another machine; else a new one."""
    text = folder / "train.jsonl.xz"
    if text.exists():
        _say(f"corpus: the one in {folder}; remove {text} for a new one")
    else:
        n_packages = max(_MIN_PACKAGES, int(minutes * _PACKAGES_PER_MINUTE))
        _say(f"corpus: up to {n_packages} packages")
        corpus.build(folder, n_packages)
    return corpus.read(text)


def shape_for(minutes: float, pace: float) -> Shape:
    """The largest that sees `_TOKENS_PER_PARAMETER` tokens a parameter, else the smallest."""
    n_steps = pace * 60 * minutes
    fit = [s for s in SHAPES if _TOKENS_PER_PARAMETER * n_parameters(s) ** 2 <= n_steps]
    return fit[-1] if fit else SHAPES[0]


def n_parameters(shape: Shape) -> int:
    """With the embedding, which is the output matrix too."""
    heads = 2 * shape.n_heads + 2 * shape.n_kv_heads
    block = shape.width * (heads * shape.head_size + 3 * shape.feed_forward)
    return shape.n_layers * block + shape.n_vocab * shape.width


def vocabulary(files: list[corpus.File], n_pieces: int) -> Tokenizer:
    """Made from a part of the corpus, every file as likely."""
    step = max(1, sum(len(file.text) for file in files) // _VOCABULARY_CHARS)
    return tokenizer.train((file.text for file in files[::step]), n_pieces)


def write_held_out(folder: Path, pieces: Tokenizer) -> None:
    """The samples that training is measured on."""
    (folder / "shards").mkdir(exist_ok=True)
    held_out = corpus.read(folder / "held-out.jsonl.xz")
    sampler = samples.Sampler(held_out, pieces, tokenizer.bytes_of(pieces))
    samples.write(samples.take(sampler, _N_HELD_OUT, 0), samples.held_out(folder / "shards"))


def pace() -> float:
    """Parameters times tokens a second, roughly, of what torch will run on."""
    import torch

    return _PACE_OF_GPU if torch.cuda.is_available() else _PACE_OF_CORE * n_cores()


def n_cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
