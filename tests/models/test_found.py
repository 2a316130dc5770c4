"""Models are found by name in one folder and by path everywhere, and what is not there is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from tabby_lsp.models.found import installed, locate
from tabby_lsp.models.gguf import ModelFileError, read_header
from tests.models.model_files import STARTER


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    for name in (
        "qwen2.5-coder-1.5b.gguf",
        "Mellum.GGUF",
        "notes.txt",
        "half.gguf.part",
        "._x.gguf",
    ):
        (folder / name).touch()
    (folder / "folder.gguf").mkdir()
    return tmp_path


def check_located(name_or_path: str, data_dir: Path, path: Path) -> None:
    assert locate(name_or_path, data_dir) == path


def test_the_starter_is_always_there(tmp_path: Path) -> None:
    assert installed(tmp_path / "nowhere") == {"starter": STARTER}
    assert read_header(locate("starter", tmp_path)).n_vocab == 8192


def test_the_folders_gguf_files_have_their_names(data_dir: Path) -> None:
    folder = data_dir / "models"
    assert installed(data_dir) == {
        "starter": STARTER,
        "Mellum": folder / "Mellum.GGUF",
        "qwen2.5-coder-1.5b": folder / "qwen2.5-coder-1.5b.gguf",
    }


def test_a_file_in_the_place_of_the_folder_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "models").touch()
    assert list(installed(tmp_path)) == ["starter"]


def test_a_file_called_starter_is_not_taken_for_it(data_dir: Path) -> None:
    (data_dir / "models" / "starter.gguf").touch()
    check_located("starter", data_dir, STARTER)


@pytest.mark.parametrize("name", ["Mellum", "mellum", "MELLUM"])
def test_a_name_is_found_in_any_case(data_dir: Path, name: str) -> None:
    check_located(name, data_dir, data_dir / "models" / "Mellum.GGUF")


def test_of_two_names_the_one_with_the_same_case_is_taken(data_dir: Path) -> None:
    other = data_dir / "models" / "mellum.gguf"
    other.touch()
    check_located("mellum", data_dir, other)
    check_located("Mellum", data_dir, data_dir / "models" / "Mellum.GGUF")


@pytest.mark.parametrize(
    "path", ["./here.gguf", "here.gguf", "/abs/there.gguf", "a/b", "../starter"]
)
def test_a_path_is_taken_as_it_is(data_dir: Path, path: str) -> None:
    check_located(path, data_dir, Path(path))


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    check_located("~/m.gguf", tmp_path, tmp_path / "m.gguf")
    check_located("~no-such-user/m.gguf", tmp_path, Path("~no-such-user/m.gguf"))


@pytest.mark.parametrize("name", ["qwen", "starter2", "notes", "folder"])
def test_an_unknown_name_is_refused_with_what_there_is(data_dir: Path, name: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        locate(name, data_dir)
    message = str(caught.value)
    for phrase in (repr(name), "starter, Mellum, qwen2.5-coder-1.5b", str(data_dir / "models")):
        assert phrase in message


@pytest.mark.parametrize("name", ["..", ".", "models/../../secret", "..\\secret"])
def test_a_name_does_not_lead_out_of_the_folder(data_dir: Path, name: str) -> None:
    """What could is a path, which the settings take from the user alone."""
    check_located(name, data_dir, Path(name))
