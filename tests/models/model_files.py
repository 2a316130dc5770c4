"""Writes small GGUF files for tests: sound ones with the `gguf` package, damaged ones by hand."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import gguf
import numpy as np

import tabby_lsp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STARTER = Path(tabby_lsp.__file__).parent / "models" / "starter" / "starter-python-6.5m-q8_0.gguf"

# Where the starter's list of tensors ends; the weights follow.
STARTER_HEADER_BYTES = 268_576


def write_model(
    path: Path,
    *,
    architecture: str = "llama",
    tokens: Sequence[str] = ("a", "b"),
    metadata: Mapping[str, object] | None = None,
    tensors: Mapping[str, tuple[int, ...]] | None = None,
) -> Path:
    """A sound file with weights of zero; `metadata` stands over the figures every model has."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_token_list(tokens)
    figures = {"context_length": 64, "embedding_length": 32, "block_count": 1}
    every = {f"{architecture}.{key}": value for key, value in figures.items()}
    for key, value in (every | dict(metadata or {})).items():
        add_value(writer, key, value)
    for name, shape in ({"weights": (4, 8)} if tensors is None else tensors).items():
        writer.add_tensor(name, np.zeros(shape, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add_value(writer: gguf.GGUFWriter, key: str, value: object) -> None:
    """In the kind of number, text or array that it is."""
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)


def head(n_tensors: int = 1, n_keys: int = 0, version: int = 3) -> bytes:
    """The first 24 bytes of a file."""
    return b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_keys)


def text(value: str) -> bytes:
    """A string as it stands in a file."""
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def pair(key: str, kind: int, value: bytes) -> bytes:
    """A metadata key with a value of the given type."""
    return text(key) + struct.pack("<I", kind) + value


def tensor(name: str, shape: Sequence[int], kind: int = 0, offset: int = 0) -> bytes:
    """One entry of the list of tensors."""
    dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return text(name) + dimensions + struct.pack("<IQ", kind, offset)


# What the reader wants to find before it looks at tensors.
FIGURES = (
    pair("general.architecture", 8, text("llama")),
    *(
        pair(f"llama.{key}", 4, struct.pack("<I", 32))
        for key in ("context_length", "embedding_length", "block_count")
    ),
)
N_FIGURES = len(FIGURES)


def with_tensors(*tensors: bytes) -> bytes:
    """A file with these entries, and zeros enough for small weights."""
    return head(len(tensors), N_FIGURES) + b"".join((*FIGURES, *tensors)) + bytes(4096)
