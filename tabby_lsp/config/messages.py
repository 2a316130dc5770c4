"""What is said of a value that is not taken: key, value, source and remedy.

Invariant: every message is printable and short, however long or odd what it speaks of.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from tabby_lsp.config.keys import KEYS, SECTIONS, Key
from tabby_lsp.config.quoting import MAX_SHOWN_CHARS, printable, short, shown
from tabby_lsp.config.source import Entry, Problem, Source, variable
from tabby_lsp.config.values import expected

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

# Half of the letters wrong is another word; difflib's own default is 0.6.
LIKE_ENOUGH = 0.65


def unusable(entry: Entry, key: Key, otherwise: str) -> Problem:
    """A wrong type, or a value out of range; `otherwise` is a sentence on what happens instead."""
    return ignored(entry, f"give it {expected(key)}. {otherwise}")


def not_a_table(entry: Entry) -> Problem:
    """A value where a section of settings is expected."""
    return ignored(entry, f"it takes settings, such as {_example(entry.key)}.")


def unknown(entry: Entry, names: Collection[str] = (*KEYS, *SECTIONS)) -> Problem:
    """A key that is not among `names`; the nearest one is proposed."""
    near = nearest(entry.key, names)
    if not near:
        return ignored(entry, "there is no such setting; docs/configuration.md lists all.")
    if entry.source.kind == "environment":
        near = variable(near)
    # In TOML a key below a section's header belongs to the section.
    is_below = entry.source.kind == "file" and "." in entry.key and near in KEYS
    place = ", above the first [section]" if is_below and "." not in near else ""
    return ignored(entry, f"there is no such setting; did you mean {near}{place}?")


def unknown_many(source: Source, count: int) -> Problem:
    """What is left of the unknown keys of a source after the first few."""
    where = printable(source.name)
    return Problem("", where, f"{count} more unknown settings from {where} are ignored.")


def undefined_engine(entry: Entry, engines: Iterable[str], file: str) -> Problem:
    """An engine's name that is neither built in nor in the user's own file."""
    return ignored(
        entry,
        f"there is no engine of that name. Give it one of {short(', '.join(engines))}, or define "
        f"it in {printable(file)} as [engines.NAME].",
    )


def ignored(entry: Entry, remedy: str) -> Problem:
    """The common form; `remedy` ends the sentence and may add another."""
    value = shown(entry.value, entry.spelled)
    key = short(entry.spelled) or '""'
    return entry.problem(f"{key} = {value} from {entry.where} is ignored: {remedy}")


def nearest(name: str, names: Collection[str]) -> str:
    """What somebody who wrote `name` may have meant; "" where nothing is near.

    The same word in another section comes before a like word in the same section, and of several
    sections the one that is named first in the tree.
    """
    name = name[:MAX_SHOWN_CHARS]  # difflib takes quadratic time
    word = _last(name)
    same = [known for known in names if _last(known) == word]
    if same:
        return same[0]
    if near := difflib.get_close_matches(name, names, n=1, cutoff=LIKE_ENOUGH):
        return near[0]
    words = {_last(known): known for known in names}
    return next((words[near] for near in difflib.get_close_matches(word, words, n=1)), "")


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _example(section: str) -> str:
    return next(name for name in KEYS if name.startswith(f"{section}."))
