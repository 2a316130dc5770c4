"""Tells what a file is that was taken for a GGUF model and is not.

Invariant: values in, values out; looks at the first bytes only.
"""

from __future__ import annotations

N_BYTES = 512  # what `describe` wants to see

_CONVERT = "convert it with llama.cpp's convert_hf_to_gguf.py, or get a GGUF of the model"
_AGAIN = "download the file itself"
_UNPACK = "unpack it and give the path of the .gguf file in it"

_STARTS: tuple[tuple[tuple[bytes, ...], str, str], ...] = (
    ((b"version https://git-lfs",), "a Git LFS pointer", "run `git lfs pull`, or " + _AGAIN),
    ((b"/annex/objects/",), "a git-annex pointer", "run `git annex get`, or " + _AGAIN),
    ((b"PK\x03\x04",), "a zip archive (perhaps PyTorch weights)", _CONVERT),
    ((b"\x80\x02", b"\x80\x04"), "a Python pickle (perhaps PyTorch weights)", _CONVERT),
    ((b"\x1f\x8b", b"7z\xbc\xaf", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"), "an archive", _UNPACK),
    (
        (b"lmgg", b"tjgg", b"fmgg", b"algg"),
        "a llama.cpp model from before GGUF",
        "get a GGUF of it",
    ),
    ((b"\x89HDF",), "an HDF5 file (perhaps Keras weights)", _CONVERT),
)


def describe(first_bytes: bytes) -> tuple[str, str]:
    """What the file looks like, and the remedy, as two phrases."""
    for starts, kind, remedy in _STARTS:
        if first_bytes.startswith(starts):
            return kind, remedy
    # A safetensors file is the length of its JSON header in eight bytes, then the header.
    if first_bytes[8:10] == b'{"' and not any(first_bytes[6:8]):
        return "a safetensors file", _CONVERT
    text = first_bytes.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page", _AGAIN + " (on Hugging Face: `resolve` instead of `blob` in its URL)"
    if not first_bytes.strip(b"\0"):
        return "a file of zeros", "download it again"
    if first_bytes.isascii() and first_bytes.decode("ascii").replace("\n", " ").isprintable():
        return "a text file", "download the model itself"
    return "some other file", "give the path of a .gguf file"
