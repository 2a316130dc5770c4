"""An answer without what its model says to itself first, between `<think>` and `</think>`. Pure.

Invariant: text that does not begin so is given on unchanged, and at once.
"""

from __future__ import annotations

from typing import Literal

_OPEN, _CLOSE = "<think>", "</think>"


class Thoughts:
    """Leaves them out, wherever the tags are cut; lives as long as one answer."""

    def __init__(self) -> None:
        self._held = ""
        self._place: Literal["before", "within", "blank", "after"] = "before"

    @property
    def have_begun(self) -> bool:
        """Whether there are any."""
        return self._place in ("within", "blank")

    def push(self, text: str) -> str:
        """What of the answer is certain now."""
        if self._place == "after":
            return text
        self._held += text
        if self._place == "before":
            self._look_for_begin()
        if self._place == "within":
            self._look_for_end()
        if self._place == "blank":
            self._held = self._held.lstrip()
            self._place = "after" if self._held else "blank"
        return self._release() if self._place == "after" else ""

    def finish(self) -> str:
        """What was held back, when no more comes."""
        return self._release() if self._place == "before" else ""

    def _look_for_begin(self) -> None:
        begin = self._held.lstrip()
        if begin.startswith(_OPEN):
            self._held, self._place = begin.removeprefix(_OPEN), "within"
        elif not _OPEN.startswith(begin):
            self._place = "after"

    def _look_for_end(self) -> None:
        _, tag, rest = self._held.partition(_CLOSE)
        if tag:
            self._held, self._place = rest, "blank"
        else:
            self._held = self._held[1 - len(_CLOSE) :]

    def _release(self) -> str:
        text, self._held = self._held, ""
        return text
