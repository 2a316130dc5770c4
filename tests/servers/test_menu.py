"""What stands in the menu for a completion, in each form that an editor may want."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from lsprotocol import types as lsp

from tabby_lsp.completion.cursor import last_line
from tabby_lsp.documents import Document, Position
from tabby_lsp.domain import Completion
from tabby_lsp.servers.lsp.clients import client_named, draws_ghost_text
from tabby_lsp.servers.lsp.menu import Entry, Style, entry_of, item_of, style_of
from tests.completion.drawn import parse

if TYPE_CHECKING:
    from tabby_lsp.documents import PositionEncoding

PLAIN = Style()
SNIPPETS = Style(knows_snippets=True)
VSCODE = Style(knows_snippets=True, adjusts_indentation=True)
NEOVIM = Style(form="snippet", knows_snippets=True, heeds_range_end=False)
AS_IT_STANDS = Style(form="text", knows_snippets=True, adjusts_indentation=True)


def entry_for(ghost: str, style: Style) -> Entry | None:
    drawn = parse(ghost)
    completion = Completion(text=drawn.text, replaced=drawn.replaced)
    return entry_of(completion, last_line(drawn.prefix), style)


def check(ghost: str, style: Style, menu: str | None, label: str | None = None) -> None:
    """Ghost text becomes this entry: its text between `├` and `┤`, up to `╣` what it replaces."""
    entry = entry_for(ghost, style)
    if menu is None:
        assert entry is None
        return
    assert entry is not None
    drawn = parse(ghost)
    before, after = drawn.prefix.removesuffix(entry.word), drawn.suffix
    beyond = after[: len(entry.replaced)] + "╣" if entry.replaced else ""
    assert f"{before}├{entry.text}┤{beyond}{after[len(entry.replaced) :]}" == menu
    if label is not None:
        assert entry.label == label


# What is replaced.


@pytest.mark.parametrize("style", [PLAIN, SNIPPETS, VSCODE, AS_IT_STANDS])
def test_the_word_at_the_cursor_is_said_again(style: Style) -> None:
    check("x = items.app├end(y)┤\n", style, "x = items.├append(y)┤\n", "append(y)")
    check("größe2_├x = 1┤", style, "├größe2_x = 1┤", "größe2_x = 1")


def test_without_a_word_the_text_begins_at_the_cursor() -> None:
    check("x =├ 1┤\n", PLAIN, "x =├ 1┤\n", "1")
    check("print(├x)┤", PLAIN, "print(├x)┤")


def test_what_stands_right_of_the_cursor_already_stays() -> None:
    check("print(├x)┤)╣\n", PLAIN, "print(├x┤)\n")
    check("f([├1])┤])╣\n", NEOVIM, "f([├1┤])\n")


def test_where_it_cannot_stay_the_range_goes_on() -> None:
    check("print(├x) if x┤)╣\n", PLAIN, "print(├x) if x┤)╣\n")


def test_an_editor_that_replaces_nothing_right_of_the_cursor_gets_no_entry() -> None:
    check("print(├x) if x┤)╣\n", NEOVIM, None)


def test_what_stands_there_already_is_no_entry() -> None:
    check("print(├)┤)╣\n", PLAIN, None)


# One line.


def test_one_line_is_plain_text_where_it_can_be() -> None:
    for style in (PLAIN, SNIPPETS, VSCODE, AS_IT_STANDS):
        check("cost = ├f'${x}'┤\n", style, "cost = ├f'${x}'┤\n", "f'${x}'")


def test_neovim_cuts_plain_text_and_gets_a_snippet() -> None:
    check("cost = ├f'${x}\\n'┤\n", NEOVIM, "cost = ├f'\\${x\\}\\\\n'┤\n", "f'${x}\\n'")


# Several lines.

LOOP = """\
def total(items):
    for item in it├ems:
        if item:

            yield item
    return┤
"""
LOOP_WITHOUT_INDENTATION = """\
def total(items):
    for item in ├items:
    if item:

        yield item
