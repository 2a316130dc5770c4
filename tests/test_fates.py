"""What is counted of suggestions that somebody could choose from, drawn as the document's line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabby_lsp.completion.outcomes import Shown
from tabby_lsp.fates import Fates
from tabby_lsp.ledger import Ledger, read

if TYPE_CHECKING:
    from pathlib import Path

    from tabby_lsp.ledger import Entry

URI = "untitled:a"


class Scene:
    """A line of a document, and what is shown and typed in it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "suggestions.jsonl"
        self.fates = Fates(Ledger(self._path))
        self._line = ""

    def show(self, *texts: str) -> list[str]:
        """Show texts at the line's end; their ids."""
        shown = [
            Shown(
                id=self.fates.next_id(),
                uri=URI,
                line=0,
                line_prefix=self._line,
                text=text,
                language="python",
                model="starter",
                is_automatic=False,
            )
            for text in texts
        ]
        return self.fates.shown(shown, 5, False, self._read)

    def write(self, line: str) -> None:
        self._line = line
        self.fates.edited(URI, self._read)

    @property
    def counted(self) -> list[Entry]:
        """All that has been written down when the document is closed."""
        self.fates.ended(URI)
        return list(read(self._path))

    def _read(self, line: int, n_chars: int) -> str:
        return self._line[:n_chars]


def check(counted: list[Entry], *expected: tuple[str, int]) -> None:
    assert [(entry.fate, entry.n_chars_shown) for entry in counted] == list(expected)


def test_one_of_three_that_is_accepted_is_one_suggestion(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.show("first(a)", "second(bc)", "third")
    scene.write("second(bc)")
    check(scene.counted, ("accepted", 10))


def test_one_of_three_that_the_client_names_too(tmp_path: Path) -> None:
    for before in (True, False):
        scene = Scene(tmp_path / str(before))
        ids = scene.show("first(a)", "second(bc)", "third")
        if before:
            scene.fates.accepted(ids[2])
        scene.write("third")
        if not before:
            scene.fates.accepted(ids[2])
        check(scene.counted, ("accepted", 5))


def test_one_of_three_that_is_typed_along(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.show("foo", "bar", "baz")
    for line in ("b", "ba", "baz"):
        scene.write(line)
    check(scene.counted, ("typed-along", 3))


def test_three_of_which_none_is_taken_are_one_that_is_dismissed(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.show("foo", "bar(1)", "baz")
    scene.write("x")
    check(scene.counted, ("dismissed", 3))
    scene.show("foo", "bar(1)")
    check(scene.counted, ("dismissed", 3), ("dismissed", 3))


def test_more_that_are_asked_for_join_the_one_that_is_shown(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    (only,) = scene.show("foo")
    ids = scene.show("foo", "bar(1)")
    assert ids[0] == only != ids[1]
    scene.write("bar(1)")
    check(scene.counted, ("accepted", 6))


def test_the_rest_of_one_that_is_chosen_by_typing_keeps_its_id(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    ids = scene.show("foo", "bar(1)")
    scene.write("b")
    assert scene.show("ar(1)") == [ids[1]]
