"""Which models there are to be loaded, and what for."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import gguf
import pytest

from tabby_lsp.config import LocalSettings
from tabby_lsp.domain import EngineError
from tabby_lsp.stock import NotInStock, Stock, offers
from tests.models.chat_model import write_chat_model
from tests.models.model_files import STARTER, write_model
from tests.models.vector_model import write_vector_model

if TYPE_CHECKING:
    from pathlib import Path

    from tabby_lsp.rack import Role


def stock_in(folder: Path, started: dict[Role, str] | None = None) -> Stock:
    return Stock(folder, started or {}, LocalSettings())


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def test_a_model_is_for_what_its_file_says(models: Path) -> None:
    write_chat_model(models / "talker.gguf")
    write_vector_model(models / "vectors.gguf", gguf.PoolingType.MEAN)
    write_model(models / "neither.gguf")
    stock = stock_in(models.parent)
    assert stock.names() == ["starter", "neither", "talker", "vectors"]
    assert stock.role_of("starter") == "completion"
    assert stock.role_of("talker") == "chat"
    assert stock.role_of("vectors") == "embedding"
    with pytest.raises(EngineError, match="not for completion"):
        stock.role_of("neither")


def test_the_catalogues_word_comes_first(models: Path) -> None:
    for name in ("Qwen2.5-Coder-0.5B-Instruct", "Nomic-Embed-Text", "StarCoder-1B"):
        shutil.copy(STARTER, models / f"{name}.gguf")
    stock = stock_in(models.parent)
    assert stock.role_of("StarCoder-1B") == "completion"
    assert stock.role_of("Nomic-Embed-Text") == "embedding"
    # It could complete as well; as a chat model it also continues texts.
    assert stock.role_of("Qwen2.5-Coder-0.5B-Instruct") == "chat"


def test_what_the_user_started_can_be_loaded_again_by_its_name(tmp_path: Path) -> None:
    path = write_chat_model(tmp_path / "mine.gguf")
    stock = stock_in(tmp_path, {"chat": str(path), "completion": "starter"})
    assert stock.names() == ["mine", "starter"]
    assert stock.named("MINE") == "mine"
    assert (stock.role_of("mine"), stock.asked("mine")) == ("chat", str(path))
    assert stock.asked("starter") == "starter"


def test_names_that_are_none_are_not_listed(models: Path) -> None:
    shutil.copy(STARTER, models / "my model (1).gguf")
    stock = stock_in(models.parent)
    assert stock.names() == ["starter"]
    with pytest.raises(NotInStock, match="paths are not taken"):
        stock.named("my model (1)")


def test_a_file_that_has_changed_is_read_again(models: Path) -> None:
    path = write_chat_model(models / "a.gguf", n_ctx=512)
    stock = stock_in(models.parent)
    first = stock.described("a")
    assert first is not None and first.n_ctx == 512 and first.template
    write_chat_model(path, n_ctx=256)
    second = stock.described("a")
    assert second is not None and second.n_ctx == 256
    path.unlink()
    assert stock.described("a") is None


@pytest.mark.parametrize("name", ["", "..", "a/b/c", "http://evil.example/a", "a\\b", "TabbyML/"])
def test_nothing_else_is_on_offer(name: str) -> None:
    assert offers(name) == []
