"""Where the user's files stand on each platform.

Invariant: every path is absolute, and nothing is created.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "tabby-lsp"


def user_config_path() -> Path:
    """The user's `config.toml`, whether it is there or not."""
    return _folder(platformdirs.user_config_path) / "config.toml"


def data_dir() -> Path:
    """Where models and other things worth keeping are."""
    return _folder(platformdirs.user_data_path)


def state_dir() -> Path:
    """Where logs and statistics are."""
    return _folder(platformdirs.user_state_path)


def _folder(find: Callable[..., Path]) -> Path:
    """Without a home folder, one at the root, where nothing is.

    Never one below the present folder, which editors set to the repository that is open: older
    versions of platformdirs answer with that, newer ones raise.
    """
    try:
        return Path(os.sep) / find(NAME, appauthor=False)
    except RuntimeError:
        return Path(os.sep) / NAME
