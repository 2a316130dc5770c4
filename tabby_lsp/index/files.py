"""Which files lie near the one being edited.

Invariant: none that git ignores, that lies outside the workspace folder, behind a symbolic link or
in another repository, that is no regular file, or whose name says that it may hold secrets.
Everything here waits for the disk and for git, so the caller runs it in a thread, and once for a
document rather than for every key.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from tabby_lsp.languages import BY_ID, family_of, language_of
from tabby_lsp.secrets import is_secret_path

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

logger = logging.getLogger(__name__)

# Bounds of one search, so that its cost does not depend on the repository's size.
MAX_DISTANCE = 5  # steps up and down between two folders
MAX_ENTRIES = 5_000  # names read
MAX_FOLDER_ENTRIES = 1_000  # names read in one folder
GIT_TIMEOUT_S = 2.0

JUNK_FOLDERS = frozenset(
    {"node_modules", "bower_components", "site-packages", "venv", "virtualenv", "__pycache__",
     "__pypackages__"}
)  # fmt: skip
# Names that hold source in some repositories: only where no git tells.
BUILD_FOLDERS = frozenset({"build", "dist", "out", "target", "env", "vendor", "htmlcov"})

# A repository's own configuration may name programs to run (core.fsmonitor, hooks, transports).
# Flags win over it, and an explicit --git-dir over what the environment says.
_GIT_FLAGS = (
    "--no-optional-locks",
    *("-c", "core.fsmonitor=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
    *(
        flag
        for protocol in ("", "ext.", "file.", "git.", "http.", "https.", "ssh.")
        for flag in ("-c", f"protocol.{protocol}allow=never")
    ),
)


def sibling_files(path: Path, root: Path, language: str, max_files: int) -> tuple[Path, ...]:
    """Files of the same language family, nearest first, then by folder and name.

    Distance is counted in steps up and down the tree, so the file's own folder comes first and then
    the folders round it, never above `root` or the repository's top. Paths begin with `root` as it
    is given, also where it is a link.
    () where `path` is not below `root` or `language`, an LSP id, is "".
    """
    folder, top = path.parent.resolve(), root.resolve()
    if not language or not folder.is_relative_to(top):
        return ()
    found: list[Path] = []
    for files in _levels(folder, top, family_of(language)):
        found += [file for file in files if file != folder / path.name]
        if len(found) >= max_files:
            break
    return tuple(root / file.relative_to(top) for file in found[:max_files])


def source_files(root: Path, max_files: int) -> tuple[Path, ...]:
    """Files of every known language below `root`, those nearest to it first."""
    top = root.resolve()
    found: list[Path] = []
    for files in _levels(top, top, None):
        found += files
        if len(found) >= max_files:
            break
    return tuple(root / file.relative_to(top) for file in found[:max_files])


def ignored_files(paths: Collection[Path], root: Path) -> frozenset[Path]:
    """Those that git ignores, open ones for instance; also those of which git cannot say it."""
    real = {path: path.parent.resolve() / path.name for path in paths}
    repositories = {folder: _nearest_git(folder) for folder in {p.parent for p in real.values()}}
    ignored: set[Path] = set()
    for repository in {each for each in repositories.values() if each}:
        if not _is_elsewhere(repository, root.resolve()):
            files = [each for each in real.values() if repositories[each.parent] == repository]
            ignored |= _ignored_by_git(files, repository)
    return frozenset(path for path, each in real.items() if each in ignored)


def _levels(folder: Path, root: Path, family: str | None) -> Iterator[list[Path]]:
    """The visible files at each distance from `folder`, one list a step; None for all families."""
    repository = _repository_of(folder, root)
    top = repository if repository and repository.is_relative_to(root) else root
    junk = JUNK_FOLDERS if repository else JUNK_FOLDERS | BUILD_FOLDERS
    seen, level, n_entries_left = {folder}, [folder], MAX_ENTRIES
    for _ in range(MAX_DISTANCE + 1):
        files: list[Path] = []
        folders: list[Path] = []
        for each in level:
            entries = _entries(each, min(n_entries_left, MAX_FOLDER_ENTRIES), is_top=each == top)
            n_entries_left -= len(entries)
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in junk:
                        folders.append(each / entry.name)
                elif _is_meant(language_of(entry.name), family):
                    if entry.is_file(follow_symlinks=False):
                        files.append(each / entry.name)
        files = [file for file in files if not is_secret_path(file.relative_to(root).as_posix())]
        ignored = _ignored_by_git([*files, *folders], repository) if repository else frozenset()
        yield sorted(file for file in files if file not in ignored)
        parents = {each.parent for each in level if each != top}
        level = sorted((parents | {each for each in folders if each not in ignored}) - seen)
        seen.update(level)


def _is_meant(language: str, family: str | None) -> bool:
    return language in BY_ID if family is None else family_of(language) == family


def _entries(folder: Path, max_entries: int, *, is_top: bool) -> list[os.DirEntry[str]]:
    """What stands in a folder and is not hidden; nothing where another repository begins.

    Names that no prompt could show, with a line end or bytes that are no UTF-8, are left out.
    """
    try:
        if not is_top and (folder / ".git").exists():
            return []
        with os.scandir(folder) as entries:
            found = list(islice(entries, max_entries))
    except OSError:
        return []
    return [entry for entry in found if entry.name.isprintable() and entry.name[0] != "."]


def _repository_of(folder: Path, root: Path) -> Path | None:
    """The nearest folder upwards with a git repository; `.git` is a file in a linked worktree.

    None where that repository ignores the whole workspace: somebody's dotfiles, say.
    """
    repository = _nearest_git(folder)
    return None if repository is None or _is_elsewhere(repository, root) else repository


def _nearest_git(folder: Path) -> Path | None:
    for each in (folder, *folder.parents):
        # Where it may not be looked at, it is none, and raises nothing.
        if os.path.isfile(each / ".git" / "HEAD") or os.path.isfile(each / ".git"):
            return each
    return None


def _is_elsewhere(repository: Path, root: Path) -> bool:
    """Whether it lies round the workspace and ignores the whole of it."""
    is_outer = root != repository and root.is_relative_to(repository)
    return is_outer and bool(_ignored_by_git([root], repository))


def _ignored_by_git(paths: Sequence[Path], repository: Path) -> frozenset[Path]:
    """Those of `paths` that git ignores: all where git fails, none where there is no git at all."""
    program = shutil.which("git")
    # Windows looks for programs in the current folder first, where a repository may have put one.
    if not paths or not program or Path(program).resolve().is_relative_to(repository):
        return frozenset()
    # "./" keeps a name like ":(top)x.py" from being read as pathspec magic.
    names = {b"./" + os.fsencode(path.relative_to(repository).as_posix()): path for path in paths}
    try:
        answer = subprocess.run(
            [program, *_GIT_FLAGS, f"--git-dir={repository / '.git'}", f"--work-tree={repository}",
             "check-ignore", "-z", "--stdin"],
            cwd=repository,
            input=b"".join(name + b"\0" for name in names),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=GIT_TIMEOUT_S,
            check=False,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        logger.info("git cannot say what it ignores in %s: %s", repository, error)
        return frozenset(paths)
    if answer.returncode not in (0, 1):  # some are ignored, none is
        logger.info("git check-ignore ended with %s in %s", answer.returncode, repository)
        return frozenset(paths)
    return frozenset(names[name] for name in answer.stdout.split(b"\0") if name in names)
