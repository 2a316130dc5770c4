"""`tabby-lsp complete FILE:LINE:COL`: one completion, the way an editor would get it."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tabby_lsp.app import Reply, build
from tabby_lsp.completion.imports import HEAD_CHARS
from tabby_lsp.documents import Document, Position
from tabby_lsp.domain import EngineError
from tabby_lsp.languages import language_of
from tabby_lsp.models.cursor import shown
from tabby_lsp.request import FURTHER_CHARS, Ask

if TYPE_CHECKING:
    from tabby_lsp.config import Settings

_FAILED, _USAGE_ERROR = 1, 2
_MAX_FILE_BYTES = 64 << 20  # more than anybody writes, and no more than the memory has room for
_PLACE_FORM = "FILE:LINE:COL, with line and column counted from 1"


class BadPlace(ValueError):
    """The place is not in a file that can be read; the text says what to do."""


def complete(place: str, settings: Settings, *, as_json: bool) -> int:
    """Print what would be suggested; the exit status."""
    try:
        path, position = read_place(place)
        document = _open(path, position)
        ask = _ask(document, path.absolute(), position, settings)
        reply = asyncio.run(_answer(ask, settings))
    except BadPlace as error:
        sys.stderr.write(f"tabby-lsp complete: {error}\n")
        return _USAGE_ERROR
    except EngineError as error:
        sys.stderr.write(f"tabby-lsp complete: {error}\n")
        return _FAILED
    if reply.completion is None:
        sys.stderr.write(f"tabby-lsp complete: nothing to suggest ({reply.decision.reason})\n")
    sys.stdout.write(_as_json(reply, document, position) if as_json else _as_text(reply))
    return 0


def read_place(place: str) -> tuple[Path, Position]:
    """`FILE:LINE:COL` as a path and a position counted from 0; the path may hold colons.

    Raises BadPlace.
    """
    name, *numbers = place.rsplit(":", 2)
    # Longer numbers are no places, and Python refuses to read one of more than 4,300 digits.
    if len(numbers) != 2 or not all(re.fullmatch("0*[1-9][0-9]{0,17}", n) for n in numbers):
        raise BadPlace(f"{shown(place)} is not {_PLACE_FORM}")
    line, column = (int(number) - 1 for number in numbers)
    return Path(name), Position(line, column)


def _open(path: Path, position: Position) -> Document:
    try:
        if path.exists() and not path.is_file():
            raise BadPlace(f"{path} is not a file")
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise BadPlace(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > _MAX_FILE_BYTES:
        raise BadPlace(
            f"{path} is longer than {_MAX_FILE_BYTES:,} bytes, and so no code of anybody"
        )
    text = content.decode("utf-8", "replace")
    # UTF-32 counts characters, as people do.
    document = Document(path.absolute().as_uri(), language_of(path.name), 1, text, "utf-32")
    if document.clamp(position) != position:
        there = document.clamp(position)
        raise BadPlace(
            f"there is no line {position.line + 1}, column {position.character + 1} in {path}; "
            f"the nearest place is {there.line + 1}:{there.character + 1}"
        )
    return document


def _ask(document: Document, path: Path, position: Position, settings: Settings) -> Ask:
    context = settings.context
    prefix, suffix = document.windows(position, context.prefix_chars, context.suffix_chars)
    return Ask(
        uri=document.uri,
        version=document.version,
        language=document.language,
        path=path,
        root=_root_of(path),
        line=position.line,
        character=position.character,
        prefix=prefix,
        suffix=suffix,
        head=document.head(position, HEAD_CHARS),
        further=partial(document.further, position, len(prefix), len(suffix), FURTHER_CHARS),
        n_document_chars=document.n_chars,
        automatic=False,
    )


async def _answer(ask: Ask, settings: Settings) -> Reply:
    app = build(settings)
    try:
        if app.silence(ask.language, ask.uri) in (None, "model-failed"):
            await app.engine.load()
        return await app.complete(ask)
    finally:
        await app.close()


def _root_of(path: Path) -> Path:
    """The repository that the file is in, else its folder."""
    return next((folder for folder in path.parents if (folder / ".git").exists()), path.parent)


def _as_text(reply: Reply) -> str:
    return f"{reply.completion.text}\n" if reply.completion else ""


def _as_json(reply: Reply, document: Document, position: Position) -> str:
    """Positions as in LSP, counted from 0, in characters."""
    replaced = reply.completion.replaced if reply.completion else ""
    end = document.position_after(position, len(replaced))
    answer = {
        "text": reply.completion.text if reply.completion else "",
        "range": {"start": asdict(position), "end": asdict(end)},
        "timings": asdict(reply.decision.timings),
    }
    return json.dumps(answer) + "\n"
