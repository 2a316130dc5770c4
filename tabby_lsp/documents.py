"""Open documents: the text as the editor has it, and the one name under which each is known.

Invariant: nobody else counts UTF-8 or UTF-16 units; outside, text is measured in code points.
"""

from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Sequence

# Where the window that a model reads may begin, and how far up it reaches: 128 to 191 lines, half
# of llama.vim's 256, which few models on a laptop have room for.
_STEP_LINES = 64
_LINES_BEFORE = 2 * _STEP_LINES
_SMALL_STEP_LINES = 16

PositionEncoding = Literal["utf-8", "utf-16", "utf-32"]


@dataclass(frozen=True, slots=True)
class Position:
    """A place between two characters; any pair of integers is allowed, documents clamp it."""

    line: int  # from 0
    character: int  # from 0, in units of the document's encoding


@dataclass(frozen=True, slots=True)
class Change:
    """One step of an edit: `text` takes the place of what lies between `start` and `end`."""

    text: str
    start: Position | None = None  # None, as `end` then is: the text is the whole document
    end: Position | None = None


class StaleVersion(Exception):
    """A change is not newer than the document it is meant for."""


class Document:
    """The text of one open document, kept in step with the editor.

    Only `\\n`, `\\r\\n` and `\\r` end a line (LSP 3.17, "Text Documents"); form feeds, U+2028 and
    the other characters at which `str.splitlines` cuts are text. Past-end columns mean the end of
    the line before its line end, past-end lines the end of the text, negative numbers 0, and a
    position inside a character means its start. Lone surrogates are kept as they come.
    """

    def __init__(
        self, uri: str, language: str, version: int, text: str, encoding: PositionEncoding
    ) -> None:
        self.uri = uri
        self.language = language  # LSP language id
        self.version = version
        self._encoding = encoding
        # Each line with its line end, the last one, perhaps empty, without: an edit touches only
        # the lines it lies in, so that its cost does not grow with the document.
        self._lines: list[str]
        self._text: str | None  # None after an edit, until somebody asks
        self._replace_all(text)

    @property
    def text(self) -> str:
        """The whole text, joined when first asked for after an edit."""
        if self._text is None:
            self._text = "".join(self._lines)
        return self._text

    @property
    def n_chars(self) -> int:
        """Length of the text in code points, without joining it."""
        return self._n_chars

    @property
    def n_lines(self) -> int:
        """Number of lines; what stands behind the last line end counts, also when it is empty."""
        return len(self._lines)

    def apply(self, version: int, changes: Sequence[Change]) -> None:
        """Apply `changes` in order, each to the result of the one before.

        Raises StaleVersion, and changes nothing, unless `version` is above the present one.
        """
        if version <= self.version:
            raise StaleVersion(f"Version {version} of {self.uri} came after {self.version}.")
        for change in changes:
            if change.start is None or change.end is None:
                self._replace_all(change.text)
            else:
                self._replace(change.start, change.end, change.text)
        self.version = version

    def around(
        self, position: Position, n_before_chars: int, n_after_chars: int
    ) -> tuple[str, str]:
        """Give the text left and right of `position`, at most so many code points of each."""
        line_idx, offset = self._locate(position)
        return (
            self._before(line_idx, offset, max(0, n_before_chars)),
            self._after(line_idx, offset, max(0, n_after_chars)),
        )

    def windows(
        self, position: Position, n_before_chars: int, n_after_chars: int
    ) -> tuple[str, str]:
        """Give about as much text left and right of `position`, for a model to read.

        The left window begins at a line that stays the same while somebody types, so that what was
        read of it stays read; only a line too long for the window makes it slide.
        """
        line_idx, offset = self._locate(position)
        first_idx = max(0, line_idx // _STEP_LINES * _STEP_LINES - _LINES_BEFORE)
        before = self._since(first_idx, line_idx, offset)
        while len(before) > n_before_chars and first_idx + _SMALL_STEP_LINES <= line_idx:
            first_idx += _SMALL_STEP_LINES
            before = self._since(first_idx, line_idx, offset)
        return before[-n_before_chars:], self._after(line_idx, offset, n_after_chars)

    def further(
        self, position: Position, n_before_chars: int, n_after_chars: int, n_chars: int
    ) -> tuple[str, str]:
        """Give at most `n_chars` of the text beyond such windows: below, and above."""
        before, after = self.around(position, n_before_chars + n_chars, n_after_chars + n_chars)
        return after[n_after_chars:], before[: max(0, len(before) - n_before_chars)]

    def head(self, position: Position, n_chars: int) -> str:
        """Give about the first `n_chars` characters, in whole lines, all above `position`."""
        taken: list[str] = []
        for line in islice(self._lines, self._locate(position)[0]):
            n_chars -= len(line)
            if n_chars < 0:
                break
            taken.append(line)
        return "".join(taken)

    def between(self, start: Position, end: Position) -> str:
        """Give the text of a line from `start` to `end`; "" where that is not within a line."""
        start_idx, start_offset = self._locate(start)
        end_idx, end_offset = self._locate(end)
        return self._lines[end_idx][start_offset:end_offset] if start_idx == end_idx else ""

    def position_after(self, position: Position, n_chars: int) -> Position:
        """Move `n_chars` code points to the right, to the left where negative, within the line."""
        line_idx, offset = self._locate(position)
        line = self._lines[line_idx]
        offset = min(max(0, offset + n_chars), _length_without_end(line))
        return Position(line_idx, _count_units(line[:offset], self._encoding))

    def offset(self, position: Position) -> int:
        """Count the code points of the text before `position`."""
        line_idx, offset = self._locate(position)
        return sum(map(len, self._lines[:line_idx])) + offset

    def n_units(self, text: str) -> int:
        """Length of a text in units of this document's encoding."""
        return _count_units(text, self._encoding)

    def clamp(self, position: Position) -> Position:
        """Give the place in the text that `position` means."""
        return self.position_after(position, 0)

    def _since(self, first_idx: int, line_idx: int, offset: int) -> str:
        return "".join([*self._lines[first_idx:line_idx], self._lines[line_idx][:offset]])

    def _locate(self, position: Position) -> tuple[int, int]:
        """Find the line's index and the offset into the line, in code points."""
        line_idx = max(0, position.line)
        if line_idx >= len(self._lines):
            return len(self._lines) - 1, len(self._lines[-1])
        line = self._lines[line_idx]
        offset = _offset_of_unit(line, max(0, position.character), self._encoding)
        return line_idx, min(offset, _length_without_end(line))

    def _replace_all(self, text: str) -> None:
        self._text = self._join_surrogates(text)
        self._lines = _split_lines(self._text)
        self._n_chars = len(self._text)

    def _replace(self, start: Position, end: Position, text: str) -> None:
        first = self._locate(start)
        last = first if end == start else self._locate(end)
        (first_idx, first_offset), (last_idx, last_offset) = sorted((first, last))
        head = self._lines[first_idx][:first_offset]
        tail = self._lines[last_idx][last_offset:]
        if _is_surrogate(head[-1:]):
            head, text = head[:-1], head[-1:] + text
        if _is_surrogate(tail[:1]):
            text, tail = text + tail[:1], tail[1:]
        lines = _split_lines(self._join_surrogates(text))
        lines[0] = head + lines[0]
        lines[-1] += tail
        # A line end may now stand half in this line and half in the one before.
        if lines[-1] == "\n" and len(lines) > 1 and lines[-2].endswith("\r"):
            lines[-2:] = [lines[-2] + "\n"]
        if lines[0] == "\n" and first_idx > 0 and self._lines[first_idx - 1].endswith("\r"):
            first_idx -= 1
            lines[0] = self._lines[first_idx] + "\n"
        self._n_chars += sum(map(len, lines))
        self._n_chars -= sum(map(len, self._lines[first_idx : last_idx + 1]))
        self._lines[first_idx : last_idx + 1] = lines
        self._text = None

    def _join_surrogates(self, text: str) -> str:
        """Make one character of two halves that meet, as they are for who counts in UTF-16."""
        if self._encoding != "utf-16" or text.isascii():
            return text
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")

    def _before(self, line_idx: int, offset: int, n_chars: int) -> str:
        first_idx, n_missing_chars = line_idx, n_chars - offset
        while n_missing_chars > 0 and first_idx > 0:
            first_idx -= 1
            n_missing_chars -= len(self._lines[first_idx])
        text = self._since(first_idx, line_idx, offset)
        return text[max(0, len(text) - n_chars) :]

    def _after(self, line_idx: int, offset: int, n_chars: int) -> str:
        line = self._lines[line_idx]
        last_idx, n_missing_chars = line_idx, n_chars - (len(line) - offset)
        while n_missing_chars > 0 and last_idx + 1 < len(self._lines):
            last_idx += 1
            n_missing_chars -= len(self._lines[last_idx])
        return "".join([line[offset:], *self._lines[line_idx + 1 : last_idx + 1]])[:n_chars]


def canonical_uri(uri: str) -> str:
    """Give the one spelling that stands for all spellings of the same document's URI.

    Editors differ in `c%3A`, `C:` and `c:`, in the case of percent-encodings and in what they
    encode at all. URIs of schemes other than file come back as they are.
    """
    location = _host_and_path(uri, windows=os.name == "nt")
    if location is None:
        return uri
    host, path = (quote(part, safe="/:", errors="surrogateescape") for part in location)
    return f"file://{host}{path}"


def path_of(uri: str) -> Path | None:
    """Give the file behind `uri`; None for documents that are not files of this machine.

    Those are other schemes (`untitled:`, `git:`) and `file://`, Neovim's unnamed buffer.
    """
    text = path_text(uri, windows=os.name == "nt")
    return None if text is None else Path(text)


def path_text(uri: str, *, windows: bool) -> str | None:
    """Spell the path of `uri` as Windows or POSIX does; None as in `path_of`.

    Source: RFC 8089, with appendix E for drive letters and UNC.
    """
    location = _host_and_path(uri, windows=windows)
    if location is None:
        return None
    host, path = location
    if not path or "\0" in path or (host and not windows):
        return None
    if not windows:
        return path
    path = path[1:] if _DRIVE.fullmatch(path) else path
    return (f"//{host}{path}" if host else path).replace("/", "\\")


_FILE_URI = re.compile(r"file:(?://([^/\\]*))?(.*)", re.IGNORECASE | re.DOTALL)
_DRIVE = re.compile(r"/?([A-Za-z]:)([/\\].*)", re.DOTALL)


def _host_and_path(uri: str, *, windows: bool) -> tuple[str, str] | None:
    """Decode a file URI; None for other schemes.

    "#" and "?" are text: no editor means a fragment or a query of a file, some do not encode them.
    """
    # Bytes that are not UTF-8 become escapes, as `os.fsdecode` has them; so do lone surrogates.
    match = _FILE_URI.fullmatch(uri.encode(errors="surrogatepass").decode(errors="surrogateescape"))
    if match is None:
        return None
    host, path = (unquote(part or "", errors="surrogateescape") for part in match.groups())
    host = "" if host.lower() == "localhost" else host.lower()
    if _DRIVE.fullmatch(host + path):  # Two slashes before the drive, where three belong.
        host, path = "", host + path
    if drive := _DRIVE.fullmatch(path):
        return "", "/" + drive[1].lower() + drive[2].replace("\\", "/")
    if path.startswith("//") and not host and windows:
        host, _, path = path.lstrip("/").partition("/")
    return host, "/" + path.lstrip("/") if path else ""


def _split_lines(text: str) -> list[str]:
    """Cut behind every line end; the last line is what is left, perhaps nothing."""
    lines = io.StringIO(text, newline="").readlines()  # Knows exactly LSP's three line ends.
    if not lines or lines[-1].endswith(("\n", "\r")):
        lines.append("")
    return lines


def _length_without_end(line: str) -> int:
    if line.endswith("\r\n"):
        return len(line) - 2
    return len(line) - line.endswith(("\n", "\r"))


def _is_surrogate(char: str) -> bool:
    return "\ud800" <= char <= "\udfff"


def _count_units(text: str, encoding: PositionEncoding) -> int:
    if encoding == "utf-32" or text.isascii():
        return len(text)
    if encoding == "utf-8":
        return len(text.encode("utf-8", "surrogatepass"))
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _offset_of_unit(text: str, unit: int, encoding: PositionEncoding) -> int:
    """Count the code points that fit into the first `unit` units of `text`."""
    low, high = 0, min(unit, len(text))  # No character is shorter than a unit.
    if encoding == "utf-32" or text.isascii():
        return high
    while low < high:
        # Encoding halves of what is left is many times faster than a loop over the characters.
        middle = (low + high + 1) // 2
        n_units = _count_units(text[low:middle], encoding)
        if n_units <= unit:
            low, unit = middle, unit - n_units
        else:
            high = middle - 1
    return low
