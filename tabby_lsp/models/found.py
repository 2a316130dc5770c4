"""Finds the model files that are on this machine, by name or by path.

Invariant: a name never leads out of the models' folder; only what is a path is taken for one.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from tabby_lsp.config import names_a_file
from tabby_lsp.models.catalog import entry_of, names_like
from tabby_lsp.models.cursor import ModelFileError

STARTER = "starter"
STARTER_SHA256 = "765a9e8e5cf8e70ea86233f9bfb891701cc4c6094e92d65b6c85ca57ac5c9112"
_STARTER_PATH = Path(__file__).parent / "starter" / "starter-python-6.5m-q8_0.gguf"


def models_dir(data_dir: Path) -> Path:
    """Where a GGUF file is found by its name without the ending."""
    return data_dir / "models"


def path_of(name: str, data_dir: Path) -> Path:
    """Where a model of the catalogue is, once it is installed."""
    return models_dir(data_dir) / f"{name}.gguf"


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
        raise ModelFileError(_not_installed(name_or_path, list(models), data_dir))
    return path


def _not_installed(name: str, names: list[str], data_dir: Path) -> str:
    entry = entry_of(name)
    if entry:
        return (
            f"{entry.name} is not installed; get it with `tabby-lsp models pull {entry.name}`, or"
            f" set `model` to one that is ({', '.join(names)})"
        )
    near = names_like(name)
    meant = f" (did you mean {' or '.join(near)}?)" if near else ""
    return (
        f"there is no model {name!r}{meant}, only {', '.join(names)}; put its GGUF file into"
        f" {models_dir(data_dir)}, give the file's path, or choose one from `tabby-lsp models list`"
    )


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # no such user, or no home
        return path
