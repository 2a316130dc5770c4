"""The user's own file, and the folders where files of ours stand."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tabby_lsp.config import (
    Resolved,
    Settings,
    data_dir,
    read_user_file,
    resolve,
    state_dir,
    user_config_path,
)


def check_file(path: Path, trouble: str, *, must_exist: bool = False) -> None:
    """The file gives no value and one problem."""
    source = read_user_file(path, must_exist=must_exist)
    assert [str(problem) for problem in source.problems] == [f"{path} is ignored: {trouble}"]
    assert resolve([source]).settings == Settings()


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes('\ufeffmodel = "größer.gguf"\r\n[local]\r\nn_ctx = 1024\r\n'.encode())
    held = resolve([read_user_file(path)]).settings
    assert (Path(held.model), held.local.n_ctx) == (tmp_path / "größer.gguf", 1024)


def test_an_absent_file_matters_only_where_it_was_named(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    assert resolve([read_user_file(path)]) == Resolved(settings=Settings(), file=str(path))
    check_file(path, "it does not exist. Create it, or name another.", must_exist=True)


@pytest.mark.parametrize(
    ("data", "trouble"),
    [
        (b'model = "a"\nmodel "b"\n', "Expected '=' after a key in a key/value pair (at line 2"),
        (b'model = "a"\nengine = \\', "Invalid value (at line 2"),
        (b"completion = [1,\n\n", "Invalid value (at line 1, the end)"),
        (b'model = "C:\\Users\\u\\m.gguf"', "Invalid hex value (at line 1"),
        (b'model = "a"\n# \xff', "it is not UTF-8 (at line 2)"),
        ('model = "a"'.encode("utf-16"), "it is not UTF-8 (at line 1)"),
        (b"n = 1" + 5000 * b"0", "Exceeds the limit"),
        (b"n = " + 5000 * b"[", "its values are nested too deeply"),
        (b"#" * 2_000_000, "it is longer than 1048576 bytes"),
    ],
    ids=range(9),
)
def test_broken_toml_is_one_problem_with_its_line(
    tmp_path: Path, data: bytes, trouble: str
) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(data)
    source = read_user_file(path)
    (problem,) = source.problems
    assert problem.message.startswith(f"{path} is ignored: {trouble}")
    assert problem.message.isprintable()
    assert source.values == {}


def test_what_is_no_file_is_a_problem(tmp_path: Path) -> None:
    check_file(tmp_path, f"{os.strerror(errno.EISDIR)}. Make it a file that you may read.")


def test_nobody_waits_for_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    os.mkfifo(path)
    check_file(path, "it is a pipe. Make it a file that you may read.")


def test_the_pipe_of_a_shell_is_read(tmp_path: Path) -> None:
    """As in `--config <(...)`."""
    reading, writing = os.pipe()
    os.write(writing, b"[local]\nn_ctx = 1024\n")
    os.close(writing)
    held = resolve([read_user_file(Path(f"/dev/fd/{reading}"))]).settings
    os.close(reading)
    assert held.local.n_ctx == 1024


XDG = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")


def test_files_stand_where_xdg_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in XDG:
        monkeypatch.setenv(name, str(tmp_path / name))
    assert user_config_path() == tmp_path / "XDG_CONFIG_HOME/tabby-lsp/config.toml"
    assert data_dir() == tmp_path / "XDG_DATA_HOME/tabby-lsp"
    assert state_dir() == tmp_path / "XDG_STATE_HOME/tabby-lsp"


def test_without_a_home_nothing_is_read_from_the_present_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in XDG:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "a/repository")
    monkeypatch.setattr(os, "getuid", lambda: 2_000_000_000)  # a container's user without an entry
    for path in (user_config_path(), data_dir(), state_dir()):
        assert path.is_absolute()
        assert not path.is_relative_to(Path.cwd())
