"""Reads and checks the header of a GGUF file in pure Python, before llama.cpp sees the file.

Invariant: whatever the bytes are, the outcome is a Header or a ModelFileError, within a second.

The rules are those of llama.cpp's own reader (ggml/src/gguf.cpp) and some of its loader, which
refuses most damage and aborts the whole process on the rest.
"""

from __future__ import annotations

import os
import stat
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabby_lsp.models.cursor import Cursor, ModelFileError, shown
from tabby_lsp.models.lookalikes import N_BYTES, describe
from tabby_lsp.models.tensors import MAX_TENSORS, MIN_TENSOR_BYTES, check_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Header", "ModelFileError", "read_header"]

Scalar = bool | int | float | str
Value = Scalar | tuple[Scalar, ...]

_MAX_KEYS = 1 << 12  # converters write fewer than 100
_MAX_KEY_BYTES = (1 << 16) - 1  # GGUF specification
_MAX_TEXT_BYTES = 1 << 20  # chat templates reach 100 kB
_MAX_KEPT_ITEMS = (
    1024  # one for each layer, of which llama.cpp takes 512 at most, or a list of names
)
_MIN_PAIR_BYTES = 8 + 1 + 4 + 1
_DEFAULT_ALIGNMENT = 32

# What llama.cpp must find for every architecture, and the most it takes (LLAMA_MAX_LAYERS).
_FIGURES = {"context_length": 1 << 31, "embedding_length": 1 << 24, "block_count": 512}

