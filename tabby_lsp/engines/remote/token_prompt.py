"""Prompts of token ids for a llama-server, whose own tokenizer makes tokens of the texts.

Invariant: the user's text is tokenized with `parse_special` off, into the very tokens that the
built-in engine would make of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabby_lsp.engines.llama.growing import GrowingTokenizer
from tabby_lsp.engines.llama.layout import render
from tabby_lsp.engines.remote import faults
from tabby_lsp.engines.remote.dialect import count_at, dig, text_at

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tabby_lsp.domain import Segments
    from tabby_lsp.engines.remote.connection import Connection
    from tabby_lsp.engines.remote.deadline import Deadline
    from tabby_lsp.models.families import Fim

# The kinds of vocabularies as llama.cpp counts them: 0 is none, here also one that is not told.
SENTENCEPIECE, BYTE_LEVEL = 1, 2

# The suffix, the path and the snippets stay the same from key to key; the prefix does not.
_N_TEXTS_KEPT = 256


class _Unknown(Exception):
    """A text whose tokens have to be asked for first."""


class RemoteTokenizer:
    """Remembers the tokens of the last texts; lives as long as the server's model."""

    def __init__(self, connection: Connection, model: str, vocabulary: int = 0) -> None:
        self._connection = connection
        self._model = model
        self._known: dict[str, list[int]] = {}
        is_growing = vocabulary == BYTE_LEVEL
        self._tokenize = GrowingTokenizer(self._tokens) if is_growing else self._tokens
        # SentencePiece vocabularies put a blank before every text; behind a line end it can be told
        # from the text's own.
        self._before = "\n" if vocabulary == SENTENCEPIECE else ""
        self._n_before = 0

    async def render(
        self, segments: Segments, fim: Fim, n_room: int, deadline: Deadline
    ) -> list[int]:
        """The prompt, at most `n_room` tokens; raises Fault.

        The layout is pure, so it is tried until it meets no text that it would have to ask for.
        """
        if self._before and not self._n_before:
            answer = await self._ask(deadline, content=self._before, parse_special=False)
            self._n_before = len(self._ids(answer))
        while len(self._known) > _N_TEXTS_KEPT:
            del self._known[next(iter(self._known))]
        while True:
            try:
                return render(segments, fim, self._tokenize, n_room)
            except _Unknown as unknown:
                (text,) = unknown.args
                content = self._before + text
                answer = await self._ask(deadline, content=content, parse_special=False)
                self._known[text] = self._ids(answer)[self._n_before :]

    async def control_ids(self, texts: Iterable[str], deadline: Deadline) -> dict[str, int]:
        """Those of the texts that are one token to the model, with its number."""
        content = "\n".join(f"{text}\n{_spelled(text)}" for text in texts)
        answer = await self._ask(deadline, content=content, parse_special=True, with_pieces=True)
        tokens = dig(answer, "tokens")
        pieces = tokens if isinstance(tokens, list) else []
        ids = {text_at(each, "piece"): count_at(each, "id") for each in pieces}
        return {
            text: ids.get(text, ids.get(_spelled(text), 0))
            for text in texts
            if text in ids or _spelled(text) in ids
        }

    async def bos(self, deadline: Deadline) -> tuple[int, ...]:
        """What the model wants to read before anything else."""
        answer = await self._ask(deadline, content="", add_special=True)
        return tuple(self._ids(answer)[:1])

    def _tokens(self, text: str) -> list[int]:
        if not text:
            return []
        if text not in self._known:
            raise _Unknown(text)
        tokens = self._known.pop(text)
        self._known[text] = tokens  # now the last to be forgotten
        return tokens

    async def _ask(self, deadline: Deadline, **body: object) -> object:
        if self._model:
            body["model"] = self._model
        return await self._connection.fetch("POST", "/tokenize", body, deadline, model=self._model)

    def _ids(self, answer: object) -> list[int]:
        tokens = dig(answer, "tokens")
        if not isinstance(tokens, list) or not all(type(token) is int for token in tokens):
            raise faults.strange(self._connection.place, "no `tokens`")
        return tokens


def _spelled(token: str) -> str:
    """As a server writes a SentencePiece token: its mark for a space is a space."""
    return token.replace("▁<", " <")
