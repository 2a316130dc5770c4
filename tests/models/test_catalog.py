"""The catalogue holds what can be fetched, and nothing that leads anywhere else."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from tabby_lsp.config.values import is_plain_name
from tabby_lsp.models import catalog
from tabby_lsp.models.catalog import entries, entry_of, names_like
from tabby_lsp.models.found import STARTER_SHA256, locate
from tabby_lsp.models.gguf import ModelFileError
from tests.models.model_files import STARTER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def own_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(catalog, "CATALOG", tmp_path / "catalog.toml")
    entries.cache_clear()
    yield tmp_path / "catalog.toml"
    entries.cache_clear()


def test_every_model_is_there_once() -> None:
    models = entries()
    assert len(models) == 35
    assert len({each.name.lower() for each in models}) == len(models)
    assert len({each.sha256 for each in models}) == len(models)


def test_every_name_may_come_from_an_editor() -> None:
    assert [each.name for each in entries() if not is_plain_name(each.name)] == []


def test_one_as_it_stands() -> None:
    entry = entry_of("qwen2.5-coder-0.5b")
    assert entry is not None
    assert (entry.name, entry.role, entry.licence) == (
        "Qwen2.5-Coder-0.5B",
        "completion",
        "Apache 2.0",
    )
    assert entry.repository == "ikw/Qwen2.5-Coder-0.5B-GGUF"
    assert entry.file == "qwen2.5-coder-0.5b-q8_0.gguf"
    assert entry.sha256.startswith("a563b0822d92aa05")


@pytest.mark.parametrize("name", ["", "qwen", "../starter", "Qwen2.5-Coder-0.5B.gguf"])
def test_another_name_is_none(name: str) -> None:
    assert entry_of(name) is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("qwen2.5", "Qwen2.5-Coder-0.5B-Instruct"),
        ("starcoder_1b", "StarCoder-1B"),
        ("Qwen25-Coder-1.5", "Qwen2.5-Coder-1.5B"),
        ("deepseek-coder-1.3b", "DeepSeekCoder-1.3B"),
        ("codstral", "Codestral-22B"),
    ],
)
def test_a_name_that_is_nearly_right_is_understood(written: str, meant: str) -> None:
    assert meant in names_like(written)


@pytest.mark.parametrize("written", ["", "x", "???", "zzzzzzzzzz" * 1000])
def test_a_name_like_no_other_is_like_none(written: str) -> None:
    assert names_like(written) == []


def test_the_starters_hash_is_known() -> None:
    assert hashlib.sha256(STARTER.read_bytes()).hexdigest() == STARTER_SHA256
    assert STARTER_SHA256 in (STARTER.parent / "CARD.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "../evil"),
        ("name", "a/b"),
        ("repository", "a"),
        ("repository", "../../etc"),
        ("repository", "https://evil.example/x"),
        ("file", "../../.bashrc"),
        ("file", "model.bin"),
        ("file", ".gguf"),
        ("sha256", "0" * 63),
        ("sha256", "G" * 64),
        ("role", "anything"),
    ],
)
def test_an_entry_that_leads_elsewhere_is_not_read(own_catalog: Path, key: str, value: str) -> None:
    sound = {
        "name": "m",
        "role": "chat",
        "repository": "o/r",
        "file": "m.gguf",
        "sha256": "0" * 64,
        "licence": "MIT",
    }
    own_catalog.write_text(as_toml(sound))
    assert [each.name for each in entries()] == ["m"]
    entries.cache_clear()
    own_catalog.write_text(as_toml(sound | {key: value}))
    with pytest.raises(ValueError, match=key):
        entries()


def as_toml(table: dict[str, str]) -> str:
    return "[[model]]\n" + "".join(f"{key} = '{value}'\n" for key, value in table.items())


# What somebody is told who names a model that is not there.


@pytest.mark.parametrize("name", ["Qwen2.5-Coder-1.5B", "QWEN2.5-CODER-1.5B"])
def test_a_model_of_the_catalogue_is_answered_with_the_line_that_fetches_it(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(ModelFileError) as caught:
        locate(name, tmp_path)
    assert str(caught.value) == (
        "Qwen2.5-Coder-1.5B is not installed; get it with"
        " `tabby-lsp models pull Qwen2.5-Coder-1.5B`, or set `model` to one that is (starter)"
    )


def test_a_model_that_is_nearly_of_the_catalogue_is_proposed(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"did you mean StarCoder-1B.*models list"):
        locate("starcoder1b", tmp_path)
