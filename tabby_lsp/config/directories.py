"""Where the user's files stand on each platform.

Invariant: every path is absolute, and nothing is created.
"""

from __future__ import annotations

import os
import sys
import tempfile
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


def runtime_dirs() -> list[Path]:
    """Where sockets and locks may be, the best first; what cannot be used is passed over."""
    wanted = []
    if own := os.environ.get("XDG_RUNTIME_DIR", ""):
        wanted.append(Path(own) / NAME)
    elif sys.platform == "linux":
        # What a login would have said; a program started without one finds the others' host too.
        wanted.append(Path(f"/run/user/{os.getuid()}") / NAME)
    return [folder for folder in (*wanted, state_dir() / "run") if folder.is_absolute()]


def temporary_dirs() -> list[Path]:
    """Where anybody may write, the user's own first."""
    return [Path(folder) for folder in dict.fromkeys((tempfile.gettempdir(), "/tmp"))]


def host_environment() -> dict[str, str]:
    """What the engine host is started with: all that this process was."""
    # A failed assertion of ggml would start gdb for a backtrace, and numpy a thread for each core.
    return {"OPENBLAS_NUM_THREADS": "1", **os.environ, "GGML_NO_BACKTRACE": "1"}


def ollama_dirs() -> list[Path]:
    """Where Ollama keeps models: the user's own folder, then that of its service on Linux."""
    own = os.environ.get("OLLAMA_MODELS", "")
    return (
        [Path(own)]
        if own
        else [*_in_home(".ollama/models"), Path("/usr/share/ollama/.ollama/models")]
    )


def lm_studio_dirs() -> list[Path]:
    """Where LM Studio keeps models, now and before its version 0.3.6."""
    return [*_in_home(".lmstudio/models"), *_in_home(".cache/lm-studio/models")]


def llama_cpp_dirs() -> list[Path]:
    """Where llama.cpp's programs keep what they download."""
    own = os.environ.get("LLAMA_CACHE", "")
    if own:
        return [Path(own)]
    try:
        return [platformdirs.user_cache_path("llama.cpp", appauthor=False, opinion=False)]
    except RuntimeError:  # no home
        return []


def _in_home(path: str) -> list[Path]:
    try:
        return [Path.home() / path]
    except RuntimeError:
        return []


def _folder(find: Callable[..., Path]) -> Path:
    """Without a home folder, one at the root, where nothing is.

    Never one below the present folder, which editors set to the repository that is open: older
    versions of platformdirs answer with that, newer ones raise.
    """
    try:
        return Path(os.sep) / find(NAME, appauthor=False)
    except RuntimeError:
        return Path(os.sep) / NAME
