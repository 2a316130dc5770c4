"""What a source of settings is, and what comes of several of them.

Invariant: plain values; nothing here reads or decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from tabby_lsp.config.quoting import printable, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tabby_lsp.config.settings import Settings

# All but the client speak for the user: what a client sends may have come out of a repository.
SourceKind = Literal["file", "environment", "client", "flag"]

VARIABLE_PREFIX = "TABBY_LSP_"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a source that was not taken; everything else was."""

    key: str  # as the source spells it; "" where the whole source is meant
    source: str
    message: str  # names key, value, source and remedy; lines for a file follow an empty line

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Values from one place, as they came."""

    name: str  # for the user to find it: a path, or words
    kind: SourceKind
    values: Mapping[str, object]  # nested, dotted or both; None stands for "not set"
    folder: str = ""  # where relative paths in it start
    problems: tuple[Problem, ...] = ()  # met while it was read
    flags: Mapping[str, str] = field(default_factory=dict)  # key -> its flag, where it has another

    def where(self, key: str) -> str:
        """The words for the place that sets `key`, exact to the variable and the flag."""
        if self.kind == "environment":
            return f"environment variable {printable(variable(key))}"
        if self.kind == "flag":
            return self.flags.get(key) or flag(key)
        return printable(self.name)


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of a source."""

    key: str  # as the list of settings spells it, where it is one
    spelled: str  # as the source does
    value: object  # never None
    source: Source

    @property
    def where(self) -> str:
        """The words for the place that says it."""
        return self.source.where(self.key)

    def problem(self, message: str) -> Problem:
        """What is wrong with it."""
        return Problem(short(self.spelled), self.where, message)

    def below(self, name: str, value: object) -> Entry:
        """An entry of the table that this one is."""
        return Entry(f"{self.key}.{name}", f"{self.spelled}.{name}", value, self.source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The settings that hold, and how they came about."""

    settings: Settings
    problems: tuple[Problem, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)  # key -> who set it, if anyone did
    file: str = ""  # the user's own, whether it is there or not; "" where none was asked for


def variable(key: str) -> str:
    """The environment variable of a dotted key."""
    return VARIABLE_PREFIX + key.replace(".", "_").upper()


def flag(key: str) -> str:
    """The command line's flag of a dotted key."""
    return "--" + key.replace(".", "-").replace("_", "-")
