"""A trace: files with lines left out, and the keys that put them back. Pure.

Invariant: applying all keys to the texts that they begin with gives the files as they are; what is
done with a suggestion (`Follow`) is undone before the next key.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

How = Literal["type", "word", "line", "all"]
# What a key is to whoever answers it; the first key in a document is `cold`, the first after coming
# back to one is `file switch`, and the first after another kind of move is `jump`.
KeyClass = Literal["cold", "file switch", "jump", "newline", "backspace", "mid-line"]


@dataclass(frozen=True, slots=True)
class Source:
    """A file, and which of its lines are left out at first: from, and behind the last, from 0."""

    path: str
    sha256: str  # of the whole text in UTF-8
    cuts: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Open:
    """Go to a document, where the cursor is as it was left."""

    document: int


@dataclass(frozen=True, slots=True)
class Move:
    """Go to a place in the document; no editor asks for anything there in normal mode."""

    line: int
    column: int  # characters


@dataclass(frozen=True, slots=True)
class Type:
    """One key: a character, or what the editor makes of it, such as a newline's indentation."""

    text: str
    closer: str = ""  # what the editor puts right of the cursor by itself


@dataclass(frozen=True, slots=True)
class Back:
    """One key that deletes left of the cursor; editors take a whole step of indentation at once."""

    n_chars: int = 1


@dataclass(frozen=True, slots=True)
class Over:
    """One key that goes over the closer which the editor has put there."""


@dataclass(frozen=True, slots=True)
class Follow:
    """Take what is suggested, if anything is, in one of the ways there are; then undo that."""

    how: How


Key = Open | Move | Type | Back | Over | Follow
_KINDS: dict[str, type[Key]] = {kind.__name__.lower(): kind for kind in get_args(Key)}


@dataclass(frozen=True, slots=True)
class Trace:
    """What somebody types, from the first key to the last."""

    seed: int
    sources: tuple[Source, ...]
    keys: tuple[Key, ...]

    @property
    def n_keystrokes(self) -> int:
        """How many keys change a document or move in its line, so that an editor asks."""
        return sum(isinstance(key, Type | Back | Over) for key in self.keys)


@dataclass(frozen=True, slots=True)
class Edit:
    """Offsets of what is replaced, what takes its place, and where the cursor stands then."""

    start: int
    end: int
    text: str
    cursor: int


@dataclass(slots=True)
class Desk:
    """The documents as they are at some moment of a trace."""

    texts: list[str]
    cursors: list[int] = field(default_factory=list)
    document: int = 0

    def __post_init__(self) -> None:
        self.cursors = self.cursors or [0 for _ in self.texts]

    @property
    def text(self) -> str:
        return self.texts[self.document]

    @property
    def cursor(self) -> int:
        return self.cursors[self.document]

    def apply(self, edit: Edit) -> None:
        """Change the present document."""
        text = self.text
        self.texts[self.document] = text[: edit.start] + edit.text + text[edit.end :]
        self.cursors[self.document] = edit.cursor

    def press(self, key: Key) -> Edit | None:
        """What a key does to the present document; None where it changes nothing."""
        if isinstance(key, Open):
            self.document = key.document
        elif isinstance(key, Move):
            self.cursors[self.document] = _offset(self.text, key.line, key.column)
        elif not isinstance(key, Follow):
            edit = _edit(key, self.cursor)
            self.apply(edit)
            return None if isinstance(key, Over) else edit
        return None


def started(trace: Trace, read: Callable[[str], str]) -> Desk:
    """The documents without the lines that will be typed.

    Raises ValueError where a file is not the one that the trace was made from.
    """
    texts = []
    for source in trace.sources:
        text = read(source.path)
        if digest(text) != source.sha256:
            raise ValueError(f"{source.path} is another file than the one this trace is made from")
        texts.append(without_lines(text, source.cuts))
    return Desk(texts)


def without_lines(text: str, cuts: Sequence[tuple[int, int]]) -> str:
    """A text without some of its lines; "\\n" is the only line end."""
    gone = {line for first, behind in cuts for line in range(first, behind)}
    return "\n".join(line for number, line in enumerate(text.split("\n")) if number not in gone)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def classes(trace: Trace) -> Iterator[KeyClass | None]:
    """Of each key; None for those at which nobody asks, or which follow a suggestion."""
    opened: set[int] = set()
    due: KeyClass | None = None
    for key in trace.keys:
        if isinstance(key, Open):
            due = "file switch" if key.document in opened else "cold"
            opened.add(key.document)
        elif isinstance(key, Move):
            due = due or "jump"
        if isinstance(key, Open | Move | Follow):
            yield None
        else:
            yield due or _class_of(key)
            due = None


def visits(trace: Trace) -> list[tuple[Key, ...]]:
    """The keys from one `Open` to the next."""
    parts: list[list[Key]] = []
    for key in trace.keys:
        if isinstance(key, Open) or not parts:
            parts.append([])
        parts[-1].append(key)
    return [tuple(part) for part in parts]


def to_json(trace: Trace) -> str:
    """One line for each file and each key."""
    sources = [
        json.dumps({"path": source.path, "sha256": source.sha256, "cuts": source.cuts})
        for source in trace.sources
    ]
    keys = [json.dumps([type(key).__name__.lower(), *_values(key)]) for key in trace.keys]
    return (
        f'{{"seed": {trace.seed},\n"sources": [\n'
        + ",\n".join(sources)
        + '\n],\n"keys": [\n'
        + ",\n".join(keys)
        + "\n]}\n"
    )


def from_json(text: str) -> Trace:
    """The trace that `to_json` wrote; raises ValueError with what is wrong."""
    try:
        value = json.loads(text)
        sources = tuple(
            Source(each["path"], each["sha256"], tuple((a, b) for a, b in each["cuts"]))
            for each in value["sources"]
        )
        keys = tuple(_KINDS[name](*values) for name, *values in value["keys"])
        return Trace(value["seed"], sources, keys)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"this is not a trace of keystrokes: {error!r}") from error


def _values(key: Key) -> list[Any]:
    values = [getattr(key, name) for name in key.__dataclass_fields__]
    return values[:1] if isinstance(key, Type) and not key.closer else values


def _class_of(key: Type | Back | Over) -> KeyClass:
    if isinstance(key, Back):
        return "backspace"
    return "newline" if isinstance(key, Type) and "\n" in key.text else "mid-line"


def _edit(key: Type | Back | Over, cursor: int) -> Edit:
    if isinstance(key, Type):
        return Edit(cursor, cursor, key.text + key.closer, cursor + len(key.text))
    if isinstance(key, Back):
        return Edit(cursor - key.n_chars, cursor, "", cursor - key.n_chars)
    return Edit(cursor, cursor, "", cursor + 1)


def _offset(text: str, line: int, column: int) -> int:
    start = 0
    for _ in range(line):
        start = text.index("\n", start) + 1
    return start + column
