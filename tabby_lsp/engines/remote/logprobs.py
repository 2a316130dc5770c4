"""What servers tell of the single tokens of an answer. Pure.

Invariant: what has no logarithm is absent, and no text holds half a character.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabby_lsp.domain import TokenLogprobs
from tabby_lsp.engines.remote.dialect import dig, finite_at, text_at

if TYPE_CHECKING:
    from tabby_lsp.engines.llama.text import TokenTrail


def tokens_at(value: object, *path: str | int) -> tuple[TokenLogprobs, ...]:
    """As OpenAI's chat, llama-server and Ollama list them there."""
    entries = ((_entry(entry), entry) for entry in _list_at(value, *path))
    return tuple(TokenLogprobs(*said, _others(entry)) for said, entry in entries if said)


def columns_at(value: object, *path: str | int) -> tuple[TokenLogprobs, ...]:
    """As OpenAI's completions have them there: a list of tokens, and one of their logarithms.

    A llama-server has the list of its chat in this place.
    """
    found = dig(value, *path)
    told = (
        (_spelled(text), finite_at(found, "token_logprobs", place), place)
        for place, text in enumerate(_list_at(found, "tokens"))
        if isinstance(text, str)
    )
    tokens = tuple(
        TokenLogprobs(*said, logprob, _others_of_column(dig(found, "top_logprobs", place)))
        for said, logprob, place in told
        if logprob is not None
    )
    return tokens or tokens_at(found, "content")


def note(
    trail: TokenTrail, tokens: tuple[TokenLogprobs, ...], n_chars: int, n_cut: int = 0
) -> None:
    """Say where the next tokens of an answer stand that has so many characters.

    Of the text with which they came the first `n_cut` characters are no part of it.
    """
    raw = b""
    for token in tokens:
        n_before = len(raw.decode("utf-8", "ignore")) - n_cut
        raw += token.raw
        if n_before >= 0:
            trail.add(n_chars + n_before, token)


def _others(entry: object) -> tuple[tuple[str, bytes, float], ...]:
    entries = map(_entry, _list_at(entry, "top_logprobs"))
    return tuple(other for other in entries if other)


def _others_of_column(column: object) -> tuple[tuple[str, bytes, float], ...]:
    texts = column if isinstance(column, dict) else {}
    told = [(*_spelled(text), finite_at(column, text)) for text in texts]
    known = [(text, raw, logprob) for text, raw, logprob in told if logprob is not None]
    return tuple(sorted(known, key=lambda other: -other[2]))


def _entry(entry: object) -> tuple[str, bytes, float] | None:
    """A token's text, its bytes, which a server need not say, and its logarithm."""
    logprob = finite_at(entry, "logprob")
    if logprob is None:
        return None
    text, raw = _spelled(text_at(entry, "token"))
    told = _list_at(entry, "bytes")
    values = [byte for byte in told if type(byte) is int and 0 <= byte < 256]
    return text, bytes(values) if values and len(values) == len(told) else raw, logprob


def _spelled(text: str) -> tuple[str, bytes]:
    raw = text.encode("utf-8", "replace")
    return raw.decode(), raw


def _list_at(value: object, *path: str | int) -> list[object]:
    found = dig(value, *path)
    return found if isinstance(found, list) else []
