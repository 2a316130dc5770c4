"""From sources, each over the one before, to the settings that hold.

Invariant: always ends with usable settings, whatever the sources say; asks the machine for nothing
but the user's home, for `~`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tabby_lsp.config.engines import offered_engines, read_engines
from tabby_lsp.config.keys import KEYS, SECTIONS, settings_of, snake_case
from tabby_lsp.config.messages import (
    not_a_table,
    undefined_engine,
    unknown,
    unknown_many,
    unusable,
)
from tabby_lsp.config.quoting import shown
from tabby_lsp.config.settings import BUILT_IN_ENGINE, EngineSettings
from tabby_lsp.config.source import Entry, Problem, Resolved, Source
from tabby_lsp.config.trust import engines_refusal, is_forbidden, refusal
from tabby_lsp.config.values import accept

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# A hostile client may send any number of keys; ten mistakes are enough to mend at a time.
MAX_UNKNOWN = 10

# The order of the tree: what `engines` defines is known before `engine` names one of them.
ORDER = {key: place for place, key in enumerate([*KEYS, *SECTIONS])}


@dataclass(slots=True)
class _Draft:
    """What the sources have come to so far."""

    file: str  # the user's own, for remedies
    values: dict[str, object] = field(
        default_factory=lambda: {name: key.default for name, key in KEYS.items()}
    )
    engines: dict[str, EngineSettings] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def resolve(sources: Sequence[Source]) -> Resolved:
    """Lay the sources over the defaults and over each other, the last one on top.

    A value that cannot be taken becomes a Problem, and what lies below it stays.
    """
    file = next((each.name for each in sources if each.kind == "file"), "")
    draft = _Draft(file or "config.toml")
    for source in sources:
        draft.problems += source.problems
        _lay(source, draft)
    settings = settings_of(draft.values | {"engines": draft.engines})
    return Resolved(
        settings=settings, problems=tuple(draft.problems), origins=draft.origins, file=file
    )


def _lay(source: Source, draft: _Draft) -> None:
    entries = list(_entries(source, source.values))
    for entry in sorted(
        (each for each in entries if each.key in ORDER), key=lambda each: ORDER[each.key]
    ):
        if entry.key in SECTIONS:
            draft.problems.append(not_a_table(entry))
        elif entry.key == "engines":
            _settle_engines(entry, draft)
        else:
            _settle(entry, draft)
    strange = [entry for entry in entries if entry.key not in ORDER]
    draft.problems += map(unknown, strange[:MAX_UNKNOWN])
    if len(strange) > MAX_UNKNOWN:
        draft.problems.append(unknown_many(source, len(strange) - MAX_UNKNOWN))


def _entries(source: Source, values: Mapping[str, object], section: str = "") -> Iterator[Entry]:
    for name, value in values.items():
        spelled = section + name
        key = snake_case(spelled) if source.kind == "client" else spelled
        if value is None:
            continue
        if key in SECTIONS and isinstance(value, Mapping):
            yield from _entries(source, value, f"{spelled}.")
        else:
            yield Entry("engines" if key.startswith("engines.") else key, spelled, value, source)


def _settle(entry: Entry, draft: _Draft) -> None:
    key = KEYS[entry.key]
    value = accept(key, entry.value, entry.source)
    current = draft.values[entry.key]
    if entry.source.kind == "client" and is_forbidden(key, entry.value):
        # What the user has said already need not be refused again.
        if value != current:
            draft.problems.append(entry.problem(refusal(entry, key, draft.file)))
    elif value is None:
        draft.problems.append(unusable(entry, key, f"It stays {shown(current)}."))
    elif key.about.is_engine and value not in (BUILT_IN_ENGINE, *draft.engines):
        draft.problems.append(
            undefined_engine(entry, (BUILT_IN_ENGINE, *draft.engines), draft.file)
        )
    else:
        draft.values[entry.key] = value
        draft.origins[entry.key] = entry.where


def _settle_engines(entry: Entry, draft: _Draft) -> None:
    if entry.source.kind == "client":
        offered = offered_engines(entry)
        if not offered or not offered.items() <= draft.engines.items():
            draft.problems.append(entry.problem(engines_refusal(entry, offered, draft.file)))
        return
    engines, problems = read_engines(entry)
    draft.engines |= engines
    draft.problems += problems
    draft.origins |= dict.fromkeys((f"engines.{name}" for name in engines), entry.where)
