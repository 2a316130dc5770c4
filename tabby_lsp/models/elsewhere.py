"""Finds the GGUF files that other programs have on this machine.

Invariant: reads folders and small manifests, opens no model and follows no name out of a folder;
looks at a bounded number of files.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from tabby_lsp.config import llama_cpp_dirs, lm_studio_dirs, ollama_dirs
from tabby_lsp.models import hub

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_FINDS = 10_000
# Of each program, files and folders; a look at so many takes about a second.
_MAX_LOOKED_AT = 200_000
_MAX_MANIFEST_BYTES = 1 << 20  # a manifest is a list of layers and has some hundred bytes
_MODEL_LAYER = "application/vnd.ollama.image.model"
# The second is Ollama's layout of 2026, in which manifests are blobs with a second name.
_MANIFESTS = ("manifests", "manifests-v2", "manifest-v2")
_HOSTS = ("registry.ollama.ai", "ollama.com")
# A later part of a model in several files, and a picture reader that goes with a model.
_NOT_A_MODEL = re.compile(r"-(?!0*1-)\d+-of-\d+\.gguf$|^mmproj", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Find:
    """A model file, and whose it is."""

    name: str  # as that program calls it
    path: Path
    program: str


def elsewhere() -> list[Find]:
    """What the other programs have, each file once; in the order of the programs, then by name."""
    programs = (
        ("Ollama", _ollama()),
        ("LM Studio", _below(lm_studio_dirs())),
        ("Hugging Face", _below([hub.cache_folder()])),
        ("llama.cpp", _below(llama_cpp_dirs())),
    )
    finds: dict[Path, Find] = {}
    for program, files in programs:
        for name, path in sorted(islice(files, _MAX_FINDS)):
            finds.setdefault(path.resolve(), Find(name, path, program))
    return list(finds.values())


def _below(folders: list[Path]) -> Iterator[tuple[str, Path]]:
    """GGUF files, by the names of the files."""
    for path in _files(folders):
        if path.suffix.lower() == ".gguf" and not _NOT_A_MODEL.search(path.name) and path.is_file():
            yield path.stem, path


def _ollama() -> Iterator[tuple[str, Path]]:
    for folder in ollama_dirs():
        for manifests in _MANIFESTS:
            for path in _files([folder / manifests]):
                *names, tag = path.relative_to(folder / manifests).parts
                blob = _model_blob(path, folder / "blobs")
                if blob is not None and len(names) >= 2:
                    yield f"{_ollama_name(names)}:{tag}", blob


def _ollama_name(names: list[str]) -> str:
    """Without what Ollama leaves out as well: its own host, and the namespace `library`."""
    host, *rest = names
    if host not in _HOSTS:
        return "/".join(names)
    return "/".join(rest[1:] if rest[0] == "library" and len(rest) > 1 else rest)


def _model_blob(manifest: Path, blobs: Path) -> Path | None:
    """The file with the weights; a digest that is none leads nowhere."""
    try:
        # A pipe would never end to be read, nor would a link to a device.
        if not manifest.is_file() or manifest.stat().st_size > _MAX_MANIFEST_BYTES:
            return None
        layers = json.loads(manifest.read_bytes())["layers"]
        digests = [each["digest"] for each in layers if each["mediaType"] == _MODEL_LAYER]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if not digests or not isinstance(digests[0], str):
        return None
    digest = re.fullmatch(r"sha256[:-]([0-9a-f]{64})", digests[0])
    blob = blobs / f"sha256-{digest[1]}" if digest else None
    return blob if blob is not None and blob.is_file() else None


def _files(folders: list[Path]) -> Iterator[Path]:
    n_left = _MAX_LOOKED_AT
    for folder in folders:
        for where, names, files in os.walk(folder):  # links to folders are not followed
            names[:] = sorted(name for name in names if not name.startswith("."))
            shown = sorted(name for name in files if not name.startswith("."))
            yield from (Path(where, name) for name in shown[:n_left])
            n_left -= len(files) + 1
            if n_left <= 0:
                return
