from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest

from tabby_lsp.servers.http.keys import KeysUnusable, keys_in

if TYPE_CHECKING:
    from pathlib import Path

SAME_TWICE = json.dumps({"api": "k" * 32, "admin": "k" * 32})


def test_keys_are_made_once_and_stay(tmp_path: Path) -> None:
    first = keys_in(tmp_path / "new")
    assert keys_in(tmp_path / "new") == first
    assert first.api != first.admin
    assert len(first.api) == 32


def test_nobody_else_can_read_them(tmp_path: Path) -> None:
    keys = keys_in(tmp_path / "new")
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.path.parent.stat().st_mode) == 0o700


def test_a_key_is_worth_what_it_is(tmp_path: Path) -> None:
    keys = keys_in(tmp_path)
    assert keys.privilege_of(keys.api) == "api"
    assert keys.privilege_of(keys.admin) == "admin"
    assert keys.privilege_of(keys.api[:-1]) is None
    assert keys.privilege_of("") is None
    assert keys.privilege_of("\ud800") is None


def test_keys_that_others_can_read_are_refused(tmp_path: Path) -> None:
    path = keys_in(tmp_path).path
    path.chmod(0o644)
    with pytest.raises(KeysUnusable, match="chmod 600"):
        keys_in(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"api": "x", "admin": "y"}',
        json.dumps({"api": "k" * 32, "admin": "k" * 32}),
    ],
)
def test_what_holds_no_keys_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(KeysUnusable, match="delete it"):
        keys_in(tmp_path)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("{}")
    (tmp_path / "keys.json").symlink_to(target)
    with pytest.raises(KeysUnusable):
        keys_in(tmp_path)
