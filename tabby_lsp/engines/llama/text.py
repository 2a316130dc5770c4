"""From tokens' bytes to the characters that may be shown. Pure."""

from __future__ import annotations

import codecs


class TextStream:
    """Joins bytes that a token's end has cut in two, and ends before the first stop string.

    An instance lives as long as one answer.
    """

    def __init__(self, stop: tuple[str, ...]) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stop = stop
        self._held = ""  # may be the beginning of a stop string
        self.is_stopped = False

    def push(self, piece: bytes) -> str:
        """The characters that are certain now."""
        return self._release(self._decoder.decode(piece))

    def finish(self) -> str:
        """What was held back, when no more pieces come."""
        text = self._release(self._decoder.decode(b"", final=True)) + self._held
        self._held = ""
        return text

    def _release(self, text: str) -> str:
        text = self._held + text
        found = [index for stop in self._stop if (index := text.find(stop)) >= 0]
        if found:
            self.is_stopped = True
            self._held = ""
            return text[: min(found)]
        n_held = self._n_possible_stop(text)
        self._held = text[len(text) - n_held :]
        return text[: len(text) - n_held]

    def _n_possible_stop(self, text: str) -> int:
        lengths = (
            n
            for stop in self._stop
            for n in range(min(len(stop) - 1, len(text)), 0, -1)
            if text.endswith(stop[:n])
        )
        return max(lengths, default=0)
