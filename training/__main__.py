"""`python -m training`: the recipe, whole or step by step."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

FOLDER = Path("build/training")
_VOCABULARY = "the model whose vocabulary it has"


def main() -> None:
    """Does what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where all files are")
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="everything, in so many minutes")
    make.add_argument("--minutes", type=float, default=10)
    make.add_argument("--start", type=Path, metavar="GGUF", help="the model to go on from")
    build = commands.add_parser("corpus", help="fetch the packages, and write the text")
    build.add_argument("--packages", type=int, metavar="N", help="fewer than there are")
    draw = commands.add_parser("samples", help="write shards of samples")
    draw.add_argument("--start", type=Path, metavar="GGUF", required=True, help=_VOCABULARY)
    draw.add_argument("--shards", type=int, nargs=2, default=(0, 4), metavar=("FROM", "TO"))
    learn = commands.add_parser("train", help="train; goes on from the last checkpoint")
    learn.add_argument("--start", type=Path, metavar="GGUF", required=True)
    learn.add_argument("--out", type=Path, required=True)
    learn.add_argument("--minutes", type=float, required=True, help="with those of earlier runs")
    learn.add_argument("--muon", type=float, default=0.02, help="the highest learning rates")
    learn.add_argument("--adam", type=float, default=3e-3)
    learn.add_argument("--level", type=float, default=0.5, help="the part before they sink")
    learn.add_argument("--step-tokens", type=int, default=16_384)
    save = commands.add_parser("export", help="fit the copy gate, and write a GGUF file")
    save.add_argument("--start", type=Path, metavar="GGUF", required=True, help=_VOCABULARY)
    save.add_argument("--out", type=Path, help="the run's folder; without it, --start again")
    save.add_argument("--places", type=int, default=1_000, help="at which the gate is fitted")
    save.add_argument("--name", required=True)
    save.add_argument("file", type=Path)
    grow = commands.add_parser("grow", help="write a larger model that says the same")
    grow.add_argument("--start", type=Path, metavar="GGUF", required=True)
    grow.add_argument("--feed-forward", type=int, required=True, help="units; a multiple of 32")
    grow.add_argument("file", type=Path)
    judge = commands.add_parser("lines", help="count the rests of lines that are right")
    judge.add_argument("--places", type=int, default=600)
    judge.add_argument("--cross-file", action="store_true", help="those that need another file")
    judge.add_argument("model", type=Path, nargs="+", help="a GGUF file, or a run's folder")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    sys.stderr.write(f"{_RUN[arguments.command](arguments)}\n")


def _make(arguments: argparse.Namespace) -> object:
    from training.recipe import make

    return make(arguments.folder, arguments.minutes, arguments.start)


def _corpus(arguments: argparse.Namespace) -> object:
    from training.corpus import build

    return build(arguments.folder, arguments.packages)


def _samples(arguments: argparse.Namespace) -> object:
    from training import corpus, recipe, samples, tokenizer

    pieces = tokenizer.read_gguf(arguments.start)
    recipe.write_held_out(arguments.folder, pieces)
    files = corpus.read(arguments.folder / "train.jsonl.xz")
    sampler = samples.Sampler(files, pieces, tokenizer.bytes_of(pieces))
    samples.write_shards(sampler, arguments.folder / "shards", range(*arguments.shards), seed=0)
    return arguments.folder / "shards"


def _train(arguments: argparse.Namespace) -> object:
    from training.recipe import n_cores
    from training.train import Plan, train

    plan = Plan(
        shards=arguments.folder / "shards", out=arguments.out, start=arguments.start, shape=None,
        minutes=arguments.minutes, step_tokens=arguments.step_tokens, muon_rate=arguments.muon,
        adam_rate=arguments.adam, level=arguments.level, n_processes=n_cores(),
    )  # fmt: skip
    train(plan)
    return plan.out


def _export(arguments: argparse.Namespace) -> object:
    from training import corpus, recipe, tokenizer
    from training.export import read_gguf, write_gguf
    from training.train import load_checkpoint

    model = load_checkpoint(arguments.out)[0] if arguments.out else read_gguf(arguments.start)
    pieces = tokenizer.read_gguf(arguments.start)
    files = corpus.read(arguments.folder / "train.jsonl.xz")
    gate = recipe.copy_gate(model, files, pieces, arguments.places)
    write_gguf(model, pieces, arguments.file, arguments.name, gate)
    return arguments.file


def _grow(arguments: argparse.Namespace) -> object:
    from training import tokenizer
    from training.export import read_gate, read_gguf, write_gguf
    from training.grow import widened

    larger = widened(read_gguf(arguments.start), arguments.feed_forward, seed=0)
    pieces, gate = tokenizer.read_gguf(arguments.start), read_gate(arguments.start)
    write_gguf(larger, pieces, arguments.file, f"{arguments.start.stem}, grown", gate)
    return arguments.file


def _lines(arguments: argparse.Namespace) -> object:
    from training.lines import judge

    return judge(arguments.folder, arguments.model, arguments.places, arguments.cross_file)


_RUN = {
    "make": _make, "corpus": _corpus, "samples": _samples, "train": _train, "grow": _grow,
    "export": _export, "lines": _lines,
}  # fmt: skip

if __name__ == "__main__":
    main()
