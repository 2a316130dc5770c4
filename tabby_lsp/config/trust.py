"""What a client may not say, and the lines with which the user says it instead.

Invariant: a path, an address or a key never comes from a client, and no key is proposed.
An editor's settings may be a repository's, and nobody can tell (Claude Code's CVE-2026-21852 began
there).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabby_lsp.config.engines import stated
from tabby_lsp.config.quoting import printable, shown, toml_key, toml_line
from tabby_lsp.config.values import accept, expected, names_a_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tabby_lsp.config.keys import Key
    from tabby_lsp.config.settings import EngineSettings
    from tabby_lsp.config.source import Entry


def is_forbidden(key: Key, value: object) -> bool:
    """Whether a client may not give `key` this value."""
    if not key.about.from_client:
        return True
    is_given = isinstance(value, str) and value != ""
    return key.about.is_path and is_given and names_a_file(str(value))


def refusal(entry: Entry, key: Key, file: str) -> str:
    """The message for a value that a client may not give, with the lines for the user's `file`."""
    value = entry.value
    refused = f"{key.name} = {shown(value)} from {entry.where} is refused"
    is_usable = accept(key, value, entry.source) is not None
    # Nobody should paste what they cannot see.
    if not is_usable or not isinstance(value, str) or not value.isprintable():
        return f"{refused}: only {printable(file)} may set it, to {expected(key)}."
    section, _, name = key.name.rpartition(".")
    lines = f"[{section}]\n{toml_line(name, value)}" if section else toml_line(name, value)
    return f"{refused}, {_remedy(file, is_top=not section)}\n\n{lines}"


def engines_refusal(entry: Entry, engines: Mapping[str, EngineSettings], file: str) -> str:
    """The same for tables of engines, of which `engines` are those that could be used."""
    refused = f"engines from {entry.where} are refused"
    if not engines:
        return f"{refused}: only {printable(file)} may define them."
    tables = [
        "\n".join(
            [
                f"[engines.{toml_key(name)}]",
                *(toml_line(part, value) for part, value in stated(engine).items()),
            ]
        )
        for name, engine in engines.items()
    ]
    return f"{refused}, {_remedy(file, is_top=False)}\n\n" + "\n\n".join(tables)


def _remedy(file: str, *, is_top: bool) -> str:
    place = ", above its first [section]" if is_top else ""
    return (
        "since a repository may have put it there. If it is your own, write this into "
        f"{printable(file)}{place}:"
    )
