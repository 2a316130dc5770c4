"""From tokens' bytes to the characters that may be shown. Pure."""

from __future__ import annotations

import codecs
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tabby_lsp.domain import TokenLogprobs


class TextStream:
    """Joins bytes that a token's end has cut in two, and ends before the first stop string.

    Where one line is wanted, it ends behind the first that has something in it; the line that opens
    a fence, which chat models put round code, has not. An instance lives as long as one answer.
    """

    def __init__(self, stop: tuple[str, ...], *, is_one_line: bool = False) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stop = stop
        self._line: str | None = "" if is_one_line else None  # the last one so far
        self._held = ""  # may be the beginning of a stop string
        self._n_released = 0
        self.is_stopped = False

    @property
    def n_chars(self) -> int:
        """How many characters there are so far, those that are held back among them."""
        return self._n_released + len(self._held)

    def push(self, piece: bytes) -> str:
        """The characters that are certain now."""
        text = self._release(self._decoder.decode(piece))
        self._n_released += len(text)
        return text

    def finish(self) -> str:
        """What was held back, when no more pieces come."""
        text = self._release(self._decoder.decode(b"", final=True)) + self._held
        self._held = ""
        return text

    def _release(self, text: str) -> str:
        return self._without_stop(text) if self._stop else self._of_line(text)

    def _without_stop(self, text: str) -> str:
        text = self._held + text
        found = [index for stop in self._stop if (index := text.find(stop)) >= 0]
        if found:
            self.is_stopped = True
            self._held = ""
            return text[: min(found)]
        n_held = self._n_possible_stop(text)
        self._held = text[len(text) - n_held :]
        text = text[: len(text) - n_held]
        return self._of_line(text)

    def _of_line(self, text: str) -> str:
        """What of it belongs to the one line that is wanted, if one is."""
        if self._line is None:
            return text
        line, end = self._line, 0
        while behind := text.find("\n", end) + 1:
            line += text[end:behind]
            if line.strip() and not line.lstrip().startswith("```"):
                self.is_stopped = True
                self._held = ""
                return text[:behind]
            line, end = "", behind
        self._line = line + text[end:]
        return text

    def _n_possible_stop(self, text: str) -> int:
        lengths = (
            n
            for stop in self._stop
            for n in range(min(len(stop) - 1, len(text)), 0, -1)
            if text.endswith(stop[:n])
        )
        return max(lengths, default=0)


class TokenTrail:
    """Which tokens each piece of an answer shows: those of which it has the first character.

    An instance lives as long as one answer. Tokens of a stop string, and after it, are in no piece.
    """

    def __init__(self) -> None:
        self._tokens: deque[tuple[int, TokenLogprobs]] = deque()
        self._n_shown = 0

    def add(self, n_chars_before: int, token: TokenLogprobs) -> None:
        self._tokens.append((n_chars_before, token))

    def shown(self, n_chars: int) -> tuple[TokenLogprobs, ...]:
        """The tokens of the next characters."""
        self._n_shown += n_chars
        shown = []
        while self._tokens and self._tokens[0][0] < self._n_shown:
            shown.append(self._tokens.popleft()[1])
        return tuple(shown)

    def rest(self) -> tuple[TokenLogprobs, ...]:
        """All that are left, such as control tokens at the end, which have no characters."""
        rest = tuple(token for _, token in self._tokens)
        self._tokens.clear()
        return rest
