"""A user of tabby-lsp, who has a file, environment variables, an editor with settings, and flags.

Invariant: the only place that lays sources together as a language server does.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabby_lsp.config import (
    Resolved,
    Settings,
    Source,
    client_source,
    flag_source,
    read_environment,
    resolve,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = os.path.abspath("/home/u/.config/tabby-lsp/config.toml")
CLIENT = "the editor (initializationOptions)"


def resolved(
    toml: str = "",
    environ: Mapping[str, str] | None = None,
    client: object = None,
    flags: Mapping[str, object] | None = None,
) -> Resolved:
    """The settings of a user with this file, these variables, this editor and these flags."""
    folder = str(Path(FILE).parent)
    file = Source(name=FILE, kind="file", values=tomllib.loads(toml), folder=folder)
    return resolve(
        [
            file,
            read_environment(environ or {}),
            client_source(client, "initializationOptions"),
            flag_source(flags or {}),
        ]
    )


def settings(*args: Any, **kwargs: Any) -> Settings:
    """The same, where no source has a mistake in it."""
    result = resolved(*args, **kwargs)
    assert result.problems == ()
    return result.settings
