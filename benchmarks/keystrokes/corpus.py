"""The files that are typed where none are named: the standard library's and installed packages'."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Large enough that windows of text are full, and no tables of data.
_MIN_BYTES = 20_000
_MAX_BYTES = 200_000
_NOT_TYPED_BY_ANYBODY = {
    "test",
    "tests",
    "idlelib",
    "lib2to3",
    "pydoc_data",
    "_vendor",
    "__pycache__",
}


def default_files() -> list[Path]:
    """In order, so that the same seed draws the same ones on the same installation."""
    folders = {sysconfig.get_path(name) for name in ("stdlib", "purelib")}
    return sorted({path for folder in folders for path in _sources(Path(folder))})


def read(path: str | Path) -> str:
    """The text as it is, with its own line ends."""
    return Path(path).read_bytes().decode("utf-8")


def readable(paths: list[Path]) -> list[tuple[str, str]]:
    """Paths and texts of those that are UTF-8."""
    found = []
    for path in paths:
        try:
            found.append((str(path.absolute()), read(path)))
        except UnicodeDecodeError:
            continue
    return found


def _sources(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*.py"):
        if _NOT_TYPED_BY_ANYBODY.isdisjoint(path.parts):
            if _MIN_BYTES <= path.stat().st_size <= _MAX_BYTES:
                yield path
