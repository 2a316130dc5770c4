"""The repositories in Tabby's own settings file, whatever somebody has written there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tabby_lsp.config import Repository, read_repositories


def check(tmp_path: Path, content: bytes, folders: dict[str, Path | None]) -> None:
    """A file with this content has these repositories, each in this folder."""
    (tmp_path / "config.toml").write_bytes(content)
    found = read_repositories(tmp_path)
    assert {each.name: each.folder for each in found} == folders


def repository(git_url: str) -> bytes:
    return f'[[repositories]]\ngit_url = "{git_url}"\n'.encode()


def test_a_repository_is_known_by_the_last_part_of_its_address(tmp_path: Path) -> None:
    here, there = tmp_path / "here", "git@example.org:a/there.git"
    check(tmp_path, repository(here.as_uri()) + repository(there), {"here": here, "there": None})


def test_a_byte_order_mark_is_none_of_its_values(tmp_path: Path) -> None:
    check(tmp_path, b"\xef\xbb\xbf" + repository("file:///a/b"), {"b": Path("/a/b")})


@pytest.mark.parametrize("git_url", ["https://[x/b", "file://[/b", "file:///a%00/b", "//[::1/b"])
def test_what_is_no_address_is_a_repository_elsewhere(tmp_path: Path, git_url: str) -> None:
    """And no reason for the server not to begin."""
    check(tmp_path, repository(git_url), {"b": None})


@pytest.mark.parametrize("content", [b"x = " + 5000 * b"[", b"\xff", b"repositories = 5", b"[["])
def test_a_file_that_cannot_be_read_has_none(tmp_path: Path, content: bytes) -> None:
    check(tmp_path, content, {})


def test_nobody_waits_for_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.toml")
    assert read_repositories(tmp_path) == ()


def test_an_address_is_kept_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(repository("https://[x/b.git"))
    assert read_repositories(tmp_path) == (Repository("b", "https://[x/b.git", None),)
