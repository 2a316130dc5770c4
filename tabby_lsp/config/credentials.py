"""The keys of engines elsewhere: from the user's own file, or the variable that it names.

Invariant: no message holds a key, or the name of a variable, which may be a key in a wrong place.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tabby_lsp.domain import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tabby_lsp.config.settings import EngineSettings


def api_key_of(engine: EngineSettings, environ: Mapping[str, str] = os.environ) -> str:
    """The key to show to the engine's server, "" where it asks for none.

    Raises EngineError where the variable is not set, or where the key is none.
    """
    key = engine.api_key.strip()
    if not key and engine.api_key_env:
        key = environ.get(engine.api_key_env, "").strip()
        if not key:
            raise EngineError(
                "The environment variable that `api_key_env` in config.toml names is not set where"
                " tabby-lsp was started: set it there (an editor that is started from the desktop"
                " does not see a shell's variables), or use `api_key`."
            )
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise EngineError(
            "The engine's key holds a space or a character that no key has: copy it once more into"
            " `api_key` in config.toml, or into the variable that `api_key_env` names."
        )
    return key
