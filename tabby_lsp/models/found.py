"""Finds the model files that are on this machine, by name or by path.

Invariant: a name never leads out of the models' folder; only what is a path is taken for one.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from tabby_lsp.config import names_a_file
from tabby_lsp.models.cursor import ModelFileError

STARTER = "starter"
_STARTER_PATH = Path(__file__).parent / "starter" / "starter-python-6.5m-q8_0.gguf"


def models_dir(data_dir: Path) -> Path:
    """Where a GGUF file is found by its name without the ending."""
    return data_dir / "models"


def installed(data_dir: Path) -> dict[str, Path]:
    """Every model that can be named: the bundled one first, then the folder's in their order."""
    models = {STARTER: _STARTER_PATH}
    with suppress(OSError):  # no such folder, or not ours to read
        for path in sorted(models_dir(data_dir).iterdir()):
            if path.suffix.lower() == ".gguf" and not path.name.startswith(".") and path.is_file():
                models.setdefault(path.stem, path)
    return models


def locate(name_or_path: str, data_dir: Path) -> Path:
    """The file of a model; whether there is one at a path is for the reader of it to say.

    Names are found in whatever case. Raises ModelFileError for a name that is not installed.
    """
    if names_a_file(name_or_path):
        return _expanded(Path(name_or_path))
    models = installed(data_dir)
    in_any_case = {name.casefold(): path for name, path in reversed(models.items())}
    path = models.get(name_or_path) or in_any_case.get(name_or_path.casefold())
    if path is None:
        raise ModelFileError(
            f"there is no model {name_or_path!r}, only {', '.join(models)};"
            f" put its GGUF file into {models_dir(data_dir)} or give the file's path"
        )
    return path


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # no such user, or no home
        return path
