"""The models that can be fetched by name: `catalog.toml` as values.

Invariant: a name, a repository and a file of the catalogue are plain words, so that none of them
leads out of a folder or to another host.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Literal, get_args

CATALOG = Path(__file__).parent / "catalog.toml"

Role = Literal["completion", "chat", "both", "embedding"]

# One part of a name on Hugging Face has 96 characters at most.
_PART = r"[A-Za-z0-9][\w.-]{0,95}"
_FORMS = {
    "name": re.compile(_PART, re.ASCII),
    "role": re.compile("|".join(get_args(Role))),
    "repository": re.compile(f"{_PART}/{_PART}", re.ASCII),
    "file": re.compile(rf"{_PART}\.gguf", re.ASCII),
    "sha256": re.compile("[0-9a-f]{64}"),
    "licence": re.compile(r"[\w. -]+", re.ASCII),
}
_LIKE_ENOUGH = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One model of the catalogue, as one file of a repository on Hugging Face."""

    name: str
    role: Role
    repository: str
    file: str
    sha256: str  # of the whole file, in hexadecimal
    licence: str


@cache
def entries() -> tuple[Entry, ...]:
    """Every model, in the file's order; raises ValueError for a file that breaks the invariant."""
    return tuple(_entry(table) for table in tomllib.loads(CATALOG.read_text("utf-8"))["model"])


def entry_of(name: str) -> Entry | None:
    """The model of that name, in whatever case; None where there is none."""
    return next((each for each in entries() if each.name.lower() == name.lower()), None)


def names_like(name: str) -> list[str]:
    """At most three names that somebody who wrote `name` may have meant, the nearest first."""
    names = {_letters(each.name): each.name for each in entries()}
    wanted = _letters(name[:96])
    parts = [each for each in names if wanted and each.startswith(wanted)]
    near = parts or difflib.get_close_matches(wanted, names, cutoff=_LIKE_ENOUGH)
    return [names[each] for each in near[:3]]


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


def _entry(table: dict[str, str]) -> Entry:
    for name, form in _FORMS.items():
        if not form.fullmatch(table[name]):
            raise ValueError(f"{name} = {table[name]!r} is not what the catalogue may hold")
    return Entry(**{field.name: table[field.name] for field in fields(Entry)})  # type: ignore[arg-type]
