"""Where the host is: the user's alone, short enough for a socket, and the same for all windows."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tabby_lsp.domain import EngineError
from tabby_lsp.host import place as places
from tabby_lsp.host.place import MAX_SOCKET_BYTES, place

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no unix sockets")


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's folders, all below one whose path is short, as real ones are."""
    with tempfile.TemporaryDirectory(prefix="u", dir="/tmp") as name:
        folder = Path(name)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder / "run"))
        monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
        monkeypatch.setattr(places, "temporary_dirs", lambda: [folder / "tmp"])
        (folder / "run").mkdir()
        yield folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_folder_is_made_for_the_user_alone(user: Path) -> None:
    found = place()
    assert found.folder == user / "run/tabby-lsp"
    assert mode(found.folder) == 0o700
    assert mode(found.socket.parent) == 0o700
    assert place() == found


def test_a_folder_that_others_may_enter_is_closed(user: Path) -> None:
    (user / "run/tabby-lsp").mkdir(mode=0o755)
    (user / "run/tabby-lsp").chmod(0o755)
    assert mode(place().folder) == 0o700


def test_a_link_is_not_followed(user: Path) -> None:
    (user / "elsewhere").mkdir()
    (user / "run/tabby-lsp").symlink_to(user / "elsewhere")
    assert place().folder == user / "state/tabby-lsp/run"


def test_a_folder_of_somebody_else_is_passed_over(
    user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place()
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(EngineError, match="XDG_RUNTIME_DIR"):
        place()


def test_a_file_in_the_place_of_the_folder_is_passed_over(user: Path) -> None:
    (user / "run/tabby-lsp").write_text("")
    assert place().folder == user / "state/tabby-lsp/run"


def test_without_a_runtime_folder_and_a_home_there_is_still_a_place(
    user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/dev/null/run")
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null/state")
    assert place().folder.parent == user / "tmp"


def test_with_nowhere_to_write_it_says_what_to_do(
    user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/dev/null/run")
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null/state")
    monkeypatch.setattr(places, "temporary_dirs", list)
    with pytest.raises(EngineError, match=r"XDG_RUNTIME_DIR.*--in-process"):
        place()


def test_the_path_of_a_socket_is_short_and_different_for_each_folder(
    user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sockets = set()
    for name in ("a", "b"):
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(user / ("x" * 90) / name))
        sockets.add(place().socket)
    assert len(sockets) == 2
    assert all(len(os.fsencode(each)) <= MAX_SOCKET_BYTES for each in sockets)


def test_another_version_has_another_place(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = place()
    monkeypatch.setattr(places, "__version__", "99.0")
    other = place()
    assert other.folder == mine.folder
    assert {other.socket, other.lock, other.starting}.isdisjoint(
        {mine.socket, mine.lock, mine.starting}
    )
