"""Compares a model's file with the hash that is known of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabby_lsp.domain import EngineError
from tabby_lsp.models import download
from tabby_lsp.models.catalog import entry_of
from tabby_lsp.models.found import STARTER, STARTER_SHA256
from tabby_lsp.models.gguf import read_header

if TYPE_CHECKING:
    from pathlib import Path

    from tabby_lsp.commands.bar import Bar


def verdict(name: str, file: Path, bar: Bar) -> tuple[str, str]:
    """`OK` or `FAIL`, and a sentence."""
    try:
        read_header(file)
        digest = download.sha256_of(file, name, bar)
    except EngineError as error:
        return "FAIL", f"{name}: {error}"
    except OSError as error:
        return "FAIL", f"{name}: {file} cannot be read: {error.strerror}"
    known = known_sha256(name)
    if known is None:
        return "OK", f"{name}: readable; not in the catalogue; SHA-256 {digest}"
    if digest == known:
        return "OK", f"{name}: SHA-256 as it should be"
    again = f"`tabby-lsp models remove {name}` and pull it again, or give a file of your own a name"
    mend = "install tabby-lsp again" if name == STARTER else f"{again} that the catalogue has not"
    return "FAIL", f"{name}: {file} has SHA-256 {digest} instead of {known}; {mend}"


def known_sha256(name: str) -> str | None:
    """What the file of an installed model should have; None where nobody has said."""
    entry = entry_of(name)
    return STARTER_SHA256 if name == STARTER else entry.sha256 if entry else None
