"""The places in documents at which somebody types, each with the prompts that are held fast there.

Invariant: which of them is taken is told by what has to be read; all of them spell the same place.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING
from zlib import crc32

from tabby_lsp.engines.llama.anchor import drop_anchor, texts_elsewhere, with_tail
from tabby_lsp.engines.llama.healing import n_taken_back
from tabby_lsp.engines.llama.searched import Searched
from tabby_lsp.engines.llama.standing import BREAK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tabby_lsp.domain import GenerationRequest, Segments
    from tabby_lsp.engines.llama.anchor import Anchor
    from tabby_lsp.engines.llama.healing import Vocabulary
    from tabby_lsp.engines.llama.layout import Tokenize
    from tabby_lsp.models.families import Fim

    # How many tokens of a prompt would have to be evaluated.
    Cost = Callable[[list[int]], int]

_MOST_DOCUMENTS = 64
_MOST_ELSEWHERE = 4
# What is copied from is tokenized in parts, of this many lines on average; those of two documents.
_LINES_OF_PART = 16
_MOST_PARTS = 512
# It takes a third of a millisecond for each.
_MOST_NEW_PARTS = 64
# Places of one document, so that going back and forth between them is known too.
_MOST_ANCHORS = 4
# What is cheaper by so many tokens is not worth to leave the latest anchor for.
_FEW_TOKENS = 16
# Of the room behind an anchor: what is left is for what is typed until there is a pause.
_LONG_SHARE, _FULL_SHARE = 0.6, 0.95
_LESS_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model reads, and what its answer has to begin with."""

    tokens: list[int]
    open_tokens: list[int]  # those of the open text, which are among them
    elsewhere: Searched  # all other text, to look for what may come next
    typed: bytes = b""


