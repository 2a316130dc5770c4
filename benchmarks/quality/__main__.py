"""How good completions are, with this model, at places in code that it was not trained on.

Run: `python -m benchmarks.quality --help`, or `make bench-quality`
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.quality.asking import run
from benchmarks.quality.places import draw
from benchmarks.quality.report import (
    load,
    print_answers,
    print_difference,
    print_examples,
    print_run,
    save,
)
from benchmarks.quality.repositories import of_installed_packages
from tabby_lsp.config import BUILT_IN_ENGINE, Settings, read_user_file, resolve
from tabby_lsp.domain import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence


_ARGUMENTS: dict[str, dict[str, Any]] = {
    "--model": {
        "action": "append", "metavar": "NAME|PATH",
        "help": "a model for the built-in engine, `starter` where none is named; further ones are"
        " compared with the first, at the same places",
    },
    "--config": {
        "type": Path, "metavar": "FILE",
        "help": "settings, such as those of an engine elsewhere",
    },
    "--repository": {
        "action": "append", "type": Path, "metavar": "FOLDER",
        "help": "code to measure on, not the installed packages that no training list names",
    },
    "--context": {
        "action": "append", "choices": ("off", "siblings", "all"),
        "help": "what of other files is read: nothing, files nearby, those and the imported ones as"
        " if they were open; off and siblings where nothing is said",
    },
    "--places": {"type": int, "default": 200, "metavar": "N"},
    "--lines": {
        "type": int, "default": 40, "metavar": "N",
        "help": "of the places' lines, how many are typed key by key",
    },
    "--cross-file": {
        "action": "store_true",
        "help": "only where a name is wanted that other files have and this one has not",
    },
    "--seed": {"type": int, "default": 1},
    "--save": {"type": Path, "metavar": "FILE", "help": "keep the first model's answers"},
    "--against": {"type": Path, "metavar": "FILE", "help": "answers kept before, to compare with"},
    "--examples": {"type": int, "default": 5, "metavar": "N"},
}  # fmt: skip


def main() -> None:
    """Print the figures of each model, and of the first less each of the others."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    for name, options in _ARGUMENTS.items():
        parser.add_argument(name, **options)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        repositories = arguments.repository or of_installed_packages(Path(folder).resolve())
        names = ", ".join(each.name for each in repositories)
        print(f"{len(repositories)} repositories: {names}")
        try:
            _measure(arguments, [each.resolve() for each in repositories])
        except EngineError as error:
            sys.exit(f"benchmarks.quality: {error}")


def _measure(arguments: argparse.Namespace, repositories: Sequence[Path]) -> None:
    places = draw(
        repositories, arguments.places, arguments.seed, only_cross_file=arguments.cross_file
    )
    contexts = arguments.context or ["off", "siblings"]
    models = arguments.model or [""]
    runs = {}
    for model in models:
        settings = _settings(arguments.config, model)
        name = model or (settings.model if settings.engine == BUILT_IN_ENGINE else settings.engine)
        runs[name] = {each: run(settings, each, places, arguments.lines) for each in contexts}
        for context, (answers, typed) in runs[name].items():
            print_run(f"{name}, other files {context}", answers, typed)
            print_answers(answers, arguments.examples)
        for context in contexts[1:]:
            title = f"{name}: other files {context} less {contexts[0]}"
            print_difference(title, runs[name][context], runs[name][contexts[0]])
    first, *others = runs.items()
    if arguments.save:
        save(arguments.save, first[1])
    if arguments.against:
        others.append((arguments.against.name, load(arguments.against)))
    for name, other in others:
        for context in contexts:
            if context in other:
                title = f"{first[0]} less {name}, other files {context}"
                print_difference(title, first[1][context], other[context])
                print_examples(first[1][context][0], other[context][0], arguments.examples)


def _settings(config: Path | None, model: str) -> Settings:
    resolved = resolve([read_user_file(config, must_exist=True)] if config else [])
    for problem in resolved.problems:
        sys.exit(f"benchmarks.quality: {problem}")
    settings = resolved.settings
    return replace(settings, model=model) if model else settings


if __name__ == "__main__":
    main()
