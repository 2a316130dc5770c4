"""A request gets the open files and those near it on disk, and never waits long for them."""

from __future__ import annotations

import asyncio
import subprocess
from functools import partial
from typing import TYPE_CHECKING

from tabby_lsp.index.neighbours import Neighbours, OpenFile, Surroundings

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE_S = 60.0


def around(folder: Path, *others: OpenFile, wait_s: float = PATIENCE_S) -> Surroundings:
    return asyncio.run(Neighbours().around(folder / "main.py", folder, "python", others, wait_s))


def opened(path: Path | None, text: str, language: str = "python") -> OpenFile:
    return OpenFile(path=path, language=language, read=lambda: text)


def names(found: Surroundings) -> list[str]:
    return [name for name, _ in found.files]


def test_open_files_stand_before_those_on_disk(tmp_path: Path) -> None:
    (tmp_path / "disk.py").write_text("x = 1\n")

    found = around(tmp_path, opened(tmp_path / "lib" / "open.py", "y = 2\n"))

    assert names(found) == ["lib/open.py", "disk.py"]
    assert found.is_complete


def test_of_a_file_that_is_open_the_editors_text_counts(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("old = 1\n")

    found = around(tmp_path, opened(tmp_path / "a.py", "new = 1\n"))

    assert found.files == (("a.py", ("new = 1\n",)),)


def test_other_languages_are_left_out(tmp_path: Path) -> None:
    assert names(around(tmp_path, opened(tmp_path / "a.js", "let x\n", "javascript"))) == []


def test_an_open_file_that_git_ignores_is_left_out(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text("private.py\n")

    found = around(
        tmp_path, opened(tmp_path / "private.py", "x = 1\n"), opened(tmp_path / "b.py", "y = 1\n")
    )

    assert names(found) == ["b.py"]


def test_an_open_file_whose_name_says_secret_is_left_out(tmp_path: Path) -> None:
    assert names(around(tmp_path, opened(tmp_path / ".env", "x = 1\n"))) == []


def test_a_document_that_is_no_file_is_left_out(tmp_path: Path) -> None:
    """It may be a cell or an old version of one that must not be used."""
    assert names(around(tmp_path, opened(None, "x = 1\n"))) == []


def test_an_open_link_to_a_file_that_must_not_be_used_is_left_out(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text("private.py\n")
    for name, target in (("a.py", "private.py"), ("b.py", ".env")):
        (tmp_path / target).write_text("x = 1\n")
        (tmp_path / name).symlink_to(target)

    found = around(
        tmp_path, opened(tmp_path / "a.py", "x = 1\n"), opened(tmp_path / "b.py", "x = 1\n")
    )

    assert names(found) == []


def test_a_file_that_was_opened_later_is_judged_before_it_is_used(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text("private.py\n")
    later = [opened(tmp_path / name, "x = 1\n") for name in ("private.py", "public.py")]

    async def thrice() -> list[Surroundings]:
        neighbours = Neighbours()
        path = tmp_path / "main.py"
        again = partial(neighbours.around, path, tmp_path, "python", later, PATIENCE_S)
        before = await neighbours.around(path, tmp_path, "python", (), PATIENCE_S)
        at_once = await again()
        # It is judged meanwhile.
        for _ in range(int(PATIENCE_S / 0.01)):
            after = await again()
            if after.is_complete:
                break
            await asyncio.sleep(0.01)
        return [before, at_once, after]

    before, at_once, after = asyncio.run(thrice())

    assert [names(before), names(at_once), names(after)] == [[], [], ["public.py"]]
    assert not at_once.is_complete


def test_what_cannot_be_looked_at_costs_no_completion(tmp_path: Path) -> None:
    """A link to itself cannot be resolved, and `Path.resolve` raises until Python 3.13."""
    (tmp_path / "loop").symlink_to("loop")

    found = around(tmp_path, opened(tmp_path / "loop" / "a.py", "x = 1\n"))

    assert names(found) == []


def test_a_huge_open_file_is_left_out(tmp_path: Path) -> None:
    assert names(around(tmp_path, opened(tmp_path / "a.py", "x = 1\n" * 100_000))) == []


def test_a_slow_disk_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "disk.py").write_text("x = 1\n")

    found = around(tmp_path, opened(tmp_path / "a.py", "y = 1\n"), wait_s=0)

    assert found == Surroundings((), is_complete=False)


def test_what_came_too_late_is_there_for_the_next_request(tmp_path: Path) -> None:
    (tmp_path / "disk.py").write_text("x = 1\n")

    async def twice() -> Surroundings:
        neighbours = Neighbours()
        path = tmp_path / "main.py"
        await neighbours.around(path, tmp_path, "python", (), 0)
        # Whoever waits joins the reading that is going on.
        await neighbours.around(path, tmp_path, "python", (), PATIENCE_S)
        (tmp_path / "disk.py").unlink()
        return await neighbours.around(path, tmp_path, "python", (), 0)

    assert names(asyncio.run(twice())) == ["disk.py"]


def test_a_saved_file_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "disk.py").write_text("x = 1\n")

    async def saved() -> Surroundings:
        neighbours = Neighbours()
        path = tmp_path / "main.py"
        await neighbours.around(path, tmp_path, "python", (), PATIENCE_S)
        (tmp_path / "disk.py").write_text("changed = 22\n")
        neighbours.saved(tmp_path / "disk.py")
        return await neighbours.around(path, tmp_path, "python", (), PATIENCE_S)

    assert asyncio.run(saved()).files == (("disk.py", ("changed = 22\n",)),)
