"""Replays typing on the real language server, and prints what each kind of key has cost.

Run: `python -m benchmarks.keystrokes`, or `make bench`
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.keystrokes import machine
from benchmarks.keystrokes.comparison import RANDOM, STARTER, Subject, compare, subject
from benchmarks.keystrokes.corpus import default_files, read, readable
from benchmarks.keystrokes.replay import Pace
from benchmarks.keystrokes.table import lines_of
from benchmarks.keystrokes.trace import Trace, from_json, to_json
from benchmarks.keystrokes.typist import type_files

OUT = Path(__file__).resolve().parents[2] / "build" / "keystrokes"
# A large model answers so much slower that fewer keys take as long.
_RANDOM_SHARE = 0.1


def main() -> None:
    """Measure, print, and write everything below `build/keystrokes/`."""
    options = _options()
    OUT.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.description(),
        "n_threads": options.threads,
        "models": {},
    }
    for name in options.models:
        model = subject(name, OUT)
        results["models"][name] = _measure(model, options)
        (OUT / "last.json").write_text(json.dumps(results), "utf-8")
    print(f"Figures and traces: {OUT}")


def _measure(model: Subject, options: argparse.Namespace) -> dict[str, Any]:
    trace = _trace(model, options)
    (OUT / f"trace-{model.name}.json").write_text(to_json(trace), "utf-8")
    print(
        f"{model.name}: {trace.n_keystrokes} keys in {len(trace.sources)} files, seed {trace.seed},"
        f" {options.threads} threads each, {options.pause_ms} ms between answer and key"
    )
    pace = Pace(options.pause_ms / 1_000, options.at_most_s)
    figures, missing = compare(model, trace, options.threads, pace, options.alone, _say_progress)
    print(*lines_of(figures), *missing, "", sep="\n", flush=True)
    return {name: own.as_json() for name, own in figures.items()}


def _trace(model: Subject, options: argparse.Namespace) -> Trace:
    if options.trace:
        return from_json(read(options.trace))
    files = readable(options.files or default_files())
    share = _RANDOM_SHARE if model.name == RANDOM else 1
    return type_files(files, max(1, round(options.keystrokes * share)), options.seed)


def _say_progress(n_done: int, n_all: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if n_done == n_all else "\r"
        print(f"  {n_done} of {n_all}", end=end, file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.keystrokes", description="What a keystroke costs."
    )
    parser.add_argument(
        "--keystrokes",
        type=int,
        default=600,
        metavar="N",
        help="about how many are typed with the starter model (a tenth of them with the large one;"
        " default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="for another trace")
    parser.add_argument(
        "--files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="what is typed; by default the standard library's and installed packages' sources",
    )
    parser.add_argument("--trace", type=Path, help="replay one that an earlier run has written")
    parser.add_argument(
        "--models",
        nargs="+",
        choices=(STARTER, RANDOM),
        default=[STARTER, RANDOM],
        help="which models (default: both)",
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=machine.n_threads(),
        metavar="N",
        help="for everybody's model (default: half the processors)",
    )
    parser.add_argument(
        "--pause-ms",
        type=int,
        default=100,
        metavar="MS",
        help="how long the typist waits after each answer (default: %(default)s, which are at most"
        " 120 words a minute)",
    )
    parser.add_argument(
        "--at-most-s",
        type=float,
        default=120,
        metavar="S",
        help="who has typed so long with a model leaves the rest out (default: %(default)s)",
    )
    parser.add_argument("--alone", action="store_true", help="measure tabby-lsp only")
    return parser.parse_args()


if __name__ == "__main__":
    main()
