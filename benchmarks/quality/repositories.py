"""The code that is measured on: named repositories, or installed packages of no training list."""

from __future__ import annotations

import re
import shutil
import tomllib
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).resolve().parents[2]
_TRAINING_LIST = _ROOT / "training" / "packages.toml"

# What the first starter was trained on besides, with what it saw of others: pip and setuptools
# hold copies.
_FIRST_STARTER = frozenset(
    """
    requests flask django fastapi starlette pydantic sqlalchemy numpy pandas scipy scikit-learn
    matplotlib networkx sympy pytest click typer rich httpx aiohttp tornado twisted celery jinja2
    werkzeug attrs black mypy jedi ipython transformers keras dask xarray statsmodels nltk scrapy
    beautifulsoup4 cryptography sphinx docutils setuptools pip tox homeassistant
    djangorestframework botocore marshmallow wagtail bokeh distributed jupyter-server nbconvert
    pymongo redis peewee ray prefect torch packaging platformdirs truststore urllib3 msgpack
    certifi idna distro tomli cachecontrol pygments typing-extensions resolvelib
    """.split()
)
# Copies of packages that are on a list, under other names.
_FORKS = frozenset({"httpx2", "httpcore2"})
_OUR_OWN = frozenset({"tabby-lsp"})

_MIN_FILES = 3
_MAX_FILE_CHARS = 120_000


def of_installed_packages(folder: Path) -> list[Path]:
    """Copies in `folder` of installed packages that no training list names, each as a repository.

    A copy, since what is ignored by git or lies in `site-packages` is no repository's own code.
    """
    listed = _FIRST_STARTER | _FORKS | _OUR_OWN | _trained_on()
    found = []
    for distribution in sorted(distributions(), key=lambda each: normal(each.name)):
        name = normal(distribution.name)
        files = [
            path
            for path in distribution.files or ()
            if path.suffix == ".py" and not path.is_absolute() and ".." not in path.parts
        ]
        if name in listed or len(files) < _MIN_FILES:
            continue
        for path in files:
            source, target = Path(str(distribution.locate_file(path))), folder / name / path
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
        found.append(folder / name)
    return found


def python_files(repository: Path) -> Iterator[tuple[str, str]]:
    """Path below the repository and text of each Python file that people wrote."""
    for path in sorted(repository.rglob("*.py")):
        name = path.relative_to(repository).as_posix()
        if any(part.startswith(".") or part in ("_vendor", "vendor") for part in Path(name).parts):
            continue
        try:
            text = path.read_text("utf-8").replace("\r\n", "\n")
        except (OSError, UnicodeDecodeError):
            continue
        if len(text) <= _MAX_FILE_CHARS and "do not edit" not in text[:500].lower():
            yield name, text


def normal(name: str) -> str:
    """A package's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _trained_on() -> set[str]:
    if not _TRAINING_LIST.exists():
        return set()
    return set(tomllib.loads(_TRAINING_LIST.read_text("utf-8"))["train"])
