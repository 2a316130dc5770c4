"""Reads drawn documents: `║` the cursor, `├…┤` proposed text, `╣` the end of what it replaces.

Invariant: a drawing has either one cursor or one proposal. The notation is tabby-agent's.
"""

from __future__ import annotations

from dataclasses import dataclass

from tabby_lsp.completion.cursor import Cursor


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A document with the cursor in it, and what is proposed there."""

    prefix: str  # ends at the cursor
    suffix: str  # begins at the cursor, what is replaced included
    text: str = ""
    replaced: str = ""

    def cursor(self, language: str = "python") -> Cursor:
        return Cursor(prefix=self.prefix, suffix=self.suffix, language=language)


def parse(drawing: str) -> Drawn:
    """Take a drawing apart."""
    if "║" in drawing:
        prefix, suffix = drawing.split("║")
        return Drawn(prefix=prefix, suffix=suffix)
    prefix, proposal = drawing.split("├")
    text, suffix = proposal.split("┤")
    if "╣" not in suffix:
        return Drawn(prefix=prefix, suffix=suffix, text=text)
    replaced, right = suffix.split("╣")
    return Drawn(prefix=prefix, suffix=replaced + right, text=text, replaced=replaced)


def cursor_in(drawing: str, language: str = "python") -> Cursor:
    """The cursor of a drawing without a proposal."""
    return parse(drawing).cursor(language)
