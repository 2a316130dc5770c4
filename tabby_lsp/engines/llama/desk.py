"""The places in documents at which somebody types, each with the prompts that are held fast there.

Invariant: which of them is taken is told by what has to be read; all of them spell the same place.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tabby_lsp.engines.llama.anchor import drop_anchor, with_tail
from tabby_lsp.engines.llama.healing import n_taken_back

if TYPE_CHECKING:
    from collections.abc import Callable

    from tabby_lsp.domain import GenerationRequest, Segments
    from tabby_lsp.engines.llama.anchor import Anchor
    from tabby_lsp.engines.llama.healing import Vocabulary
    from tabby_lsp.engines.llama.layout import Tokenize
    from tabby_lsp.models.families import Fim

    # How many tokens of a prompt would have to be evaluated.
    Cost = Callable[[list[int]], int]

_MOST_DOCUMENTS = 64
# Places of one document, so that going back and forth between them is known too.
_MOST_ANCHORS = 4


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model reads, and what its answer has to begin with."""

    tokens: list[int]
    typed: bytes = b""


class Desk:
    """Lives as long as the model whose prompts it holds."""

    def __init__(self, fim: Fim, tokenize: Tokenize, vocabulary: Vocabulary | None = None) -> None:
        """Tokens are taken back from a prompt's end where there is a `vocabulary`."""
        self.vocabulary = vocabulary
        self._fim = fim
        self._tokenize = tokenize
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
        found = [(cost(prompt), prompt, anchor) for prompt, anchor in tried if prompt is not None]
        if found:
            _, prompt, anchor = min(found, key=lambda each: each[0])
        else:
            kept = replace(segments, snippets=fit[0].snippets) if fit else segments
            anchor, prompt = drop_anchor(kept, self._fim, self._tokenize, n_room, fit)
        self._anchors[request.document] = [
            anchor, *(other for other in anchors if other is not anchor)
        ][:_MOST_ANCHORS]  # fmt: skip
        return self._healed(prompt, anchor) if heals else Prompt(prompt)

    def _healed(self, prompt: list[int], anchor: Anchor) -> Prompt:
        """The prompt without what may become other tokens when it goes on."""
        vocabulary = self.vocabulary
        if vocabulary is None:
            return Prompt(prompt)
        end = len(prompt) - len(anchor.after)
        start = end - n_taken_back(prompt[len(anchor.before) : end], vocabulary)
        typed = b"".join(vocabulary.pieces[token] for token in prompt[start:end])
        return Prompt([*prompt[:start], *prompt[end:]], typed)


def _may_show(anchor: Anchor, request: GenerationRequest) -> bool:
    """Whether an anchor's snippets may stay, although others would be chosen now.

    To change them is to read everything again, so within a document they stay; where nobody says
    which text it is, or wants none, they do not.
    """
    wanted: Segments = request.segments
    if anchor.snippets == wanted.snippets:
        return True
    return bool(request.document) and bool(wanted.snippets)
