"""From segments to the token ids that a model of a given family reads. Pure.

Invariant: text of the user's becomes tokens by `tokenize` alone, so that nothing in a file can be
taken for a control token; and what is cut off is cut in big steps at line starts, so that typing a
character moves nothing that was read before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tabby_lsp.domain import Segments, Snippet
    from tabby_lsp.models.families import Fim, Spelling

    Tokenize = Callable[[str], list[int]]

# How the room is shared out. The prefix, which says most, takes what the others leave.
SUFFIX_SHARE = 0.2
SNIPPETS_SHARE = 0.25
IMPORTS_SHARE = 0.1
# When the prefix is too long, so much of its room is freed at once.
_PREFIX_STEP_SHARE = 0.25
# No text of code has more characters to a token on average (3.5 in the starter's vocabulary, 4.2 in
# Qwen2.5-Coder's); what lies beyond is not even tokenized.
MOST_CHARS_PER_TOKEN = 6
_FEW_CHARS_PER_TOKEN = 2
_LONG_LINE_CHARS = 200
_LEAST_SNIPPET_TOKENS = 24  # with its path; what is shorter says nothing
N_CONTROL_TOKENS = 4  # the family's three, and the beginning of the text


@dataclass(frozen=True, slots=True)
class Opening:
    """What stands before the text round the cursor: other files, and which one this is."""

    before: tuple[int, ...]
    in_prefix: tuple[int, ...]  # behind the prefix token

    @property
    def n_tokens(self) -> int:
        return len(self.before) + len(self.in_prefix)


def render(segments: Segments, fim: Fim, tokenize: Tokenize, n_room: int) -> list[int]:
    """The prompt, at most `n_room` tokens, in the order in which the family was trained."""
    suffix = tokenize(head(unix(segments.suffix), int(n_room * SUFFIX_SHARE), tokenize))
    begin = opening(segments, fim, tokenize, int(n_room * SNIPPETS_SHARE))
    n_others = begin.n_tokens + len(suffix) + N_CONTROL_TOKENS
    n_left = n_room - n_others
    near = end_of(unix(segments.prefix), n_left, tokenize)
    imports = imports_above(near, segments, int(min(n_room * IMPORTS_SHARE, n_left)), tokenize)
    if imports:
        near = end_of(unix(segments.prefix), n_left - len(imports), tokenize)
    prefix = [*begin.in_prefix, *imports, *tokenize(near)]
    return [*begin.before, *_ordered(prefix, suffix, fim)]


def imports_above(near: str, segments: Segments, n_room: int, tokenize: Tokenize) -> list[int]:
    """The file's imports, where `near`, what is shown left of the cursor, has not the first.

    Of more than `n_room` tokens, the last: they are the most the file's own.
    """
    imports = unix(segments.imports)
    first = imports.partition("\n")[0]
    if not first or f"\n{first}\n" in f"\n{near}\n":
        return []
    tokens = tokenize(imports)
    while tokens and len(tokens) > n_room:
        # A line at least, and about an eighth of them.
        imports = imports[imports.find("\n", len(imports) // 8) + 1 or len(imports) :]
        tokens = tokenize(imports)
    return tokens


def opening(segments: Segments, fim: Fim, tokenize: Tokenize, n_room: int) -> Opening:
    """The beginning of a prompt, with as much of the snippets as fits into `n_room` tokens."""
    snippets = _snippets(segments.snippets, fim, tokenize, n_room)
    repository = _spell(fim.repository, tokenize, repository=segments.repository)
    path_before = _spell(fim.path_before, tokenize, path=segments.path)
    path_in_prefix = _spell(fim.path_in_prefix, tokenize, path=segments.path)
    start = (*fim.bos, *repository)
    if fim.snippets_in_prefix:
        return Opening((*start, *path_before), (*snippets, *path_in_prefix))
    return Opening((*start, *snippets, *path_before), tuple(path_in_prefix))


def _ordered(prefix: list[int], suffix: list[int], fim: Fim) -> list[int]:
    middle = [] if fim.middle is None else [fim.middle]
    if fim.layout == "psm":
        return [fim.prefix, *prefix, fim.suffix, *suffix, *middle]
    if fim.layout == "spm_v1":
        return [fim.suffix, *suffix, fim.prefix, *prefix, *middle]
    return [fim.prefix, fim.suffix, *suffix, *middle, *prefix]


def _snippets(
    snippets: tuple[Snippet, ...], fim: Fim, tokenize: Tokenize, n_room: int
) -> list[int]:
    """The most helpful snippets, in their order; the one that the room ends in loses its end."""
    kept: dict[int, list[int]] = {}
    n_left = n_room
    for index, snippet in sorted(enumerate(snippets), key=lambda each: each[1].rank):
        if n_left < _LEAST_SNIPPET_TOKENS:
            break
        spelled = _fitted(snippet, fim, tokenize, n_left)
        if spelled:
            kept[index] = spelled
            n_left -= len(spelled)
    return [token for _, tokens in sorted(kept.items()) for token in tokens]


def _fitted(snippet: Snippet, fim: Fim, tokenize: Tokenize, n_room: int) -> list[int]:
    """As many of its first lines as there is room for; nothing where that is not one."""
    text = unix(snippet.text).removesuffix("\n") + "\n"
    n_for_text = n_room - len(_spell(fim.snippet, tokenize, path=snippet.path, text="\n"))
    while n_for_text > 0 and "\n" in (text := head(text, n_for_text, tokenize)):
        text = text[: text.rfind("\n") + 1]
        spelled = _spell(fim.snippet, tokenize, path=snippet.path, text=text)
        if len(spelled) <= n_room:
            return spelled
        n_for_text -= len(spelled) - n_room
    return []


def _spell(spelling: Spelling, tokenize: Tokenize, **values: str) -> list[int]:
    if not all(values.values()):
        return []
    tokens: list[int] = []
    for part in spelling:
        tokens += [part] if isinstance(part, int) else tokenize(part.format(**values))
    return tokens


def head(text: str, n_room: int, tokenize: Tokenize) -> str:
    """The beginning of a text, cut behind a line's end where a line's end is near enough."""
    text = text[: n_room * MOST_CHARS_PER_TOKEN]
    tokens = tokenize(text)
    while len(tokens) > n_room:
        # In proportion, and a little less, so that two or three rounds do.
        n_chars = int(len(text) * n_room / len(tokens) * 0.95)
        line_end = text.rfind("\n", n_chars // 2, n_chars)
        text = text[: line_end + 1 if line_end >= 0 else n_chars]
        tokens = tokenize(text)
    return text


def tail(text: str, n_room: int, tokenize: Tokenize) -> list[int]:
    """The tokens of the end of a text, as `end_of` has it."""
    return tokenize(end_of(text, n_room, tokenize))


def end_of(text: str, n_room: int, tokenize: Tokenize) -> str:
    """The end of a text, without as few whole steps of its beginning as it takes to fit.

    The steps are counted from the text's beginning: while it grows at its end, the same beginning
    is left out until the next step is due.
    """
    if n_room <= 0:
        return ""
    step_chars = max(1, int(n_room * _PREFIX_STEP_SHARE * _FEW_CHARS_PER_TOKEN))
    n_over_chars = max(0, len(text) - n_room * MOST_CHARS_PER_TOKEN)
    n_steps = math.ceil(n_over_chars / step_chars)
    while True:
        kept = from_line_start(text, n_steps * step_chars)
        tokens = tokenize(kept)
        n_over_tokens = len(tokens) - n_room
        if n_over_tokens <= 0:
            return kept
        # Half as far as the average says, since the beginning may be denser than the rest.
        n_over_chars = n_over_tokens * len(kept) // (2 * len(tokens))
        n_steps += max(1, n_over_chars // step_chars)


def from_line_start(text: str, start: int) -> str:
    """The text from the first line start at or after `start`, where its line ends soon enough."""
    if start == 0:
        return text
    line_start = text.find("\n", start - 1, start + _LONG_LINE_CHARS) + 1
    return text[line_start or start :]


def unix(text: str) -> str:
    """Models were trained on files with `\\n`."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
