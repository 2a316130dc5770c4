"""Walks through the bytes of a model file that may lie about its own sizes.

Invariant: no count or length is believed before it is checked against the file and a ceiling.
"""

from __future__ import annotations

import reprlib
import struct
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from tabby_lsp.domain import EngineError

if TYPE_CHECKING:
    from pathlib import Path

# The largest headers of 2026 have 262,144 tokens and 515,000 merges in about 20 MB.
MAX_HEADER_BYTES = 64 << 20
MAX_STRINGS = 1 << 20
_READ_BYTES = 8 << 20  # most headers come in at one read

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


class ModelFileError(EngineError):
    """A model file cannot be used; the text is one sentence with path, fault and remedy."""


def shown(value: object) -> str:
    """A value out of a file as it may stand in a message: quoted, printable and short."""
    return _SHORT.repr(value)


class Cursor:
    """A place in the file's beginning; reads on from the file as it advances.

    The file is read, not mapped: one cut short under a mapping would kill the process (SIGBUS).
    """

    def __init__(self, file: BinaryIO, path: Path, size_bytes: int) -> None:
        self.path = path
        self.size_bytes = size_bytes
        self.position = 0
        self._file = file
        self._data = b""
        self._n_strings = 0

    def damaged(self, fault: str) -> NoReturn:
        """Refuse the file: its header contradicts itself."""
        raise ModelFileError(f"{self.path} is damaged: {fault}; download it again")

    def truncated(self, needed_bytes: int) -> NoReturn:
        """Refuse the file: it ends too early."""
        raise ModelFileError(
            f"{self.path} is cut off: it needs at least {needed_bytes:,} bytes"
            f" and has {self.size_bytes:,}; download it again"
        )

    def peek(self, n_bytes: int) -> bytes:
        """The next bytes, as many as there are, without advancing."""
        end = min(self.position + n_bytes, self.size_bytes)
        return self._reach(end)[self.position : end]

    def take(self, n_bytes: int) -> bytes:
        """The next bytes."""
        start, self.position = self.position, self.position + n_bytes
        return self._reach(self.position)[start : self.position]

    def u32(self) -> int:
        """The next four bytes as a whole number."""
        return int(_U32.unpack(self.take(4))[0])

    def u64(self) -> int:
        """The next eight bytes as a whole number."""
        return int(_U64.unpack(self.take(8))[0])

    def count(self, what: str, maximum: int, min_bytes: int) -> int:
        """How many things of at least `min_bytes` each the file claims to hold next."""
        n = self.u64()
        if n > maximum:
            self.damaged(f"it claims to have {n:,} {what}")
        if self.position + n * min_bytes > self.size_bytes:
            self.truncated(self.position + n * min_bytes)
        return n

    def text(self, what: str, max_bytes: int) -> str:
        """The next string; what is not UTF-8 in it is replaced."""
        n_bytes = self.u64()
        if n_bytes > max_bytes:
            self.damaged(f"{what} claims a length of {n_bytes:,} bytes")
        return self.take(n_bytes).decode(errors="replace")

    def strings(self, n: int) -> list[bytes]:
        """The next `n` strings; 152,000 of them take about 60 ms."""
        start = self.position
        ends = self.pass_strings(n)
        return [
            self._data[start + 8 : end] for start, end in zip([start, *ends], ends, strict=False)
        ]

    def pass_strings(self, n: int) -> list[int]:
        """Advance over `n` strings and say where each ends; half as dear as to read them."""
        self._n_strings += n
        if self._n_strings > MAX_STRINGS:
            self.damaged(f"it claims to have {self._n_strings:,} strings")
        ends = []
        data, position, unpack = self._data, self.position, _U64.unpack_from
        for _ in range(n):
            if position + 8 > len(data):
                data = self._reach(position + 8)
            position += 8 + unpack(data, position)[0]
            ends.append(position)
        self.position = position
        self._reach(position)
        return ends

    def _reach(self, end: int) -> bytes:
        if end > self.size_bytes:
            self.truncated(end)
        if end > MAX_HEADER_BYTES:
            self.damaged(f"its header claims more than {MAX_HEADER_BYTES:,} bytes")
        while end > len(self._data):
            more = self._file.read(max(_READ_BYTES, end - len(self._data)))
            if not more:
                self.truncated(end)
            self._data += more
        return self._data
