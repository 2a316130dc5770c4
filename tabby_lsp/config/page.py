"""The page `docs/configuration.md`, written from the tree of settings.

Invariant: the same on every machine.
"""

from __future__ import annotations

from dataclasses import MISSING, is_dataclass
from typing import TYPE_CHECKING, get_type_hints

from tabby_lsp.config.keys import ENGINE_KEYS, Key, keys_of
from tabby_lsp.config.settings import EngineSettings, Settings
from tabby_lsp.config.source import variable
from tabby_lsp.config.values import expected

if TYPE_CHECKING:
    from collections.abc import Iterable

HEAD = """\
<!-- Written by tabby_lsp/config/page.py from tabby_lsp/config/settings.py: edit those. -->

# Settings

None is needed: `tabby-lsp` works without any.

## Where they come from

Each of these goes over the one before it:

1. the defaults below;
2. your own file, `config.toml`:

   | | |
   |---|---|
   | Linux | `~/.config/tabby-lsp/config.toml` (or below `$XDG_CONFIG_HOME`) |
   | macOS | `~/Library/Application Support/tabby-lsp/config.toml` |
   | Windows | `%LOCALAPPDATA%\\tabby-lsp\\config.toml` |

   `--config FILE` names another one.
   A relative path in it starts at its own folder.
3. environment variables: `TABBY_LSP_` and the key in capitals, such as `{variable}`.
   Lists are separated by commas; an empty variable counts as not set;
4. your editor: `initializationOptions`, and the section `tabby-lsp` of its settings.
   `maxTokens` is as good as `max_tokens`, and `"completion.maxTokens": 32` as good as
   `"completion": {{"maxTokens": 32}}`; `null` means not set;
5. flags, for those settings that have one: `--model`, `--log-level`, `--log-file`.

What cannot be used (a wrong type, a number out of range, a name that is no setting's) is named
together with its place and its remedy.
The language server says so once and goes on with what the source below it says; a command ends with
status 2.

## What an editor may not set

An editor's settings may come out of the repository you have just opened, and `tabby-lsp` cannot
tell.
So your editor may name a model, but not give a path; it may choose one of your engines, but not
define one; and it may not say where files are written.
Such a setting is refused with the lines to put into your `config.toml` instead.
"""

EXAMPLE = """\
## An example

```toml
model = "~/models/qwen2.5-coder-1.5b-q8_0.gguf"

[completion]
disabled_languages = ["markdown", "plaintext"]
max_tokens = 64

[log]
level = "info"
```
"""


def describe() -> str:
    """The page on settings, in Markdown."""
    parts = [HEAD.format(variable=variable("completion.max_tokens")), EXAMPLE]
    top = [key for key in keys_of(Settings) if "." not in key.name and key.type != "object"]
    parts.append(_section("At the top of the file", Settings, top))
    for name, kind in get_type_hints(Settings).items():
        if isinstance(kind, type) and is_dataclass(kind):
            parts.append(_section(f"`[{name}]`", kind, keys_of(kind)))
    parts.append(_section("`[engines.NAME]`", EngineSettings, ENGINE_KEYS.values()))
    return "\n".join(parts)


def _section(title: str, tree: type, keys: Iterable[Key]) -> str:
    lines = [
        f"## {title}",
        "",
        (tree.__doc__ or "").strip(),
        "",
        "| setting | default | takes | |",
        "|---|---|---|---|",
    ]
    return "\n".join([*lines, *map(_row, keys), ""])


def _row(key: Key) -> str:
    doc = key.about.doc
    if not key.about.from_client:
        doc += " **Not from the editor.**"
    default = "" if key.default is MISSING else f"`{_toml(key.default)}`"
    return f"| `{key.name}` | {default} | {expected(key)} | {doc} |"


def _toml(default: object) -> str:
    if isinstance(default, bool):
        return "true" if default else "false"
    if isinstance(default, str):
        return f'"{default}"'
    return "[]" if default == () else str(default)