return┤
"""


@pytest.mark.parametrize("style", [SNIPPETS, VSCODE, NEOVIM])
def test_editors_that_add_the_lines_indentation_get_lines_without(style: Style) -> None:
    check(LOOP, style, LOOP_WITHOUT_INDENTATION, "items:…")


def test_plain_lines_are_left_as_they_will_stand() -> None:
    for style in (PLAIN, AS_IT_STANDS):
        check(LOOP, style, LOOP.replace("it├ems", "├items"), "items:…")


def test_plain_lines_lose_the_indentation_that_the_editor_adds() -> None:
    style = replace(VSCODE, knows_snippets=False)
    check(LOOP, style, LOOP_WITHOUT_INDENTATION)
    check("\tif x:├\n\t\ta = '$'┤", style, "\tif x:├\n\ta = '$'┤", "a = '$'")


def test_tabs_are_indentation_too() -> None:
    check("\tif x:├\n\t\ta = '$'\n\tb┤", SNIPPETS, "\tif x:├\n\ta = '\\$'\nb┤", "a = '$'…")


def test_lines_that_are_indented_less_cannot_be_said_and_end_the_text() -> None:
    check("    a = f(├\n        1,\n)\nb┤", SNIPPETS, "    a = f(├\n    1,┤")
    check("    a = f(├\n)┤", SNIPPETS, None)


def test_a_text_that_was_cut_replaces_nothing() -> None:
    check("    f(├\n  1) + 2┤)╣\n", SNIPPETS, None)


def test_a_snippet_has_line_feeds_and_plain_text_the_documents_line_ends() -> None:
    check("if x:├\r\n    a\r\n┤", SNIPPETS, "if x:├\n    a\n┤")
    check("if x:├\r\n    a\r\n┤", PLAIN, "if x:├\r\n    a\r\n┤")


# Labels.


@pytest.mark.parametrize("text", [" " + "x" * 200, "\n\n   a\n b", "a\r\nb", "\fa", "x" * 60])
def test_labels_are_short_and_on_one_line(text: str) -> None:
    entry = entry_of(Completion(text=text), "", SNIPPETS)
    assert entry is not None
    assert 0 < len(entry.label) <= 60
    assert entry.label.strip().splitlines() == [entry.label]


@given(
    line=st.text("ab_ \t(.ß😀", max_size=12),
    text=st.text("ab \t\n$}\\)ß😀", min_size=1, max_size=30),
    snippets=st.booleans(),
    adjusts=st.booleans(),
)
def test_accepting_gives_what_ghost_text_gives_or_its_beginning(
    line: str, text: str, snippets: bool, adjusts: bool
) -> None:
    style = Style(knows_snippets=snippets, adjusts_indentation=adjusts)
    entry = entry_of(Completion(text=text), line, style)
    assume(entry is not None)
    assert entry is not None
    put_in = entry.text
    if entry.is_snippet:
        put_in = put_in.replace("\\\\", "\0").replace("\\", "").replace("\0", "\\")
    if entry.is_snippet or adjusts:
        indentation = line[: len(line) - len(line.lstrip(" \t"))]
        put_in = put_in.replace("\n", "\n" + indentation)
    accepted = line.removesuffix(entry.word) + put_in
    expected = line + text
    assert lean(expected).startswith(lean(accepted)) and len(accepted) > len(line)
    assert entry.filter_text.startswith(entry.word) or not entry.word
    assert entry.label.startswith(entry.word)


def lean(text: str) -> str:
    """Without blanks at the ends of lines, which editors add to blank ones."""
    return "\n".join(line.rstrip(" \t") for line in text.rstrip(" \t\n").split("\n"))


# On the wire.


@pytest.mark.parametrize(
    ("encoding", "start", "cursor", "end"),
    [("utf-8", 5, 8, 13), ("utf-16", 3, 5, 8), ("utf-32", 2, 4, 6)],
)
def test_ranges_count_in_the_clients_units(
    encoding: PositionEncoding, start: int, cursor: int, end: int
) -> None:
    document = Document("u:1", "python", 1, "😀(ßa😀)", encoding)
    entry = entry_of(Completion(text="b, 😀) + 1", replaced="😀)"), "😀(ßa", PLAIN)
    assert entry is not None
    item = item_of(entry, document, Position(0, cursor), lsp.Command("", ""), PLAIN)
    assert isinstance(item.text_edit, lsp.TextEdit)
    span = item.text_edit.range
    assert (span.start, span.end) == (lsp.Position(0, start), lsp.Position(0, end))


def test_several_lines_are_shown_whole_beside_the_menu() -> None:
    document = Document("u:1", "python", 1, "if x:", "utf-16")
    entry = entry_of(Completion(text="\n    a = '```${x}'\n    b"), "if x:", SNIPPETS)
    assert entry is not None
    style = Style(reads_markdown=True, has_label_details=True)
    item = item_of(entry, document, Position(0, 5), lsp.Command("", ""), style)
    shown = item.documentation
    assert isinstance(shown, lsp.MarkupContent)
    assert shown.value == "````python\n\n    a = '```${x}'\n    b\n````"
    assert item.label_details is not None
    assert (item.label_details.description, item.detail) == ("tabby-lsp (3 lines)", None)
    plain = item_of(entry, document, Position(0, 5), lsp.Command("", ""), Style())
    assert isinstance(plain.documentation, lsp.MarkupContent)
    assert plain.documentation.kind == lsp.MarkupKind.PlainText
    assert (plain.label_details, plain.detail) == (None, "tabby-lsp (3 lines)")


# Clients.


def test_ghost_text_is_told_by_the_capability_or_by_the_table() -> None:
    silent = lsp.ClientCapabilities()
    announced = lsp.ClientCapabilities(
        text_document=lsp.TextDocumentClientCapabilities(
            inline_completion=lsp.InlineCompletionClientCapabilities()
        )
    )
    for name in ("", "Neovim", "Eglot", "helix", "Sublime Text LSP"):
        assert not draws_ghost_text(client_named(name), silent)
        assert draws_ghost_text(client_named(name), announced)
    assert draws_ghost_text(client_named("emacs"), silent)


def test_a_client_that_says_nothing_of_itself_gets_text_as_it_will_stand() -> None:
    capabilities = lsp.ClientCapabilities(
        text_document=lsp.TextDocumentClientCapabilities(
            completion=lsp.CompletionClientCapabilities(
                completion_item=lsp.ClientCompletionItemOptions(snippet_support=True)
            )
        )
    )
    check(LOOP, style_of(client_named(""), capabilities), LOOP.replace("it├ems", "├items"))
    check(LOOP, style_of(client_named("Zed"), capabilities), LOOP_WITHOUT_INDENTATION)
