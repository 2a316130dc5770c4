"""Places are keys of code, and the same seed draws the same ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.quality.asking import is_right
from benchmarks.quality.places import code_rows, draw, kind_of
from benchmarks.quality.repositories import normal, of_installed_packages

if TYPE_CHECKING:
    from pathlib import Path

SHELF = '''\
"""A shelf
of books."""

# It is kept in a file.
class Shelf:
    def find(self, title):
        """Return one."""
        return self.books.get(title)
'''
READER = (
    "from shop.shelf import Shelf\n\n\ndef read(path):\n    shelf = Shelf()\n    return shelf\n"
)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "shelf.py").write_text(SHELF)
    (tmp_path / "shop" / "reader.py").write_text(READER)
    (tmp_path / "shop" / "broken.py").write_text("def (:\n")
    return tmp_path


def test_comments_and_docstrings_are_not_code() -> None:
    assert code_rows(SHELF) == {4, 5, 7}
    assert code_rows("def (:\n") == set()


def test_a_place_is_the_whole_text_in_three_parts(repository: Path) -> None:
    places = draw([repository], 60, seed=1)
    assert len({place.name for place in places}) == len(places) > 40
    for place in places:
        assert place.before + place.rest + place.after in (SHELF, READER)
        assert place.rest.strip()
        assert place.after.startswith("\n")


def test_the_seed_alone_says_which(repository: Path) -> None:
    first, again, other = (draw([repository], 30, seed) for seed in (1, 1, 2))
    assert first == again != other


def test_names_that_only_other_files_have(repository: Path) -> None:
    places = draw([repository], 40, seed=1, only_cross_file=True)
    lines = {(place.before.rpartition("\n")[2] + place.rest).strip() for place in places}
    assert lines
    # Each file names the other's `Shelf` once or twice; where it is still to come, it is missing.
    assert all("Shelf" in line for line in lines)
    assert all(place.is_cross_file for place in places)


@pytest.mark.parametrize(
    ("before", "above", "kind"),
    [
        ("    ", "def f():", "block"),
        ("    ", "    x = 1", "start of line"),
        ("", "def f():", "start of line"),
        ("    self.", "", "after a dot"),
        ("    f(", "", "after a bracket"),
        ("    f(a", "", "in a name"),
        ("    f(a, ", "", "in a call"),
        ("    x = ", "", "other"),
    ],
)
def test_kinds(before: str, above: str, kind: str) -> None:
    assert kind_of(before, above) == kind


@pytest.mark.parametrize(
    ("text", "ahead", "right"),
    [
        ("rn x", "rn x\n", True),
        ("rn x\n    y = 1", "rn x\n    y = 1\n", True),
        ("rn", "rn x\n", False),
        ("rn", "rn", False),
        ("rn y", "rn x\n", False),
    ],
)
def test_who_types_takes_what_is_right_to_the_end_of_a_line(
    text: str, ahead: str, right: bool
) -> None:
    assert is_right(text, ahead) is right


def test_installed_packages_that_were_trained_on_are_left_out(tmp_path: Path) -> None:
    names = {path.name for path in of_installed_packages(tmp_path)}
    assert "hypothesis" in names
    assert "pygls" in names
    assert names & {"pytest", "mypy", "attrs", "numpy", "tabby-lsp", "httpx2", "pip"} == set()
    assert (tmp_path / "pygls" / "pygls" / "server.py").exists() or any(
        (tmp_path / "pygls" / "pygls").glob("*.py")
    )


def test_names_are_compared_as_pypi_does() -> None:
    assert normal("Typing_Extensions") == normal("typing.extensions") == "typing-extensions"
