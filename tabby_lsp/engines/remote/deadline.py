"""When a server's answer is given up.

Invariant: an answer in pieces may take as long as it likes while pieces come, and no longer.
"""

from __future__ import annotations

import asyncio


class Deadline:
    """A time of the event loop; lives as long as one answer."""

    def __init__(self, timeout_s: float, between_pieces_s: float = 0) -> None:
        """`between_pieces_s` is what each further piece may take; 0 where all of it counts."""
        self._between_pieces_s = between_pieces_s
        self.at_s = asyncio.get_running_loop().time() + timeout_s

    def piece_came(self) -> None:
        """Wait for the next one from now on."""
        if self._between_pieces_s:
            self.at_s = asyncio.get_running_loop().time() + self._between_pieces_s
