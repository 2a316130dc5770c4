"""The settings as a flat list of dotted keys.

Invariant: derived from the tree alone; nothing about a single setting is written here.
"""

from __future__ import annotations

import collections.abc
import re
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from tabby_lsp.config.settings import About, EngineSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KeyType = Literal["boolean", "integer", "string", "array", "object"]  # JSON Schema's words


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One setting: where it stands in the tree and what it takes."""

    name: str  # "completion.max_tokens"
    type: KeyType
    choices: tuple[str, ...]  # () where it is not one out of a few words
    default: object  # MISSING where there is none
    about: About


def keys_of(tree: type, prefix: str = "") -> Iterator[Key]:
    """The settings below `tree`, in the order in which they are declared."""
    types = get_type_hints(tree)
    for item in fields(tree):
        kind = types[item.name]
        if is_dataclass(kind) and isinstance(kind, type):
            yield from keys_of(kind, f"{prefix}{item.name}.")
            continue
        factory = item.default_factory
        yield Key(
            name=prefix + item.name,
            type=_json_type(kind),
            choices=get_args(kind) if get_origin(kind) is Literal else (),
            default=item.default if factory is MISSING else factory(),
            about=item.metadata["about"],
        )


def _json_type(kind: object) -> KeyType:
    names: dict[object, KeyType] = {
        bool: "boolean",
        int: "integer",
        str: "string",
        Literal: "string",
        tuple: "array",
        collections.abc.Mapping: "object",
    }
    return names[get_origin(kind) or kind]


KEYS: Mapping[str, Key] = {key.name: key for key in keys_of(Settings)}
SECTIONS = tuple(dict.fromkeys(name.partition(".")[0] for name in KEYS if "." in name))
ENGINE_KEYS: Mapping[str, Key] = {key.name: key for key in keys_of(EngineSettings)}


def settings_of(values: Mapping[str, Any]) -> Settings:
    """The tree that holds `values`, by dotted key; what is absent keeps its default."""
    settings = Settings()
    sections = {
        section: replace(getattr(settings, section), **_below(section, values))
        for section in SECTIONS
    }
    top = {name: value for name, value in values.items() if "." not in name}
    return replace(settings, **sections, **top)


def _below(section: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name.removeprefix(f"{section}."): value
        for name, value in values.items()
        if name.startswith(f"{section}.")
    }


def snake_case(name: str) -> str:
    """`completion.maxTokens` as `completion.max_tokens`, and `tabby-lsp` as `tabby_lsp`."""
    return re.sub(r"([A-Z])", r"_\1", name).lower().replace("-", "_")
