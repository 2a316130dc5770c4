"""Writes `packages.toml` from downloaded wheels: `python -m training.lock FOLDER HELD_OUT...`.

Run when the list changes; what has no permissive licence is left out, and said.
"""

from __future__ import annotations

import hashlib
import re
import sys
import zipfile
from email.parser import BytesParser
from pathlib import Path

from training.corpus import METADATA, PACKAGES
from training.licences import licence_of


def lock(folder: Path, held_out: set[str]) -> str:
    """The text of `packages.toml`."""
    parts: dict[str, list[str]] = {"train": [], "held-out": []}
    for wheel in sorted(folder.rglob("*.whl"), key=lambda path: path.name.lower()):
        with zipfile.ZipFile(wheel) as archive:
            told = next(name for name in archive.namelist() if METADATA.fullmatch(name))
            metadata = BytesParser().parsebytes(archive.read(told))
        name = re.sub(r"[-_.]+", "-", metadata["Name"]).lower()
        licence = licence_of(metadata)
        if not licence:
            sys.stderr.write(f"left out, for its licence: {name}\n")
            continue
        parts["held-out" if name in held_out else "train"].append(
            f'{name} = {{ version = "{metadata["Version"]}", licence = "{licence}", '
            f'wheel = "{wheel.name}", '
            f'sha256 = "{hashlib.sha256(wheel.read_bytes()).hexdigest()}" }}\n'
        )
    return "\n".join(f"[{part}]\n{''.join(lines)}" for part, lines in parts.items())


if __name__ == "__main__":
    PACKAGES.write_text(lock(Path(sys.argv[1]), set(sys.argv[2:])), "utf-8")
