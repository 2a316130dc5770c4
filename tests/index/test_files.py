"""The files near a file, in real repositories and folders: which are found, in which order."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from tabby_lsp.index.files import MAX_FOLDER_ENTRIES, ignored_files, sibling_files

if TYPE_CHECKING:
    from pathlib import Path

MAX_FILES = 50


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "core.autocrlf=no")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def write(root: Path, *names: str, text: str = "x = 1\n") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")


def check(root: Path, path: str, expected: list[str], language: str = "python") -> None:
    found = sibling_files(root / path, root, language, MAX_FILES)
    assert [file.relative_to(root).as_posix() for file in found] == expected


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "--quiet")
    return root


def test_the_same_folder_comes_first_then_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, "setup.py", "app/a.py", "app/b.py", "app/__init__.py", "app/sub/c.py")
    write(tmp_path, "tests/test_a.py", "app/sub/deep/d.py", "app/zoo/e.py")

    check(
        tmp_path,
        "app/a.py",
        [
            *("app/__init__.py", "app/b.py"),
            *("app/sub/c.py", "app/zoo/e.py", "setup.py"),
            *("app/sub/deep/d.py", "tests/test_a.py"),
        ],
    )


def test_no_more_files_than_asked_for_come_and_the_nearest_of_them(tmp_path: Path) -> None:
    write(tmp_path, "a/here.py", "a/one.py", "b/two.py", "three.py")

    found = sibling_files(tmp_path / "a/here.py", tmp_path, "python", 2)

    assert [file.name for file in found] == ["one.py", "three.py"]


def test_only_files_of_the_languages_family_come(tmp_path: Path) -> None:
    write(tmp_path, "a.ts", "b.js", "c.vue", "d.py", "e.json", "f", "g.tsx")

    check(tmp_path, "a.ts", ["b.js", "c.vue", "g.tsx"], "typescript")
    check(tmp_path, "d.py", [])
    check(tmp_path, "f", [], "")


def test_nothing_comes_from_above_the_workspace_folder(tmp_path: Path) -> None:
    write(tmp_path, "outside.py", "workspace/here.py", "workspace/there.py")

    check(tmp_path / "workspace", "here.py", ["there.py"])
    assert not sibling_files(tmp_path / "outside.py", tmp_path / "workspace", "python", MAX_FILES)


def test_what_git_ignores_is_left_out(repository: Path) -> None:
    write(repository, "app/here.py", "app/seen.py", "app/untracked.py", "app/local.py")
    write(repository, "ignored/x.py", "app/deep/ignored/x.py", "app/deep/y.py", "env_of_mine/z.py")
    write(repository, ".gitignore", text="ignored/\nlocal.py\n/env_of_mine\n")
    write(repository, "app/deep/.gitignore", text="y.py\n")
    git(repository, "add", "app/here.py", "app/seen.py")

    check(repository, "app/here.py", ["app/seen.py", "app/untracked.py"])


def test_a_tracked_file_is_not_ignored_whatever_the_patterns_say(repository: Path) -> None:
    write(repository, "here.py", "build/tracked.py", "build/other.py")
    git(repository, "add", "build/tracked.py")
    write(repository, ".gitignore", text="build/*\n")

    check(repository, "here.py", ["build/tracked.py"])


def test_the_ignore_file_of_git_itself_counts(repository: Path) -> None:
    write(repository, "here.py", "mine.py", "ours.py")
    write(repository, ".git/info/exclude", text="mine.py\n")

    check(repository, "here.py", ["ours.py"])


def test_a_workspace_folder_inside_a_repository_obeys_it(repository: Path) -> None:
    write(repository, ".gitignore", text="local.py\n")
    write(repository, "part/here.py", "part/local.py", "part/seen.py", "other/x.py")

    check(repository / "part", "here.py", ["seen.py"])


def test_a_repository_that_ignores_the_whole_workspace_says_nothing_of_it(repository: Path) -> None:
    write(repository, ".gitignore", text="*\n")
    write(repository, "project/here.py", "project/there.py")

    check(repository / "project", "here.py", ["there.py"])


def test_another_repository_inside_is_not_entered(repository: Path) -> None:
    write(repository, "here.py", "module/theirs.py", "last.py")
    git(repository / "module", "init", "--quiet")

    check(repository, "here.py", ["last.py"])
    check(repository, "module/new.py", ["module/theirs.py"])


def test_a_submodule_neither_adds_files_nor_hides_those_round_it(
    repository: Path, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs"
    write(theirs, "theirs.py")
    git(theirs, "init", "--quiet")
    git(theirs, "add", ".")
    git(theirs, "commit", "--quiet", "-m", "first")
    git(repository, "-c", "protocol.file.allow=always", "submodule", "add", str(theirs), "module")
    write(repository, "here.py", "there.py")

    check(repository, "here.py", ["there.py"])


def test_a_linked_worktree_obeys_its_ignore_files(repository: Path, tmp_path: Path) -> None:
    write(repository, ".gitignore", text="local.py\n")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "first")
    git(repository, "worktree", "add", "--quiet", str(tmp_path / "linked"))
    write(tmp_path / "linked", "here.py", "local.py", "there.py")

    check(tmp_path / "linked", "here.py", ["there.py"])


def test_names_that_look_like_options_or_patterns_are_names(repository: Path) -> None:
    write(repository, "here.py", "--help.py", ":(odd)x.py", "a b.py", "é.py", "[a].py", "!n.py")
    write(repository, ".gitignore", text="\\!n.py\n")

    check(repository, "here.py", ["--help.py", ":(odd)x.py", "[a].py", "a b.py", "é.py"])


def test_a_folder_without_git_gives_all_but_hidden_and_junk_folders(tmp_path: Path) -> None:
    write(tmp_path, "here.py", "src/a.py", ".hidden/b.py", ".c.py", "node_modules/d.py")
    write(tmp_path, "venv/e.py", "build/f.py", "__pycache__/g.py", "lib/site-packages/h.py")

    check(tmp_path, "here.py", ["src/a.py"])


def test_without_git_on_the_machine_the_same_is_done(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(repository, "here.py", "there.py", "venv/e.py")
    monkeypatch.setenv("PATH", str(tmp_path))

    check(repository, "here.py", ["there.py"])


def test_a_folder_that_may_not_be_looked_at_is_no_repository(tmp_path: Path) -> None:
    """As `.git` of another user; a name that is too long fails in the same way, for root too."""
    assert not ignored_files({tmp_path / ("a" * 300) / "x.py"}, tmp_path)


def test_git_is_asked_once_for_all_files_of_a_repository(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(repository, "a.py", "b/c.py", "b/private.py", "d/e/f.py", "d/private.py")
    write(repository, ".gitignore", text="private.py\n")
    asking = Mock(wraps=subprocess.run)
    monkeypatch.setattr(subprocess, "run", asking)

    ignored = ignored_files([*repository.rglob("*.py")], repository)

    assert ignored == {repository / "b/private.py", repository / "d/private.py"}
    assert asking.call_count == 1


def test_where_git_fails_nothing_is_taken(repository: Path) -> None:
    write(repository, "here.py", "there.py")
    write(repository, ".git/config", text="[broken\n")

    check(repository, "here.py", [])


def test_a_repository_cannot_make_git_run_a_program(repository: Path, tmp_path: Path) -> None:
    program, trace = tmp_path / "program", tmp_path / "it-ran"
    program.write_text(f"#!/bin/sh\ntouch '{trace}'\n")
    program.chmod(0o755)
    write(repository, "here.py", "there.py", "local.py")
    write(repository, ".gitignore", text="local.py\n")
    git(repository, "add", ".")
    for name in ("core.fsmonitor", "core.sshCommand", "core.pager", "core.gitProxy"):
        git(repository, "config", name, str(program))
    for protocol in ("file", "ext"):
        git(repository, "config", f"protocol.{protocol}.allow", "always")
    git(repository, "config", "remote.origin.url", f"ext::{program}")
    git(repository, "config", "extensions.partialClone", "origin")
    subprocess.run(["git", "status"], cwd=repository, capture_output=True, check=False)
    assert trace.exists(), "plain git runs it"
    trace.unlink()

    check(repository, "here.py", ["there.py"])
    assert not trace.exists()


def test_the_environment_of_a_git_hook_does_not_lead_astray(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editor that `git commit` has started inherits GIT_DIR and GIT_WORK_TREE."""
    other = tmp_path / "other"
    write(other, "x.py")
    git(other, "init", "--quiet")
    write(repository, ".gitignore", text="local.py\n")
    write(repository, "here.py", "there.py", "local.py")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))

    check(repository, "here.py", ["there.py"])