_STRING, _ARRAY = 8, 9
_SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_TOKENS = "tokenizer.ggml.tokens"
# How the special tokens of all families begin; the rest of the vocabulary is not kept.
_SPECIAL_STARTS = (b"<", b"[", "▁<".encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a GGUF file says of itself; `metadata` leaves out arrays of more than 1,024 items."""

    path: Path
    size_bytes: int
    metadata: Mapping[str, Value]
    special_tokens: Mapping[str, int]  # text -> id of the tokens that begin with `<`, `[` or `▁<`
    n_vocab: int
    n_tensors: int
    tensor_bytes: int

    @property
    def architecture(self) -> str:
        """llama.cpp's word for the kind of network, such as `llama` or `qwen2`."""
        return str(self.metadata["general.architecture"])

    @property
    def n_ctx_train(self) -> int:
        """How many tokens the model was trained to look back on."""
        return self.figure("context_length", 0)

    @property
    def name(self) -> str:
        """What the model calls itself, else its file's name."""
        return self.text("general.name") or self.path.stem

    def text(self, key: str) -> str | None:
        """The string under `key`; None where there is none."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else None

    def integer(self, key: str) -> int | None:
        """The whole number under `key`; None where there is none."""
        value = self.metadata.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def figure(self, key: str, default: int) -> int:
        """The whole number under `key` of the architecture; `default` where there is none."""
        value = self.integer(f"{self.architecture}.{key}")
        return default if value is None else value


def read_header(path: Path) -> Header:
    """Read the header and check it against itself and the file's size; weights are not looked at.

    Raises ModelFileError.
    """
    try:
        status = os.stat(path)
        _check_kind(path, status)
        with open(path, "rb") as file:
            return _parse(Cursor(file, path, status.st_size))
    except FileNotFoundError:
        raise _missing(path) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ModelFileError(
            f"cannot read {path}: {reason}; check the path and its rights"
        ) from error


def _check_kind(path: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise ModelFileError(f"{path} is a folder; give the path of the .gguf file in it")
    if not stat.S_ISREG(status.st_mode):
        raise ModelFileError(f"{path} is not a regular file; give the path of a .gguf file")
    if status.st_size == 0:
        raise ModelFileError(f"{path} is empty; download it again")


def _missing(path: Path) -> ModelFileError:
    if not path.is_symlink():
        return ModelFileError(f"there is no file {path}; check the path of the model")
    target = os.readlink(path)
    remedy = "run `git annex get` on it" if "annex/objects" in target else "mend the link"
    return ModelFileError(f"{path} is a link to {target}, which is not there; {remedy}")


def _parse(cursor: Cursor) -> Header:
    _check_version(cursor)
    n_tensors = cursor.count("tensors", MAX_TENSORS, MIN_TENSOR_BYTES)
    n_keys = cursor.count("metadata keys", _MAX_KEYS, _MIN_PAIR_BYTES)
    metadata, n_vocab, special_tokens = _metadata(cursor, n_keys)
    _check_whole_model(cursor.path, metadata, n_tensors)
    return Header(
        path=cursor.path,
        size_bytes=cursor.size_bytes,
        metadata=metadata,
        special_tokens=special_tokens,
        n_vocab=n_vocab,
        n_tensors=n_tensors,
        tensor_bytes=check_tensors(cursor, n_tensors, _alignment(cursor, metadata)),
    )


def _metadata(cursor: Cursor, n_keys: int) -> tuple[dict[str, Value], int, dict[str, int]]:
    """What is kept of the metadata, the size of the vocabulary, and its special tokens."""
    metadata: dict[str, Value] = {}
    n_vocab, special_tokens = 0, {}
    seen = {""}
    for _ in range(n_keys):
        key = cursor.text("a metadata key", _MAX_KEY_BYTES)
        if key in seen:
            cursor.damaged(f"the metadata key {shown(key)} is empty or stands in it twice")
        seen.add(key)
        kind = cursor.u32()
        if kind != _ARRAY:
            metadata[key] = _scalar(cursor, key, kind)
            continue
        item_kind, n_items = _array_head(cursor, key)
        if key == _TOKENS and item_kind == _STRING:
            n_vocab, special_tokens = n_items, _special_tokens(cursor, n_items)
        elif (items := _array(cursor, item_kind, n_items)) is not None:
            metadata[key] = items
    return metadata, n_vocab, special_tokens


def _check_version(cursor: Cursor) -> None:
    path = cursor.path
    first_bytes = cursor.peek(N_BYTES)
    if not first_bytes.startswith(b"GGUF"):
        kind, remedy = describe(first_bytes)
        raise ModelFileError(f"{path} is not a GGUF model but {kind}; {remedy}")
    cursor.take(4)
    version = cursor.u32()
    if version and version & 0xFFFF == 0:
        raise ModelFileError(f"{path} is a big-endian GGUF; get the little-endian one")
    if version < 2:
        raise ModelFileError(
            f"{path} has GGUF version {version}, which is too old; get a newer GGUF"
        )
    if version > 3:
        raise ModelFileError(
            f"{path} has GGUF version {version} and only 2 and 3 are known; update tabby-lsp"
        )


def _scalar(cursor: Cursor, key: str, kind: int) -> Scalar:
    if kind == _STRING:
        return cursor.text(f"the value of {shown(key)}", _MAX_TEXT_BYTES)
    if kind not in _SCALARS:
        cursor.damaged(f"{shown(key)} has the unknown type {kind}")
    layout = struct.Struct("<" + _SCALARS[kind])
    value: Scalar = layout.unpack(cursor.take(layout.size))[0]
    return value


def _array_head(cursor: Cursor, key: str) -> tuple[int, int]:
    kind = cursor.u32()
    if kind != _STRING and kind not in _SCALARS:
        cursor.damaged(f"{shown(key)} is a list of the unknown type {kind}")
    item_bytes = 8 if kind == _STRING else struct.calcsize("<" + _SCALARS[kind])
    return kind, cursor.count(f"items in {shown(key)}", cursor.size_bytes, item_bytes)


def _special_tokens(cursor: Cursor, n_items: int) -> dict[str, int]:
    tokens = cursor.strings(n_items)
    # llama.cpp reads each up to a zero byte, renames the empty ones, and aborts the whole process
    # when it then meets one twice.
    if b"\0" in b"".join(tokens):
        tokens = [token.partition(b"\0")[0] for token in tokens]
    if len(set(tokens)) + max(0, tokens.count(b"") - 1) < len(tokens):
        cursor.damaged("a token stands twice in its vocabulary")
    return {
        token.decode(errors="replace"): token_id
        for token_id, token in enumerate(tokens)
        if token.startswith(_SPECIAL_STARTS)
    }


def _array(cursor: Cursor, kind: int, n_items: int) -> tuple[Scalar, ...] | None:
    """The items, or None of a list too long to keep."""
    if kind == _STRING:
        if n_items > _MAX_KEPT_ITEMS:
            cursor.pass_strings(n_items)
            return None
        return tuple(item.decode(errors="replace") for item in cursor.strings(n_items))
    layout = f"<{n_items}{_SCALARS[kind]}"
    raw = cursor.take(struct.calcsize(layout))
    return struct.unpack(layout, raw) if n_items <= _MAX_KEPT_ITEMS else None


def _alignment(cursor: Cursor, metadata: Mapping[str, Value]) -> int:
    alignment = metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
        cursor.damaged(f"its alignment is {shown(alignment)} instead of a power of two")
    return alignment


def _check_whole_model(path: Path, metadata: Mapping[str, Value], n_tensors: int) -> None:
    """Refuse what is sound as a file and no model of its own."""
    n_parts = metadata.get("split.count", 1)
    if isinstance(n_parts, int) and n_parts > 1:
        raise ModelFileError(
            f"{path} is one of the {n_parts} parts of a split model, which is not supported;"
            " join them with `llama-gguf-split --merge`"
        )
    kind = metadata.get("general.type", "model")
    if kind != "model":
        raise ModelFileError(
            f"{path} holds no model of its own but has the type {shown(kind)};"
            " give the path of the model itself"
        )
    if n_tensors == 0:
        raise ModelFileError(f"{path} holds no weights; get a GGUF of the whole model")
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str):
        raise ModelFileError(f"{path} does not name its architecture; get another GGUF of it")
    for figure, maximum in _FIGURES.items():
        key = f"{architecture}.{figure}"
        value = metadata.get(key)
        if type(value) is not int or not 1 <= value <= maximum:
            raise _senseless(path, key, value)
    for key, value in metadata.items():
        # llama.cpp aborts the whole process on a negative one and on what is no number.
        if key.endswith("_epsilon") and not (isinstance(value, float) and value >= 0):
            raise _senseless(path, key, value)


def _senseless(path: Path, key: str, value: Value | None) -> ModelFileError:
    fault = "lacks" if value is None else f"has {shown(value)} for"
    return ModelFileError(f"{path} {fault} {shown(key)}; get another GGUF of the model")
