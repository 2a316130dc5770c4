"""From a document and a position to a question for the app, and from its answer to a followed item.

Invariant: what is asked is text of the document as it is now, never the client's idea of it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from lsprotocol import types as lsp

from tabby_lsp.completion.cursor import last_line
from tabby_lsp.completion.imports import HEAD_CHARS
from tabby_lsp.completion.outcomes import Shown
from tabby_lsp.documents import Document, Position, path_of
from tabby_lsp.index.neighbours import OpenFile
from tabby_lsp.request import FURTHER_CHARS, Ask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tabby_lsp.app import App
    from tabby_lsp.config import ContextSettings
    from tabby_lsp.domain import Completion, Decision

DID_ACCEPT = "tabby.didAccept"


def ask_at(
    document: Document,
    position: Position,
    context: ContextSettings,
    folders: Sequence[Path | None],
    others: Sequence[Document],
) -> Ask:
    """The question at a place; `folders` are the workspace's, `others` the other open documents."""
    prefix, suffix = document.windows(position, context.prefix_chars, context.suffix_chars)
    path = path_of(document.uri)
    return Ask(
        uri=document.uri,
        version=document.version,
        language=document.language,
        path=path,
        root=root_of(path, folders),
        line=position.line,
        character=position.character,
        prefix=prefix,
        suffix=suffix,
        head=document.head(position, HEAD_CHARS),
        further=partial(document.further, position, len(prefix), len(suffix), FURTHER_CHARS),
        n_document_chars=document.n_chars,
        automatic=False,
        others=[open_file(other) for other in others],
    )


def follow(
    app: App,
    uri: str,
    ask: Ask,
    completions: Sequence[Completion],
    decision: Decision,
    document: Document,
) -> list[lsp.Command]:
    """From now on it is watched what becomes of suggestions; what to run when each is accepted."""
    before, _ = document.around(Position(ask.line, ask.character), len(ask.prefix), 0)
    shown = [
        Shown(
            id=app.fates.next_id(),
            uri=uri,
            line=ask.line,
            line_prefix=last_line(before),
            text=completion.text,
            replaced=completion.replaced,
            language=ask.language,
            model=decision.model,
            is_automatic=ask.automatic,
        )
        for completion in completions
    ]
    latency_ms = round(decision.timings.total_ms)
    is_from_cache = decision.reason == "cached"
    ids = app.fates.shown(shown, latency_ms, is_from_cache, reader_of(document))
    return [lsp.Command("Accept completion", DID_ACCEPT, arguments=[each]) for each in ids]


def reader_of(document: Document) -> Callable[[int, int], str]:
    """How the text from the start of a line is read, at most so many characters."""
    return lambda line, n_chars: document.around(Position(line, 0), 0, n_chars)[1]


def root_of(path: Path | None, folders: Sequence[Path | None]) -> Path | None:
    """The innermost workspace folder that holds a file, else the file's own folder."""
    if path is None:
        return None
    holding = [folder for folder in folders if folder and path.is_relative_to(folder)]
    return max(holding, key=lambda folder: len(folder.parts), default=path.parent)


def open_file(document: Document) -> OpenFile:
    return OpenFile(
        path=path_of(document.uri),
        language=document.language,
        read=lambda: document.text,
    )
