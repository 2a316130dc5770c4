"""The yardstick on the held-out packages: `python -m training.evaluate`, with its arguments.

Runs where the product runs, which needs no torch: `.venv/bin/python -m training.evaluate --help`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.quality.__main__ import main as measure
from training import corpus

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER = Path("build/training")


def main() -> None:
    """Lay the held-out packages out as repositories, and measure there."""
    wheels = _FOLDER / "wheels"
    corpus.fetch(corpus.packages("held-out"), wheels)
    repositories = unpack(wheels, _FOLDER / "held-out")
    sys.argv += [part for each in repositories for part in ("--repository", str(each))]
    measure()


def unpack(wheels: Path, folder: Path) -> list[Path]:
    """Each held-out package as a folder with its Python files."""
    return list(_unpacked(wheels, folder))


def _unpacked(wheels: Path, folder: Path) -> Iterator[Path]:
    for package in corpus.packages("held-out"):
        for file in corpus.read_wheel(wheels / package.wheel, package.name):
            path = folder / package.name / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.text, "utf-8")
        yield folder / package.name


if __name__ == "__main__":
    main()