def test_links_are_not_followed_and_loops_end(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(tmp_path, "outside/secret.py", "outside/more/x.py")
    write(root, "here.py", "sub/there.py")
    (root / "link.py").symlink_to(tmp_path / "outside/secret.py")
    (root / "inner.py").symlink_to(root / "sub/there.py")
    (root / "folder").symlink_to(tmp_path / "outside")
    (root / "sub/loop").symlink_to(root)
    (root / "dangling.py").symlink_to(root / "nothing.py")

    check(root, "here.py", ["sub/there.py"])


def test_a_workspace_opened_through_a_link_works(tmp_path: Path) -> None:
    write(tmp_path, "real/here.py", "real/there.py")
    (tmp_path / "link").symlink_to(tmp_path / "real")

    found = sibling_files(tmp_path / "link/here.py", tmp_path / "link", "python", MAX_FILES)

    assert found == (tmp_path / "link/there.py",)


def test_fifos_and_folders_named_like_files_are_no_files(tmp_path: Path) -> None:
    write(tmp_path, "here.py", "there.py", "folder.py/inner.txt")
    os.mkfifo(tmp_path / "fifo.py")

    check(tmp_path, "here.py", ["there.py"])


def test_secret_names_and_names_no_prompt_could_show_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, "here.py", ".ssh/x.py", "id_rsa.py", "two\nlines.py", "there.py")

    check(tmp_path, "here.py", ["there.py"])


def test_a_file_that_is_not_on_disk_has_siblings_all_the_same(tmp_path: Path) -> None:
    write(tmp_path, "there.py")

    check(tmp_path, "new.py", ["there.py"])
    check(tmp_path, "no/such/folder/new.py", ["there.py"])


def test_a_folder_with_very_many_names_is_read_in_part(tmp_path: Path) -> None:
    for n in range(MAX_FOLDER_ENTRIES + 500):
        (tmp_path / f"x{n}.py").touch()

    start = time.process_time()
    found = sibling_files(tmp_path / "here.py", tmp_path, "python", 10_000)

    assert len(found) == MAX_FOLDER_ENTRIES
    assert time.process_time() - start < 2


def test_an_open_document_can_be_asked_about(repository: Path, tmp_path: Path) -> None:
    write(repository, ".gitignore", text="local.py\n")
    write(repository, "here.py", "local.py")
    write(tmp_path, "elsewhere/local.py")

    files = [repository / "local.py", repository / "here.py", tmp_path / "elsewhere/local.py"]
    assert ignored_files(files, repository) == {repository / "local.py"}


def test_git_is_here() -> None:
    assert shutil.which("git"), "these tests need git"
