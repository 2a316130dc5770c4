"""A long day: many keys on one language server, while its memory, threads and files are watched."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression
from typing import TYPE_CHECKING

from benchmarks.keystrokes.corpus import read
from benchmarks.keystrokes.language_server import LanguageServer
from benchmarks.keystrokes.replay import Pace, Player
from benchmarks.keystrokes.trace import classes, visits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.keystrokes.processes import Usage
    from benchmarks.keystrokes.trace import Trace

_AS_FAST_AS_IT_ANSWERS = Pace(pause_s=0, at_most_s=float("inf"))
_N_LINES_PRINTED = 20


@dataclass(frozen=True, slots=True)
class Sample:
    """After so many keys."""

    n_keys: int
    usage: Usage


def soak(trace: Trace, settings: str) -> list[Sample]:
    """One sample for each visit to a file."""
    samples = []
    kinds = [*classes(trace)]
    n_before = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        server = LanguageServer(Path(home), settings)
        try:
            player = Player(server, trace, read, _AS_FAST_AS_IT_ANSWERS)
            for keys in visits(trace):
                player.play(keys, kinds[n_before : n_before + len(keys)], n_before)
                n_before += len(keys)
                samples.append(Sample(len(player.strokes), server.usage()))
                if sys.stderr.isatty():
                    print(f"\r  {n_before} of {len(trace.keys)}", end="", file=sys.stderr)
        finally:
            server.close()
    return samples


def lines_of(samples: Sequence[Sample]) -> Iterator[str]:
    """Some of the samples, and how each figure grows in the second half, when all is warm."""
    yield f"  {'keys':>8} {'MB':>8} {'threads':>8} {'files':>6} {'CPU s':>8}"
    every = max(1, len(samples) // _N_LINES_PRINTED)
    for sample in [*samples[:-1:every], samples[-1]]:
        usage = sample.usage
        yield (
            f"  {sample.n_keys:8} {usage.rss_bytes / 1e6:8.1f} {usage.n_threads:8}"
            f" {usage.n_descriptors:6} {usage.cpu_s:8.1f}"
        )
    for what, slope in slopes(samples).items():
        yield f"  second half: {slope:+.3f} {what} each 1,000 keys"


def slopes(samples: Sequence[Sample]) -> dict[str, float]:
    """By least squares, each 1,000 keys."""
    warm = samples[len(samples) // 2 :]
    keys = [sample.n_keys / 1_000 for sample in warm]
    if len(set(keys)) < 2:
        return {}
    figures = {
        "MB": [sample.usage.rss_bytes / 1e6 for sample in warm],
        "threads": [float(sample.usage.n_threads) for sample in warm],
        "files": [float(sample.usage.n_descriptors) for sample in warm],
    }
    return {what: linear_regression(keys, values).slope for what, values in figures.items()}