class Desk:
    """Lives as long as the model whose prompts it holds."""

    def __init__(
        self,
        fim: Fim,
        tokenize: Tokenize,
        vocabulary: Vocabulary | None = None,
        tokenize_part: Tokenize | None = None,
        *,
        may_draft: bool = True,
    ) -> None:
        """Tokens are taken back from a prompt's end where there is a `vocabulary`.

        What does not grow may be tokenized in another way, by `tokenize_part`.
        """
        self.vocabulary = vocabulary
        self._fim = fim
        self._tokenize = tokenize
        self._tokenize_part = tokenize_part or tokenize
        self._looks_up = may_draft or fim.copy_gate is not None
        self._elsewhere: OrderedDict[tuple[str, ...], Searched] = OrderedDict()
        self._parts: OrderedDict[str, list[int]] = OrderedDict()
        self._anchors: OrderedDict[str, list[Anchor]] = OrderedDict()  # the latest first

    def prompt(self, request: GenerationRequest, n_room: int, cost: Cost, *, heals: bool) -> Prompt:
        """The prompt, at most `n_room` tokens, of which the fewest have to be evaluated."""
        segments = request.segments
        anchors = self._anchors.setdefault(request.document, [])
        self._anchors.move_to_end(request.document)
        if len(self._anchors) > _MOST_DOCUMENTS:
            self._anchors.popitem(last=False)
        fit = [anchor for anchor in anchors if _may_show(anchor, request)]
        tried = [(with_tail(anchor, segments, self._tokenize, n_room), anchor) for anchor in fit]
        found = [(prompt, anchor) for prompt, anchor in tried if prompt is not None]
        if len(found) > 1:
            # The latest that costs hardly more than another: it was held fast to be used.
            costs = [cost(prompt) for prompt, _ in found]
            most = min(costs) + _FEW_TOKENS
            found = [each for each, n in zip(found, costs, strict=True) if n <= most]
        if found:
            prompt, anchor = found[0]
        else:
            kept = replace(segments, snippets=fit[0].snippets) if fit else segments
            anchor, prompt = drop_anchor(kept, self._fim, self._tokenize, n_room, fit)
        self.hold(request.document, anchor)
        texts = texts_elsewhere(anchor, segments) if self._looks_up else ()
        elsewhere = self._searched(texts)
        begin, end = len(anchor.before), len(prompt) - len(anchor.after)
        vocabulary = self.vocabulary
        if vocabulary is None or not heals:
            return Prompt(prompt, prompt[begin:end], elsewhere)
        # What may become other tokens when it goes on is left to the answer.
        start = end - n_taken_back(prompt[begin:end], vocabulary)
        typed = b"".join(vocabulary.pieces[token] for token in prompt[start:end])
        return Prompt([*prompt[:start], *prompt[end:]], prompt[begin:start], elsewhere, typed)

    def renewed(self, request: GenerationRequest, n_room: int) -> tuple[Anchor, list[int]] | None:
        """A better anchor for a place, where the one that is used there is worn, and its prompt.

        It is worn when much stands behind it, or when other snippets would be chosen now.
        """
        anchors = self._anchors.get(request.document, [])
        if not anchors or not request.document:
            return None
        prompt = with_tail(anchors[0], request.segments, self._tokenize, n_room)
        if prompt is None:
            return None
        used = anchors[0]
        n_open = len(prompt) - len(used.before) - len(used.after)
        is_full = used.is_open and n_open > _FULL_SHARE * used.n_most_open
        is_long = not used.is_open and n_open > _LONG_SHARE * used.n_most_open
        if is_full:
            # In less room, so that the window is cut.
            n_less = int(n_room * _LESS_SHARE)
            return drop_anchor(request.segments, self._fim, self._tokenize, n_less)
        now = request.segments
        if is_long or (used.snippets, used.imports) != (now.snippets, now.imports):
            return drop_anchor(request.segments, self._fim, self._tokenize, n_room, anchors)
        return None

    def hold(self, document: str, anchor: Anchor) -> None:
        """Use an anchor from now on."""
        others = [other for other in self._anchors.get(document, []) if other is not anchor]
        self._anchors[document] = [anchor, *others][:_MOST_ANCHORS]

    def _searched(self, texts: tuple[str, ...]) -> Searched:
        """Texts to copy from, with a break behind each; they stay the same from key to key."""
        found = self._elsewhere.pop(texts, None)
        if found is None:
            tokens, is_all = self._read(texts)
            found = Searched(tokens)
            if not is_all:
                return found
        self._elsewhere[texts] = found
        if len(self._elsewhere) > _MOST_ELSEWHERE:
            self._elsewhere.popitem(last=False)
        return found

    def _read(self, texts: tuple[str, ...]) -> tuple[list[int], bool]:
        """Their tokens, and whether those are all; what is far off comes with the next requests.

        Where two parts meet there may be others than those of the whole, which is no matter.
        """
        backwards: list[list[int]] = []
        n_new = 0
        for text in reversed(texts):
            backwards.append([BREAK])
            for part in reversed([*parts(text)]):
                if part not in self._parts:
                    n_new += 1
                    if n_new > _MOST_NEW_PARTS:
                        return [*chain.from_iterable(reversed(backwards))], False
                    self._parts[part] = self._tokenize_part(part)
                self._parts.move_to_end(part)
                backwards.append(self._parts[part])
        while len(self._parts) > _MOST_PARTS:
            self._parts.popitem(last=False)
        return [*chain.from_iterable(reversed(backwards))], True


def parts(text: str) -> Iterator[str]:
    """A text in parts that stay the same, most of them, when some of it changes or is cut off."""
    part: list[str] = []
    for line in text.splitlines(keepends=True):
        part.append(line)
        if crc32(line.encode("utf-8", "surrogatepass")) % _LINES_OF_PART == 0:
            yield "".join(part)
            part = []
    if part:
        yield "".join(part)


def _may_show(anchor: Anchor, request: GenerationRequest) -> bool:
    """Whether an anchor's snippets may stay, although others would be chosen now.

    To change them is to read everything again, so within a document they stay; where nobody says
    which text it is, or wants none, they do not.
    """
    wanted: Segments = request.segments
    if anchor.snippets == wanted.snippets:
        return True
    return bool(request.document) and bool(wanted.snippets)
