"""The text to learn from: Python files out of named packages and the standard library.

`packages.toml` names each package with its version, its licence and the hash of its wheel, apart
for training and for being held out. From it everything here follows.

Invariant: a package whose licence is not known to be permissive is not read; nothing that is near
to a held-out file is in the training text.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from dataclasses import dataclass
from email.parser import BytesParser
from pathlib import Path
from typing import TYPE_CHECKING

from training.dedup import near_copies, rows_of_words, share_in, union
from training.licences import licence_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PACKAGES = Path(__file__).with_name("packages.toml")
# The same wheels whatever machine asks; of those that one of these fits, pip takes the one whose
# hash it was told.
_PLATFORMS = (
    *(f"manylinux_2_{minor}_x86_64" for minor in range(39, 4, -1)),
    "manylinux2014_x86_64",
    "manylinux1_x86_64",
)

METADATA = re.compile(r"[^/]+\.dist-info/METADATA")
_MIN_BYTES, _MAX_BYTES = 200, 120_000
_MAX_LINE_CHARS = 400
_MAX_DIGITS = 0.12  # of a file: more are tables
_MAX_PACKAGE_BYTES = 2_500_000  # so that no package is heard above all others
# Copies of other people's code, and what no person wrote.
_FOREIGN = re.compile(
    r"(?:^|/)_?(?:vendor|vendored|vendors|extern|externals|third_?party|bundled|node_modules"
    r"|lib2to3/tests|site-packages|__pycache__|.*_pb2(?:_grpc)?\.pyi?|_version\.py)(?:/|$)",
    re.IGNORECASE,
)
_GENERATED = re.compile(r"(?i)(?:auto.?)?generated (?:by|from|code|file)|do not (?:edit|modify)\b")
_GENERATED_LINES = 12
# What a held-out file and a training file may have in common: a licence's header, say.
_MAX_SHARED = 0.1


@dataclass(frozen=True, slots=True)
class File:
    """A file of a package; the path begins below the package's root, as in its repository."""

    package: str
    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Package:
    """One line of `packages.toml`."""

    name: str
    version: str
    licence: str
    wheel: str
    sha256: str


def packages(part: str) -> tuple[Package, ...]:
    """The packages to learn from (`train`), or those to be measured on (`held-out`)."""
    table = tomllib.loads(PACKAGES.read_text("utf-8"))[part]
    return tuple(Package(name, **entry) for name, entry in table.items())


def fetch(wanted: Iterable[Package], folder: Path) -> None:
    """Get the wheels that are not there yet, with pip, which compares the hashes."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [each for each in wanted if not (folder / each.wheel).exists()]
    if not missing:
        return
    lines = [f"{each.name}=={each.version} --hash=sha256:{each.sha256}\n" for each in missing]
    (folder / "requirements.txt").write_text("".join(lines), "utf-8")
    platforms = [word for each in _PLATFORMS for word in ("--platform", each)]
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes",
         "--only-binary", ":all:", "--python-version", "3.11", *platforms, "--dest", str(folder),
         "--requirement", str(folder / "requirements.txt")],
        check=True,
    )  # fmt: skip


def read_wheel(wheel: Path, package: str) -> Iterator[File]:
    """The files worth reading; none where the licence is not permissive."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        told = next(name for name in names if METADATA.fullmatch(name))
        if not licence_of(BytesParser().parsebytes(archive.read(told))):
            return
        for name in sorted(names):
            if name.endswith(".py") and not _FOREIGN.search(name):
                yield from _file(package, name, archive.read(name))


def read_stdlib() -> Iterator[File]:
    """This Python's own standard library."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if not _FOREIGN.search(name) and not name.startswith(("ensurepip/", "test/test_lib2to3")):
            yield from _file("cpython", name, path.read_bytes())


def _file(package: str, name: str, content: bytes) -> Iterator[File]:
    text = content.decode("utf-8", "replace").replace("\r\n", "\n")
    if is_worth_reading(text):
        yield File(package, name.removeprefix("src/"), text)


def is_worth_reading(text: str) -> bool:
    """Whether a person wrote this file, and for people."""
    if not _MIN_BYTES <= len(text) <= _MAX_BYTES or "\ufffd" in text:
        return False
    head = "\n".join(text.split("\n", _GENERATED_LINES)[:_GENERATED_LINES])
    if _GENERATED.search(head) or max(map(len, text.split("\n"))) > _MAX_LINE_CHARS:
        return False
    return sum(map(str.isdigit, text)) <= _MAX_DIGITS * len(text)


def thin_out(files: list[File]) -> list[File]:
    """A package's files, by chance as many as it may have, in the order of their paths."""
    by_chance = sorted(files, key=lambda file: hashlib.sha256(file.path.encode()).digest())
    kept, n_bytes = [], 0
    for file in by_chance:
        n_bytes += len(file.text)
        if n_bytes <= _MAX_PACKAGE_BYTES:
            kept.append(file)
    return sorted(kept, key=lambda file: file.path)


def without_copies(files: list[File], held_out: list[File]) -> list[File]:
    """Each text once, also where it differs a little, and nothing that is held out."""
    rows = [rows_of_words(file.text) for file in files]
    kept_apart = union(rows_of_words(file.text) for file in held_out)
    dropped = near_copies(rows)
    dropped |= {i for i, each in enumerate(rows) if share_in(each, kept_apart) > _MAX_SHARED}
    return [file for index, file in enumerate(files) if index not in dropped]


def build(folder: Path, max_packages: int | None = None) -> Mapping[str, int]:
    """Write `train.jsonl.xz` and `held-out.jsonl.xz`; how many files each has."""
    train, held_out = packages("train")[:max_packages], packages("held-out")
    wheels = folder / "wheels"
    fetch([*train, *held_out], wheels)
    apart = [
        f for each in held_out for f in thin_out(list(read_wheel(wheels / each.wheel, each.name)))
    ]
    files = thin_out(list(read_stdlib()))
    for each in train:
        files += thin_out(list(read_wheel(wheels / each.wheel, each.name)))
    files = without_copies(files, apart)
    write(files, folder / "train.jsonl.xz")
    write(apart, folder / "held-out.jsonl.xz")
    return {"train": len(files), "held-out": len(apart)}


def _read(package: Package, wheels: Path) -> list[File]:
    return thin_out(list(read_wheel(wheels / package.wheel, package.name)))


def write(files: Iterable[File], path: Path) -> None:
    """One file a line, as JSON, compressed."""
    part = path.with_name(path.name + ".part")
    with lzma.open(part, "wt", preset=1, encoding="utf-8") as stream:
        for file in files:
            stream.write(json.dumps([file.package, file.path, file.text]) + "\n")
    part.replace(path)


def read(path: Path) -> list[File]:
    """What `write` wrote."""
    with lzma.open(path, "rt", encoding="utf-8") as stream:
        return [File(*json.loads(line)) for line in stream]
