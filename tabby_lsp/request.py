"""A request for a completion, as the editor or the command line makes it, and what the rules see.

Invariant: knows the text round one cursor, and nothing of who answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabby_lsp.completion.cursor import Cursor, first_line, last_line
from tabby_lsp.completion.imports import imports_of
from tabby_lsp.completion.pipeline import Gathered, Question
from tabby_lsp.completion.snippets import best_snippets, whole_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tabby_lsp.completion.snippets import SourceText
    from tabby_lsp.config import ContextSettings
    from tabby_lsp.domain import Shape
    from tabby_lsp.index.neighbours import OpenFile

# Of the document above what a model reads of it, and as much below: for models that copy.
FURTHER_CHARS = 20_000
# And of other files, all together.
FILES_CHARS = 60_000
# Round the cursor, without its own line, so that the choice stays the same while the line is typed.
_QUERY_LINES_BEFORE, _QUERY_LINES_AFTER = 10, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request for a completion, as the editor or the command line makes it."""

    uri: str
    version: int
    language: str
    path: Path | None  # None for documents that are not files
    root: Path | None  # the workspace folder it lies in
    line: int
    character: int  # in the client's own units, for the record only
    prefix: str
    suffix: str
    head: str = ""  # the document's first lines, those above the cursor
    further: Callable[[], Sequence[str]] = tuple  # what lies beyond prefix and suffix
    n_document_chars: int
    automatic: bool
    n_candidates: int = 1  # how many answers there should be to choose from
    takes_unlikely: bool = False  # although nobody may have asked
    waited_ms: float = 0  # for a newer key, by the editor before it asked
    shape: Shape = "ghost-text"
    others: Sequence[OpenFile] = ()  # the other documents that are open, latest first


def question_of(ask: Ask) -> Question:
    """What the pure core is asked."""
    return Question(
        uri=ask.uri,
        cursor=Cursor(prefix=ask.prefix, suffix=ask.suffix, language=ask.language),
        imports=imports_of(ask.head),
        path=name_below(ask.path, ask.root),
        repository=ask.root.name if ask.root else "",
        further=ask.further,
        automatic=ask.automatic,
        n_candidates=ask.n_candidates,
        takes_unlikely=ask.takes_unlikely,
    )


def n_line_chars(ask: Ask) -> int:
    """Length of the cursor's line."""
    return len(last_line(ask.prefix)) + len(first_line(ask.suffix))


def query_of(ask: Ask) -> str:
    """The text that snippets should have something to do with."""
    before = ask.prefix.split("\n")[-_QUERY_LINES_BEFORE - 1 : -1]
    after = ask.suffix.split("\n", _QUERY_LINES_AFTER + 1)[1 : _QUERY_LINES_AFTER + 1]
    return "\n".join([*before, *after])


def further_of(above: str, below: str) -> tuple[str, str]:
    """Of what lies above and below the windows, as much as goes along: below, and above."""
    return below[:FURTHER_CHARS], above[-FURTHER_CHARS:]


def gathered_from(
    candidates: Sequence[SourceText], query: str, context: ContextSettings
) -> Gathered:
    """What other files say to a query."""
    most, n_chars = context.max_snippets, context.snippet_chars
    return Gathered(
        best_snippets(query, candidates, most, n_chars), whole_texts(candidates, FILES_CHARS)
    )


def name_below(path: Path | None, root: Path | None) -> str:
    """The path below the workspace folder, with forward slashes, else the name; "" for none."""
    if path is None:
        return ""
    if root is not None and path.is_relative_to(root):
        return path.relative_to(root).as_posix()
    return path.name
