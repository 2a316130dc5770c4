"""From what a client says of a piece of code to the passage that the chat model is asked about.

Invariant: a range is taken as it is; only an empty one is widened, to the definition that the
cursor stands in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcInvalidParams

from tabby_lsp.documents import Position, path_of
from tabby_lsp.index.outline import definition_at
from tabby_lsp.request import name_below
from tabby_lsp.servers.lsp.asks import open_file, root_of
from tabby_lsp.talk import Passage

if TYPE_CHECKING:
    from tabby_lsp.documents import Document
    from tabby_lsp.servers.lsp.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A piece of an open document, and what it was when it was asked about."""

    document: Document
    start: Position
    end: Position
    passage: Passage

    @property
    def range(self) -> lsp.Range:
        return lsp.Range(
            lsp.Position(self.start.line, self.start.character),
            lsp.Position(self.end.line, self.end.character),
        )


def place_at(session: Session, argument: Any, *, widened: bool, whole_lines: bool = False) -> Place:
    """The code at `{uri, range?}`; the whole document without a range.

    `widened` says whether an empty range stands for the definition round it, or else its line,
    and `whole_lines` whether parts of lines stand for those.
    Raises JsonRpcInvalidParams.
    """
    uri = argument.get("uri") if isinstance(argument, dict) else None
    if not isinstance(uri, str):
        raise JsonRpcInvalidParams("`uri` must be the URI of an open document")
    document = session.document(uri)
    if document is None:
        raise JsonRpcInvalidParams(f"{uri[:200]} is not open")
    last = Position(document.n_lines, 0)
    start, end = Position(0, 0), document.clamp(last)
    if argument.get("range") is not None:
        start, end = (document.clamp(edge) for edge in _edges(argument["range"]))
        if start == end and widened:
            start, end = _widened(document, start)
        if whole_lines and start != end:
            behind = Position(end.line + (end.character > 0), 0)
            start, end = Position(start.line, 0), document.clamp(behind)
    return Place(
        document=document,
        start=start,
        end=end,
        passage=_passage(session, document, start, end),
    )


def _passage(session: Session, document: Document, start: Position, end: Position) -> Passage:
    folders, others = session.surroundings(document)
    path = path_of(document.uri)
    root = root_of(path, folders)
    return Passage(
        uri=document.uri,
        language=document.language,
        name=name_below(path, root),
        path=path,
        root=root,
        text=document.text,
        start=document.offset(start),
        end=document.offset(end),
        others=[open_file(other) for other in others],
    )


def _widened(document: Document, cursor: Position) -> tuple[Position, Position]:
    rows = definition_at(document.text, document.language, cursor.line)
    first, behind = rows or (cursor.line, cursor.line + 1)
    return Position(first, 0), document.clamp(Position(behind, 0))


def _edges(value: Any) -> tuple[Position, Position]:
    try:
        edges = [
            Position(value[edge]["line"], value[edge]["character"]) for edge in ("start", "end")
        ]
    except (KeyError, TypeError):
        edges = []
    if not edges or any(type(n) is not int for edge in edges for n in (edge.line, edge.character)):
        raise JsonRpcInvalidParams("`range` must be {start: {line, character}, end: {...}}")
    start, end = sorted(edges, key=lambda edge: (edge.line, edge.character))
    return start, end
