"""One look at the source files of a whole folder."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tabby_lsp.index import survey
from tabby_lsp.index.survey import Survey
from tests.index.test_files import git, write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "--quiet")
    return root


def names(root: Path) -> list[str]:
    return [path for path, _ in asyncio.run(Survey().of(root))]


def test_files_of_every_known_language_are_there_the_nearest_first(repository: Path) -> None:
    write(repository, "deep/er/a.py", "deep/b.js", "c.go", "notes.unknown", "LICENSE")
    assert names(repository) == ["c.go", "deep/b.js", "deep/er/a.py"]


def test_ignored_and_secret_files_are_not(repository: Path) -> None:
    write(repository, "a.py", "ignored.py", "node_modules/b.js", ".hidden/c.py", "id_rsa.py")
    write(repository, ".gitignore", text="ignored.py\n")
    write(repository, "key.py", text=f'token = "ghp_{"a1B2c3D4e5F6g7H8i9J0" * 2}"\n')
    (repository / "link.py").symlink_to("/etc/passwd")
    assert "a.py" in names(repository)
    assert not {"ignored.py", "node_modules/b.js", ".hidden/c.py", "key.py", "link.py"} & set(
        names(repository)
    )


def test_the_pieces_are_the_whole_text(repository: Path) -> None:
    text = "".join(f"def f{n}():\n    return {n}\n\n\n" for n in range(40))
    write(repository, "a.py", text=text)
    ((_, pieces),) = asyncio.run(Survey().of(repository))
    assert len(pieces) > 1
    assert "".join(pieces) == text


def test_a_look_ends_at_its_bounds(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(repository, *(f"{n}.py" for n in range(9)))
    monkeypatch.setattr(survey, "MAX_FILES", 4)
    assert names(repository) == ["0.py", "1.py", "2.py", "3.py"]
    monkeypatch.setattr(survey, "MAX_CHARS", len("x = 1\n") * 2)
    assert names(repository) == ["0.py", "1.py"]


def test_a_folder_that_is_not_there_has_no_files(tmp_path: Path) -> None:
    assert names(tmp_path / "absent") == []
