"""The settings as VSCode's `contributes.configuration`, written from the tree of settings.

Invariant: what an editor may not set is not offered there, and the names are what the server reads.
"""

from __future__ import annotations

import re
from dataclasses import MISSING, is_dataclass
from typing import TYPE_CHECKING, Any, get_type_hints

from tabby_lsp.config.keys import Key, keys_of
from tabby_lsp.config.settings import Settings
from tabby_lsp.config.values import expected

if TYPE_CHECKING:
    from collections.abc import Iterable

SECTION = "tabby-lsp"


def vscode_configuration() -> list[dict[str, Any]]:
    """The groups of settings in the order of the tree: `{title, order, properties}`."""
    groups = [("Model", [key for key in keys_of(Settings) if "." not in key.name])]
    for name, kind in get_type_hints(Settings).items():
        if isinstance(kind, type) and is_dataclass(kind):
            groups.append((name.capitalize(), list(keys_of(kind, f"{name}."))))
    offered = [(title, properties) for title, keys in groups if (properties := _properties(keys))]
    return [
        {"title": title, "order": order, "properties": properties}
        for order, (title, properties) in enumerate(offered, start=1)
    ]


def _properties(keys: Iterable[Key]) -> dict[str, Any]:
    offered = [key for key in keys if key.about.from_client]
    return {
        f"{SECTION}.{_camel_case(key.name)}": {"order": order, **_schema(key)}
        for order, key in enumerate(offered)
    }


def _schema(key: Key) -> dict[str, Any]:
    """JSON Schema of one setting, with the default that holds where nobody says otherwise."""
    schema: dict[str, Any] = {"type": key.type}
    if key.choices:
        schema["enum"] = list(key.choices)
    if key.type == "array":
        schema |= {"items": {"type": "string"}, "uniqueItems": True}
    if key.type == "integer":
        least = 0 if key.about.zero else key.about.minimum
        schema |= {"minimum": least, "maximum": key.about.maximum}
    if key.default is not MISSING:
        schema["default"] = list(key.default) if isinstance(key.default, tuple) else key.default
    return schema | {"markdownDescription": _description(key)}


def _description(key: Key) -> str:
    takes = expected(key)
    return f"{key.about.doc} {takes.capitalize()}." if key.type == "integer" else key.about.doc


def _camel_case(name: str) -> str:
    """`completion.maxTokens`, as VSCode's settings are spelled and split into words."""
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)
