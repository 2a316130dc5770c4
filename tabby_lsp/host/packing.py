"""The values of `domain` as JSON, and back, by their dataclasses alone.

What a receiver does not know is passed over, what it misses has its default: so a field that is
added needs nothing here. What needs more than that raises `frames.WIRE`.

Invariant: what comes back equals what went in, and nothing else is ever built from what comes in.
"""

from __future__ import annotations

import functools
import types
from base64 import b64decode, b64encode
from dataclasses import fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Value = TypeVar("Value")


class Unpackable(ValueError):
    """What came in is no such value."""


def packed(value: Any) -> Any:
    """Dataclasses as objects, tuples as arrays, bytes as base64."""
    if isinstance(value, str | int | float | None):  # most of all
        return value
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, tuple):
        return [packed(each) for each in value]
    kind: type = type(value)
    return {name: packed(getattr(value, name)) for name in _names(kind)}


def unpacked(kind: type[Value], value: object) -> Value:
    """The value of a dataclass; raises Unpackable."""
    try:
        built: Value = _read(kind, value)
    except (TypeError, ValueError, KeyError, RecursionError) as error:
        raise Unpackable(f"this is no {kind.__name__}: {error}") from error
    return built


def _read(kind: Any, value: Any) -> Any:
    if is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, dict):
            raise TypeError(f"{type(value).__name__} in the place of {kind.__name__}")
        hints = _hints(kind)
        known = {name: _read(hints[name], each) for name, each in value.items() if name in hints}
        return kind(**known)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple:
        return _read_tuple(arguments, value)
    if origin is Literal:
        if value not in arguments:
            raise ValueError(f"{value!r} is none of {arguments}")
        return value
    if origin in (Union, types.UnionType):
        wanted = [each for each in arguments if each is not type(None)]
        return None if value is None else _read(wanted[0], value)
    if kind is bytes:
        return b64decode(value, validate=True)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise TypeError(f"{type(value).__name__} in the place of {kind.__name__}")
    return value


def _read_tuple(arguments: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{type(value).__name__} in the place of a list")
    if arguments[1:] == (Ellipsis,):
        return tuple(_read(arguments[0], each) for each in value)
    return tuple(_read(kind, each) for kind, each in zip(arguments, value, strict=True))


@functools.cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {name: hints[name] for name in _names(kind)}
