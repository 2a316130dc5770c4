"""Completions as entries of the completion menu, in the form that each editor draws well.

Invariant: whichever form an entry has, accepting it gives the document that accepting the ghost
text would have given, or a beginning of it; where a client cannot do that there is no entry.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from lsprotocol import types as lsp

from tabby_lsp.completion.cursor import LINE_END, first_line, indentation_of, is_word

if TYPE_CHECKING:
    from tabby_lsp.documents import Document, Position
    from tabby_lsp.domain import Completion
    from tabby_lsp.servers.lsp.clients import Client, MenuForm

# Where code begins that a model can guess. Not `:`, `{`, `,` and `)`: Enter often follows them, and
# would accept the entry that has just popped up, where an editor preselects one.
TRIGGER_CHARACTERS = (".", "(", "[", "=", " ")

# Behind what other servers know to be there, since ours is a guess. What somebody types narrows the
# menu down to a few entries, and ours with them; it never stands where Enter would take it instead.
_SORT_TEXT = "~"

# Helix has crashed over long labels (helix#9624), and nobody reads them.
_LABEL_CHARS = 60
_SOURCE = "tabby-lsp"

_SPECIAL_IN_SNIPPETS = re.compile(r"[\\$}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a client takes the entries of its menu."""

    form: MenuForm = "lines-as-snippet"
    knows_snippets: bool = False
    adjusts_indentation: bool = False  # of plain text too
    heeds_range_end: bool = True
    has_label_details: bool = False
    reads_markdown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry of the menu, on the line of the cursor."""

    label: str
    word: str  # what stands left of the cursor and is said again
    replaced: str  # what right of the cursor the text takes the place of
    text: str  # takes the place of both
    is_snippet: bool
    filter_text: str


def style_of(client: Client, capabilities: lsp.ClientCapabilities) -> Style:
    """What a client's row and its capabilities come to."""
    documents = capabilities.text_document
    completion = documents.completion if documents else None
    item = completion.completion_item if completion else None
    mode = completion.insert_text_mode if completion else None
    formats = (item.documentation_format if item else None) or ()
    return Style(
        form=client.menu_form,
        knows_snippets=bool(item and item.snippet_support),
        adjusts_indentation=mode == lsp.InsertTextMode.AdjustIndentation,
        heeds_range_end=client.menu_heeds_range_end,
        has_label_details=bool(item and item.label_details_support),
        reads_markdown=lsp.MarkupKind.Markdown in formats,
    )


def entry_of(completion: Completion, line_before: str, style: Style) -> Entry | None:
    """The entry for a completion behind `line_before`; None where the client would garble it."""
    text, replaced = completion.text, completion.replaced
    if replaced and text.endswith(replaced):
        # What stands there already may as well stay.
        text, replaced = text.removesuffix(replaced), ""
    word = _word_at_end(line_before)
    whole = word + text
    is_snippet = style.knows_snippets and (
        style.form == "snippet" or (style.form == "lines-as-snippet" and "\n" in _lf(text))
    )
    if is_snippet or (style.adjusts_indentation and style.form != "text"):
        text = _relative(_lf(whole), indentation_of(line_before))
        is_cut = text.count("\n") < _lf(whole).count("\n")
    else:
        text, is_cut = whole, False
    if not text.removeprefix(word).strip() or (replaced and (is_cut or not style.heeds_range_end)):
        return None
    return Entry(
        label=_label(text),
        word=word,
        replaced=replaced,
        text=_escaped(text) if is_snippet else text,
        is_snippet=is_snippet,
        filter_text=_lf(text).partition("\n")[0] or _label(text),
    )


def item_of(
    entry: Entry, document: Document, position: Position, command: lsp.Command, style: Style
) -> lsp.CompletionItem:
    """An entry as the protocol has it, for the cursor at `position`."""
    start = position.character - document.n_units(entry.word)
    end = position.character + document.n_units(entry.replaced)
    return lsp.CompletionItem(
        label=entry.label,
        label_details=_label_details(entry) if style.has_label_details else None,
        detail=None if style.has_label_details else _description(entry),
        documentation=_documentation(entry, document.language, style),
        kind=lsp.CompletionItemKind.Text,
        sort_text=_SORT_TEXT,
        filter_text=entry.filter_text,
        insert_text_format=(
            lsp.InsertTextFormat.Snippet if entry.is_snippet else lsp.InsertTextFormat.PlainText
        ),
        text_edit=lsp.TextEdit(
            range=lsp.Range(lsp.Position(position.line, start), lsp.Position(position.line, end)),
            new_text=entry.text,
        ),
        command=command,
    )


def _word_at_end(line: str) -> str:
    n_chars = sum(1 for _ in takewhile(is_word, reversed(line)))
    return line[len(line) - n_chars :]


def _lf(text: str) -> str:
    """With "\\n" as the only line end: clients put their own into a snippet."""
    return LINE_END.sub("\n", text)


def _relative(text: str, indentation: str) -> str:
    """Text for a client that indents the following lines as the first one.

    It ends before a line that is indented less, which could not be said.
    """
    first, *others = text.split("\n")
    kept = takewhile(lambda line: line.startswith(indentation) or not line.strip(), others)
    return "\n".join([first, *(line.removeprefix(indentation) for line in kept)])


def _escaped(text: str) -> str:
    return _SPECIAL_IN_SNIPPETS.sub(r"\\\g<0>", text)


def _unescaped(text: str) -> str:
    return re.sub(r"\\([\\$}])", r"\1", text)


def _label(text: str) -> str:
    text = text.strip()
    shown = first_line(text)
    if shown == text and len(shown) <= _LABEL_CHARS:
        return shown
    return shown[: _LABEL_CHARS - 1].rstrip() + "…"


def _description(entry: Entry) -> str:
    n_lines = entry.text.count("\n") + 1
    return _SOURCE if n_lines == 1 else f"{_SOURCE} ({n_lines} lines)"


def _label_details(entry: Entry) -> lsp.CompletionItemLabelDetails:
    return lsp.CompletionItemLabelDetails(description=_description(entry))


def _documentation(entry: Entry, language: str, style: Style) -> lsp.MarkupContent | None:
    """The whole text, where the label is only its beginning."""
    text = _unescaped(entry.text) if entry.is_snippet else entry.text
    if entry.label == text.strip():
        return None
    if style.reads_markdown:
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
        value = f"{fence}{language}\n{text}\n{fence}"
        return lsp.MarkupContent(lsp.MarkupKind.Markdown, value)
    return lsp.MarkupContent(lsp.MarkupKind.PlainText, text)
