"""Which models there are, for `tabby-lsp models list`: installed, running, to be had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

from tabby_lsp.config import data_dir
from tabby_lsp.models.catalog import entries, entry_of
from tabby_lsp.models.cursor import ModelFileError
from tabby_lsp.models.elsewhere import elsewhere
from tabby_lsp.models.errors import in_units
from tabby_lsp.models.families import NotForCompletion
from tabby_lsp.models.found import STARTER, installed
from tabby_lsp.models.gguf import read_header
from tabby_lsp.models.roles import use_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

Place = Literal["installed", "served", "elsewhere", "catalogue"]

_HEADINGS: dict[Place, str] = {
    "installed": "Installed (tabby-lsp models use NAME)",
    "served": "Run by other programs just now (tabby-lsp models use NAME)",
    "elsewhere": "Of other programs on this machine (tabby-lsp models use NAME)",
    "catalogue": "To be had (tabby-lsp models pull NAME)",
}


class Shelved(TypedDict):
    """One model; "" and None where something is not known."""

    name: str
    place: Place
    role: str
    size_bytes: int | None
    licence: str
    path: str
    source: str  # the program or the repository that has it
    in_use: bool


def shelf(used: Collection[str]) -> list[Shelved]:
    """Every model that can be named; `used` are those of the settings."""
    mine = installed(data_dir())
    here = [_shelved(name, "installed", path, _source(name), used) for name, path in mine.items()]
    known = {path.resolve() for path in mine.values()}
    others = [
        _shelved(find.name, "elsewhere", find.path, find.program, used)
        for find in elsewhere()
        if find.path.resolve() not in known
    ]
    names = {name.lower() for name in mine}
    rest = [
        Shelved(
            name=entry.name,
            place="catalogue",
            role=entry.role,
            size_bytes=None,
            licence=entry.licence,
            path="",
            source=entry.repository,
            in_use=in_use(used, entry.name),
        )
        for entry in entries()
        if entry.name.lower() not in names
    ]
    return [*here, *others, *rest]


def in_use(used: Collection[str], value: str) -> bool:
    """Whether a model is one of those that are used; names are found in whatever case."""
    return value.lower() in {model.lower() for model in used}


def as_table(shelved: list[Shelved]) -> str:
    """The list for people; `*` marks the models of the settings."""
    return "\n".join(_tables(shelved))


def _tables(shelved: list[Shelved]) -> Iterator[str]:
    width = max(len(each["name"]) for each in shelved)
    for place, heading in _HEADINGS.items():
        models = [each for each in shelved if each["place"] == place]
        if models:
            yield f"{heading}\n" + "".join(_line(each, width) for each in models)


def _line(each: Shelved, width: int) -> str:
    size = in_units(each["size_bytes"]) if each["size_bytes"] is not None else ""
    where = each["path"] if each["place"] == "elsewhere" else ""
    about = ", ".join(part for part in (each["licence"], each["source"], where) if part)
    mark = "*" if each["in_use"] else " "
    return f"{mark} {each['name']:<{width}}  {each['role']:<10}  {size:>8}  {about}\n"


def _shelved(name: str, place: Place, path: Path, source: str, used: Collection[str]) -> Shelved:
    entry = entry_of(name) if place == "installed" else None
    return Shelved(
        name=name,
        place=place,
        role=entry.role if entry else _role(path),
        size_bytes=path.stat().st_size if path.exists() else None,
        licence="Apache-2.0" if name == STARTER else entry.licence if entry else "",
        path=str(path),
        source=source,
        in_use=in_use(used, name if place == "installed" else str(path)),
    )


def _source(name: str) -> str:
    entry = entry_of(name)
    return "comes with tabby-lsp" if name == STARTER else entry.repository if entry else ""


def _role(path: Path) -> str:
    """What the file itself says."""
    try:
        return use_of("", read_header(path))
    except NotForCompletion:
        return "no FIM"
    except ModelFileError:
        return "unusable"
