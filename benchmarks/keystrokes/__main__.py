"""Replays typing on the real language server, and prints what each kind of key has cost.

Run: `python -m benchmarks.keystrokes`, or `make bench`
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.keystrokes import machine, plot, readme, soak
from benchmarks.keystrokes.comparison import OTHERS, RANDOM, STARTER, compare, settings_of, subject
from benchmarks.keystrokes.corpus import default_files, read, readable
from benchmarks.keystrokes.engine import engine_figures
from benchmarks.keystrokes.goals import Goal, Measured, goals_of
from benchmarks.keystrokes.language_server import NAME
from benchmarks.keystrokes.llama_vim import NAME as LLAMA_VIM
from benchmarks.keystrokes.replay import Pace
from benchmarks.keystrokes.responsiveness import lags_ms_p99, start_ratio
from benchmarks.keystrokes.table import goal_lines, lines_of
from benchmarks.keystrokes.trace import Trace, from_json, to_json
from benchmarks.keystrokes.typist import type_files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.keystrokes.comparison import Subject
    from benchmarks.keystrokes.figures import Figures

OUT = Path(__file__).resolve().parents[2] / "build" / "keystrokes"
# A large model answers so much slower that fewer keys take as long.
_RANDOM_SHARE = 0.1
_N_TEXTS = 4


def main() -> None:
    """Measure, print, and write everything below `build/keystrokes/`."""
    options = _options()
    OUT.mkdir(parents=True, exist_ok=True)
    try:
        files = readable(options.files or default_files())
        if options.soak:
            _soak(files, options)
        else:
            _bench(files, options)
    except (OSError, ValueError) as error:
        sys.exit(f"{error}")


def _bench(files: Sequence[tuple[str, str]], options: argparse.Namespace) -> None:
    here = f"{machine.description()}, {machine.load()}"
    print(here)
    ratio = start_ratio()
    for name in options.models:
        try:
            model = subject(name, OUT)
        except SystemExit as failed:
            print(f"\n{failed}\nLEFT OUT: {name}, for its vocabulary cannot be fetched")
            continue
        now = datetime.now(UTC)
        trace = _trace(model, files, options)
        figures, goals = _measure(model, trace, files, ratio, options)
        results = {
            "date": now.isoformat(timespec="seconds"),
            "machine": here,
            "n_threads": options.threads,
            "seed": trace.seed,
            "n_keystrokes": trace.n_keystrokes,
            "figures": {who: own.as_json() for who, own in figures.items()},
            "goals": [{**asdict(goal), "is_met": goal.is_met} for goal in goals],
        }
        (OUT / f"{name}.json").write_text(json.dumps(_without_nan(results), indent=1), "utf-8")
        title = f"From key to ghost text, {name}: median, and 95th percentile"
        picture = plot.svg(title, figures)
        (OUT / f"{name}.svg").write_text(picture, "utf-8")
        if options.write_readme:
            (readme.PICTURES / f"keystrokes-{name}.svg").write_text(picture, "utf-8")
            when = f"{now:%Y-%m-%d}, {here}, threads for each program's model: {options.threads}"
            readme.write(name, [f"**{name}**, {when}", "", *readme.rows(figures)], title)
    print(f"Figures, traces and pictures: {OUT}")


def _measure(
    model: Subject,
    trace: Trace,
    files: Sequence[tuple[str, str]],
    ratio: float,
    options: argparse.Namespace,
) -> tuple[dict[str, Figures], list[Goal]]:
    print(
        f"\n{model.name}: {trace.n_keystrokes} keys in {len(trace.sources)} files, seed"
        f" {trace.seed}, {options.threads} thread(s) each, {options.pause_ms} ms between answer"
        " and key",
        flush=True,
    )
    (OUT / f"trace-{model.name}.json").write_text(to_json(trace), "utf-8")
    pace = Pace(options.pause_ms / 1_000, options.at_most_s)
    figures, missing = compare(model, trace, options.threads, pace, options.beside, _say_progress)
    print(*lines_of(figures), *missing, sep="\n", flush=True)
    texts = [text for _, text in random.Random(options.seed).choices(files, k=_N_TEXTS)]
    engine = asyncio.run(engine_figures(model, options.threads, texts, options.seed))
    print(
        f"  llama.cpp alone: {engine.prefill_per_s:,.0f} tokens/s read (256 at once),"
        f" {engine.decode_per_s:,.0f} tokens/s written"
    )
    lag_ms, idle_ms = lags_ms_p99(settings_of(model, options.threads), texts)
    print(
        f"  the event loop's lag on this machine now, without a model at work: {idle_ms:.1f} ms p99"
    )
    measured = Measured(
        figures[NAME],
        figures.get(LLAMA_VIM),
        engine,
        lag_ms,
        ratio,
        model.n_exactly,
    )
    goals = [*goals_of(measured)]
    print("", *goal_lines(goals), sep="\n", flush=True)
    return figures, goals


def _soak(files: Sequence[tuple[str, str]], options: argparse.Namespace) -> None:
    trace = type_files(files, options.soak, options.seed)
    print(f"{trace.n_keystrokes} keys in {len(trace.sources)} files, seed {trace.seed}", flush=True)
    settings = settings_of(subject(options.models[0], OUT), options.threads)
    samples = soak.soak(trace, settings)
    print(*soak.lines_of(samples), sep="\n")
    values = [{"n_keys": sample.n_keys, **asdict(sample.usage)} for sample in samples]
    (OUT / "soak.json").write_text(json.dumps(values, indent=1), "utf-8")


def _without_nan(value: Any) -> Any:
    """What was not measured is null: JSON knows no NaN."""
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _trace(model: Subject, files: Sequence[tuple[str, str]], options: argparse.Namespace) -> Trace:
    if options.trace:
        return from_json(read(options.trace))
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
    add = parser.add_argument
    add(
        "--keystrokes",
        type=int,
        default=600,
        metavar="N",
        help="about how many are typed with the starter model (a tenth of them with the large one;"
        " default: %(default)s)",
    )
    add("--seed", type=int, default=0, metavar="S", help="for another trace")
    add(
        "--files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="what is typed; by default the standard library's and installed packages' sources",
    )
    add("--trace", type=Path, help="replay one that an earlier run has written")
    add(
        "--models",
        nargs="+",
        choices=(STARTER, RANDOM),
        default=[STARTER, RANDOM],
        help="which models (default: both)",
    )
    add(
        "--threads",
        type=int,
        default=machine.n_threads(),
        metavar="N",
        help="for everybody's model (default: half the processors)",
    )
    add(
        "--pause-ms",
        type=int,
        default=100,
        metavar="MS",
        help="how long the typist waits after each answer (default: %(default)s, which are at most"
        " 120 words a minute)",
    )
    add(
        "--at-most-s",
        type=float,
        default=120,
        metavar="S",
        help="who has typed so long with a model leaves the rest out (default: %(default)s)",
    )
    add(
        "--beside",
        nargs="*",
        choices=OTHERS,
        default=OTHERS,
        metavar="WHO",
        help=f"who else is measured, of {', '.join(OTHERS)}; all by default, nobody without a name",
    )
    add(
        "--soak",
        type=int,
        default=0,
        metavar="N",
        help="instead of all that, type N keys as fast as they are answered, and watch memory",
    )
    add("--write-readme", action="store_true", help="put the figures into README.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
