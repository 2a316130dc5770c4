"""What each editor does with an entry of its completion menu, as read in its source.

Invariant: knows nothing of how the server makes entries, only what the editors make of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.e2e.reference import line_spans, offset_at

if TYPE_CHECKING:
    from tests.e2e.clients import Profile
    from tests.e2e.wire import Json

SNIPPET = 2
ADJUST_INDENTATION = 2

# They put the text in the place of what stands left of the cursor, whatever the range says.
REPLACE_TO_THE_CURSOR = {"neovim-0.11", "neovim-0.12", "kate", "kakoune"}


def accepted(item: Json, text: str, cursor: Json, profile: Profile) -> str:
    """The document after the entry was accepted at the cursor, with "\\n" as the only line end."""
    span = item["textEdit"]["range"]
    start, end = (offset_at(text, span[side], profile.encoding) for side in ("start", "end"))
    at = offset_at(text, cursor, profile.encoding)
    if profile.name in REPLACE_TO_THE_CURSOR:
        end = at
    line_start = max(begin for begin, _ in line_spans(text) if begin <= at)
    indentation = re.match(r"[ \t]*", text[line_start:start])
    assert indentation is not None
    put_in = _put_in(item, indentation[0], profile)
    return re.sub(r"\r\n?", "\n", text[:start] + put_in + text[end:])


def _put_in(item: Json, indentation: str, profile: Profile) -> str:
    new: str = item["textEdit"]["newText"]
    completion: Any = profile.capabilities.get("textDocument", {}).get("completion", {})
    if item.get("insertTextFormat") == SNIPPET:
        assert completion["completionItem"]["snippetSupport"]
        if profile.name == "kate":
            return _without_markers(new)
        assert not re.search(r"(?<!\\)(?:\\\\)*[$}]", new), "a placeholder nobody asked for"
        return re.sub(r"\\([\\$}])", r"\1", new).replace("\n", "\n" + indentation)
    if profile.name.startswith("neovim"):
        # get_completion_word() in runtime/lua/vim/lsp/completion.lua
        return new.split()[0] if new.split() and not new[0].isspace() else new
    if profile.name == "kate":
        return _without_markers(new)
    if completion.get("insertTextMode") == ADJUST_INDENTATION:
        return new.replace("\n", "\n" + indentation)
    return new


def _without_markers(text: str) -> str:
    """Kate's stripSnippetMarkers(), for text without nested placeholders."""
    return re.sub(r"(?<!\\)\$\d+|(?<!\\)\$\{\d*:?([^}]*)\}", r"\1", text)
