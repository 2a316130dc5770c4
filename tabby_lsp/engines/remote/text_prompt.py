"""Prompts for servers that take text: a family's own spelling, or prefix and suffix apart. Pure.

Invariant: a server reads control tokens out of a text, so whatever looks like one in the user's
text is broken by a space; nothing in a file can then end the prompt or move the cursor. Engines
that send token ids need none of this and leave the text alone.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from tabby_lsp.engines.llama.layout import render
from tabby_lsp.languages import BY_ID
from tabby_lsp.models.families import fim_of_family
from tabby_lsp.models.fim_table import FAMILIES, OTHER_CONTROLS, STARTER

if TYPE_CHECKING:
    from tabby_lsp.domain import Segments
    from tabby_lsp.models.fim_table import FimFamily

# What servers hold in mind where they do not say (Ollama's default), and how many characters of
# code a token has at least, so that a prompt is cut by us rather than by them, at its beginning,
# where the control tokens are.
DEFAULT_N_CTX = 4_096
_CHARS_PER_TOKEN = 3

# `<|...|>` is how most families write control tokens, with DeepSeek's wide bars or without.
_GENERAL_FORM = r"<[|｜][^<>|｜\s]{1,64}[|｜]>"  # noqa: RUF001
_SUFFIX_SHARE = 0.25
_STEP_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Halves:
    """What a server gets that puts its own control tokens between them."""

    prefix: str
    suffix: str


def render_text(segments: Segments, family: FimFamily, n_room: int) -> str:
    """The prompt in the family's spelling, of about `n_room` tokens at most."""
    pieces = [_spelled(token) for token in family.tokens]
    fim = fim_of_family(family, {token: number for number, token in enumerate(family.tokens)})

    def tokenize(text: str) -> list[int]:
        """As many pieces as the text has tokens, or more."""
        first = len(pieces)
        starts = range(0, len(text), _CHARS_PER_TOKEN)
        pieces.extend(text[start : start + _CHARS_PER_TOKEN] for start in starts)
        return list(range(first, len(pieces)))

    tokens = render(_harmless(segments, family), fim, tokenize, n_room)
    return "".join(pieces[token] for token in tokens).lstrip(" ")


def render_halves(segments: Segments, n_room: int) -> Halves:
    """Prefix and suffix, of about `n_room` tokens together, with the snippets before as comments.

    As Tabby's server writes snippets. A suffix is never empty: servers would take the request for
    one without a middle, and Ollama for a message in a chat.
    """
    harmless = _harmless(segments, None)
    comments = _comments(harmless)
    max_chars = max(0, n_room * _CHARS_PER_TOKEN - len(comments))
    halves = cut(Halves(_unix(harmless.prefix), _unix(harmless.suffix)), max_chars)
    return Halves(comments + halves.prefix, halves.suffix or "\n")


def cut(halves: Halves, max_chars: int) -> Halves:
    """What is nearest to the cursor, so long that it stays the same while somebody types."""
    suffix = halves.suffix[: int(max_chars * _SUFFIX_SHARE)]
    return Halves(_end_of(halves.prefix, max_chars - len(suffix)), suffix)


def without_controls(text: str, family: FimFamily | None) -> str:
    """The text with a space in whatever a tokenizer would read as a control token.

    Those of the family, and of all families where it is not known which one will read.
    """
    return _controls(family).sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)


def control_texts(family: FimFamily) -> tuple[str, ...]:
    """What ends an answer where a server writes control tokens out."""
    return tuple(_spelled(token).strip() for token in family.tokens)


def _harmless(segments: Segments, family: FimFamily | None) -> Segments:
    return replace(
        segments,
        prefix=without_controls(segments.prefix, family),
        suffix=without_controls(segments.suffix, family),
        imports=without_controls(segments.imports, family),
        path=without_controls(segments.path, family),
        repository=without_controls(segments.repository, family),
        snippets=tuple(
            replace(
                each,
                path=without_controls(each.path, family),
                text=without_controls(each.text, family),
            )
            for each in segments.snippets
        ),
    )


@lru_cache
def _controls(family: FimFamily | None) -> re.Pattern[str]:
    rows = (*FAMILIES, STARTER) if family is None else (family,)
    tokens = {_spelled(token).strip() for row in rows for token in row.tokens}
    exact = map(re.escape, sorted(tokens.union(OTHER_CONTROLS)))
    return re.compile("|".join([_GENERAL_FORM, *exact]))


def _spelled(token: str) -> str:
    """A token of a SentencePiece vocabulary as text: its mark for a space is a space there."""
    return token.replace("▁<", " <")


def _comments(segments: Segments) -> str:
    """The snippets as a comment above the prefix, where the language has line comments."""
    language = BY_ID.get(segments.language)
    mark = language.line_comment if language else ""
    if not mark:
        return ""
    blocks = [[f"Path: {each.path}", *each.text.splitlines()] for each in segments.snippets]
    return f"{mark}\n".join(
        "".join(f"{mark} {line}".rstrip() + "\n" for line in block) for block in blocks
    )


def _unix(text: str) -> str:
    """Models were trained on files with `\\n`."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _end_of(text: str, max_chars: int) -> str:
    """The end of a text, without as few whole steps of its beginning as it takes to fit.

    The same beginning is left out while the user types, so that the server's KV cache holds.
    """
    if len(text) <= max_chars:
        return text
    step_chars = max(1, int(max_chars * _STEP_SHARE))
    start = math.ceil((len(text) - max_chars) / step_chars) * step_chars
    line_start = text.find("\n", start - 1) + 1
    return text[line_start or start :] if max_chars > 0 else ""
