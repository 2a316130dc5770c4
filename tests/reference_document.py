"""A document as an editor may hold it: an array of code units in its own encoding.

Invariant: slow, obvious, and shares nothing with `tabby_lsp.documents`.
"""

from __future__ import annotations

LF, CR = 0x0A, 0x0D

# How Python spells each encoding, and the bytes of one unit.
CODECS = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}


class ReferenceDocument:
    """Text and edits in units; characters only exist where a position must not cut one."""

    def __init__(self, text: str, encoding: str) -> None:
        self._codec, self._unit_bytes = CODECS[encoding]
        self._units = self._encode(text)

    def text(self) -> str:
        """The whole text."""
        return self._decode(self._units)

    def replace_all(self, text: str) -> None:
        """What a change without a range does."""
        self._units = self._encode(text)

    def replace(self, start: tuple[int, int], end: tuple[int, int], text: str) -> None:
        """What a change of a range does, ends in whichever order."""
        low, high = sorted((self._unit_at(start), self._unit_at(end)))
        self._units[low:high] = self._encode(text)

    def split_at(self, place: tuple[int, int]) -> tuple[str, str]:
        """The text left and right of a position."""
        unit = self._unit_at(place)
        return self._decode(self._units[:unit]), self._decode(self._units[unit:])

    def n_lines(self) -> int:
        """Line ends and one."""
        return 1 + sum(self._line_end_at(unit) > 0 for unit in range(len(self._units)))

    def clamp(self, place: tuple[int, int]) -> tuple[int, int]:
        """The position as an editor would spell it."""
        line = start = 0
        unit = self._unit_at(place)
        for index in range(unit):
            if n_units := self._line_end_at(index):
                line, start = line + 1, index + n_units
        return line, unit - start

    def _unit_at(self, place: tuple[int, int]) -> int:
        """Walk to the line, then along it, then back to where a character begins."""
        lines_left, units_left = max(0, place[0]), max(0, place[1])
        unit = 0
        while lines_left > 0:
            if unit == len(self._units):
                return unit
            n_units = self._line_end_at(unit)
            lines_left -= n_units > 0
            unit += n_units or 1
        while units_left > 0 and unit < len(self._units) and self._units[unit] not in (LF, CR):
            unit, units_left = unit + 1, units_left - 1
        while self._is_inside_character(unit):
            unit -= 1
        return unit

    def _line_end_at(self, unit: int) -> int:
        """How many units the line end has that begins here; 0 where none does.

        The LF of a CR LF begins none.
        """
        units = self._units
        if units[unit] == CR:
            return 2 if units[unit + 1 : unit + 2] == [LF] else 1
        return int(units[unit] == LF and (unit == 0 or units[unit - 1] != CR))

    def _is_inside_character(self, unit: int) -> bool:
        if not 0 < unit < len(self._units):
            return False
        before, here = self._units[unit - 1], self._units[unit]
        if self._unit_bytes == 1:
            return 0x80 <= here < 0xC0
        if self._unit_bytes == 2:
            return 0xD800 <= before < 0xDC00 <= here < 0xE000
        return False

    def _encode(self, text: str) -> list[int]:
        data = text.encode(self._codec, "surrogatepass")
        size = self._unit_bytes
        return [int.from_bytes(data[i : i + size], "little") for i in range(0, len(data), size)]

    def _decode(self, units: list[int]) -> str:
        data = b"".join(unit.to_bytes(self._unit_bytes, "little") for unit in units)
        return data.decode(self._codec, "surrogatepass")
