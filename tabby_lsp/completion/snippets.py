"""Chooses the pieces of other files that are likely to help at the cursor.

Invariant: pure and deterministic; nothing of a file that may hold a secret is ever chosen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from tabby_lsp.domain import Snippet
from tabby_lsp.secrets import holds_secret, is_secret_path

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

# Below this one chunk in a hundred holds a name that the next line needs, at 0.25 one in seven
# (2,500 lines of the standard library and of site-packages; query: 10 lines before, 8 after).
MIN_SIMILARITY = 0.06
# Copilot takes one of 60 lines a file; ours are a third of that. Two find 5 % more needed names.
MAX_PER_FILE = 2
# llama.vim and Tabby drop what is this similar to something that is there already.
MAX_SAME_LINES = 0.9

# Words of many languages that say how code is written and not what it is about.
_COMMON_WORDS = frozenset(
    """
    abstract and assert async await bool boolean break case catch char class cls const continue def
    default del delete double elif else end enum except export extends extern false final finally
    float for foreach from func function global goto if impl implements import include instanceof
    int interface internal is lambda let long match module mut namespace new nil none nonlocal not
    null object operator or override package pass private protected public pub raise readonly
    require return sealed self short signed sizeof static str string struct super switch template
    then this throw throws trait true try type typedef typeof undefined union unless unsigned until
    use using val var virtual void volatile when where while with yield
    """.split()
)
_IDENTIFIER = re.compile(r"[^\W\d]\w{2,}")
_WORD = re.compile(r"[A-Z]?[a-z]{2,}|[A-Z]{3,}(?![a-z])|[^\W\d_A-Za-z]{3,}")


@dataclass(frozen=True, slots=True)
class SourceText:
    """Another file, cut into chunks."""

    path: str  # relative to the workspace folder, with forward slashes
    chunks: tuple[str, ...]  # joined they are the whole text: a secret may lie across a cut


def best_snippets(
    query: str, candidates: Sequence[SourceText], max_snippets: int, max_chars: int
) -> tuple[Snippet, ...]:
    """The chunks most similar to `query`, together at most `max_chars` long.

    `query` is the text round the cursor: ten lines before and eight after it find most (more lines
    blur it), and without the cursor's own line the answer stays the same while a line is typed.
    Of equally similar chunks the earlier candidate's wins. The order is by path and place in the
    file, not by similarity, so that a prompt's beginning changes only where the choice does; the
    rank says which are the most similar.
    """
    near = _lines(query)
    chosen: list[tuple[str, int, str]] = []
    n_chars = 0
    for source, index in _ranked(query, candidates):
        text = _trimmed(source.chunks[index])
        if len(chosen) == max_snippets:
            break
        if n_chars + len(text) > max_chars:
            continue
        if sum(path == source.path for path, _, _ in chosen) == MAX_PER_FILE:
            continue
        if any(_is_same(text, there) for there in (near, *(_lines(each) for *_, each in chosen))):
            continue
        if is_secret_path(source.path) or _may_hold_secret(source.chunks):
            continue
        chosen.append((source.path, index, text))
        n_chars += len(text)
    ranked = [(path, index, text, rank) for rank, (path, index, text) in enumerate(chosen)]
    return tuple(Snippet(path, text, rank) for path, _, text, rank in sorted(ranked))


def whole_texts(candidates: Sequence[SourceText], max_chars: int) -> tuple[str, ...]:
    """The files themselves, the first one last, together at most `max_chars` long."""
    texts: list[str] = []
    for source in candidates:
        if max_chars <= 0:
            break
        if is_secret_path(source.path) or _may_hold_secret(source.chunks):
            continue
        texts.append("".join(source.chunks)[:max_chars])
        max_chars -= len(texts[-1])
    return tuple(reversed(texts))


def _ranked(query: str, candidates: Sequence[SourceText]) -> list[tuple[SourceText, int]]:
    """Chunks that share enough words with the query, the most similar first.

    Similarity is Jaccard's, shared words by all words of both: as good as words weighted by rarity,
    and a third of the time.
    """
    wanted = _words(query)
    scored: list[tuple[float, int, int]] = []
    _FILES_WORDS.begin()
    for n, source in enumerate(candidates):
        for index, words in enumerate(_FILES_WORDS.of(source.chunks)):
            n_shared = len(wanted & words)
            similarity = n_shared / (len(wanted) + len(words) - n_shared or 1)
            if similarity >= MIN_SIMILARITY:
                scored.append((-similarity, n, index))
    return [(candidates[n], index) for _, n, index in sorted(scored)]


@dataclass(slots=True)
class _Known:
    words: tuple[frozenset[str], ...]  # of each chunk
    n_chars: int
    last_used: int  # in which search


class _Words:
    """The words of files, which stay the same from search to search.

    In a search of more than there is room for, those stay that were there first: were the oldest
    to go, each file would go just before it is looked at again.
    """

    def __init__(self, most_chars: int) -> None:
        self._most_chars = most_chars
        self._known: dict[tuple[str, ...], _Known] = {}  # by the chunks
        self._n_searches = 0

    def begin(self) -> None:
        """Another search begins."""
        self._n_searches += 1

    def of(self, chunks: tuple[str, ...]) -> tuple[frozenset[str], ...]:
        """Of each chunk of a file."""
        known = self._known.get(chunks)
        if known is None:
            known = _Known(tuple(map(_words, chunks)), sum(map(len, chunks)), 0)
            if self._has_room(known.n_chars):
                self._known[chunks] = known
        known.last_used = self._n_searches
        return known.words

    def _has_room(self, n_chars: int) -> bool:
        """Whether there is, once what neither this search nor the one before has used is gone."""
        # All at once: searches run in several threads.
        every = list(self._known.items())
        n_left = self._most_chars - n_chars - sum(each.n_chars for _, each in every)
        for chunks, each in every:
            if n_left >= 0:
                break
            if each.last_used < self._n_searches - 1:
                self._known.pop(chunks, None)
                n_left += each.n_chars
        return n_left >= 0


# Eighty files of 1,200 lines, with their words about 15 MB.
_FILES_WORDS = _Words(most_chars=4_000_000)


def _words(text: str) -> frozenset[str]:
    """Whole names and the words in them, so that `parse_header` meets `headers_of` and itself.

    Without words of one or two letters and without keywords, which nearly every chunk has.
    """
    names = set(_IDENTIFIER.findall(text))
    words = {word.lower() for name in names for word in _WORD.findall(name) if len(word) > 2}
    return frozenset(word for word in names | words if word.lower() not in _COMMON_WORDS)


def _lines(text: str) -> frozenset[str]:
    return frozenset(stripped for line in text.split("\n") if (stripped := line.strip()))


def _is_same(text: str, there: Collection[str]) -> bool:
    """Whether nearly every line of a text is among those that are there already."""
    lines = _lines(text)
    return sum(line in there for line in lines) > MAX_SAME_LINES * len(lines)


@lru_cache(maxsize=256)  # files; looked at once a version
def _may_hold_secret(chunks: tuple[str, ...]) -> bool:
    return holds_secret("".join(chunks))


def _trimmed(chunk: str) -> str:
    """Whole lines without the blank ones at both ends."""
    return re.sub(r"\A(?:[^\S\n]*\n)+", "", chunk).rstrip() + "\n"
