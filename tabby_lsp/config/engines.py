"""Tables `[engines.NAME]` as engine settings.

Invariant: an engine is taken whole or not at all; keys that it does not know are only reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from tabby_lsp.config.keys import ENGINE_KEYS
from tabby_lsp.config.messages import ignored, unknown, unusable
from tabby_lsp.config.settings import BUILT_IN_ENGINE, EngineSettings
from tabby_lsp.config.source import Entry, Problem
from tabby_lsp.config.values import accept, is_plain_name

# A hostile client may define any number of engines; a few show what it is about.
MAX_OFFERED = 4

SHAPE = "engines are tables [engines.NAME] of config.toml, each with a kind."
NAME_RULE = "its name is taken, or could be a path; give it another one."


def read_engines(entry: Entry) -> tuple[dict[str, EngineSettings], list[Problem]]:
    """The engines that an entry `engines` defines, and what is wrong with the others."""
    if not isinstance(entry.value, Mapping):
        return {}, [ignored(entry, SHAPE)]
    engines: dict[str, EngineSettings] = {}
    problems: list[Problem] = []
    for name, table in entry.value.items():
        engine, wrong = _read_engine(entry.below(name, table), name)
        problems += wrong
        if engine is not None:
            engines[name] = engine
    return engines, problems


def offered_engines(entry: Entry) -> dict[str, EngineSettings]:
    """Of engines that a client may not define, the first few that its user could."""
    if not isinstance(entry.value, Mapping):
        return {}
    tables = {
        name: {key: table[key] for key in ENGINE_KEYS if key in table}
        for name, table in islice(entry.value.items(), MAX_OFFERED)
        if isinstance(table, Mapping)
    }
    engines, _ = read_engines(Entry(entry.key, entry.spelled, tables, entry.source))
    return {name: engine for name, engine in engines.items() if _is_printable(engine)}


def stated(engine: EngineSettings) -> dict[str, object]:
    """What an engine's table has to say for it, without its keys and what is the default."""
    return {
        name: value
        for name, key in ENGINE_KEYS.items()
        if not key.about.is_credential and (value := getattr(engine, name)) != key.default
    }


def _read_engine(entry: Entry, name: str) -> tuple[EngineSettings | None, list[Problem]]:
    if name == BUILT_IN_ENGINE or not is_plain_name(name):
        return None, [ignored(entry, NAME_RULE)]
    if not isinstance(entry.value, Mapping):
        return None, [ignored(entry, SHAPE)]
    values, problems = _read_parts(entry, entry.value)
    kind = values.get("kind")
    kinds = {name: ENGINE_KEYS[name].about.kinds for name in values}
    strange = [name for name in values if kind and kinds[name] and kind not in kinds[name]]
    for name in strange:
        remedy = f"an engine of kind {kind} does not take it."
        problems.append(ignored(entry.below(name, values.pop(name)), remedy))
    needed = ["kind", *(name for name, key in ENGINE_KEYS.items() if kind in key.about.needed_by)]
    if absent := [name for name in needed if name not in entry.value]:
        problems.append(ignored(entry, f"it lacks {' and '.join(absent)}."))
    is_whole = not absent and values.keys() >= (entry.value.keys() & ENGINE_KEYS.keys()) - {
        *strange
    }
    return (EngineSettings(**values) if is_whole else None), problems  # type: ignore[arg-type]


def _read_parts(
    entry: Entry, table: Mapping[str, object]
) -> tuple[dict[str, object], list[Problem]]:
    """The parts of an engine's table that can be used, and what is wrong with the others."""
    values: dict[str, object] = {}
    problems: list[Problem] = []
    for part, value in table.items():
        inner = entry.below(part, value)
        if part not in ENGINE_KEYS:
            problems.append(unknown(inner, ENGINE_KEYS))
        elif (accepted := accept(ENGINE_KEYS[part], value, entry.source)) is None:
            problems.append(unusable(inner, ENGINE_KEYS[part], "The engine is left out."))
        else:
            values[part] = accepted
    return values, problems


def _is_printable(engine: EngineSettings) -> bool:
    """Nobody should paste what they cannot see."""
    return all(str(value).isprintable() for value in stated(engine).values())
