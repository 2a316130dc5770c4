"""What lies round a document is read when it is opened, not at the first key in it."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tabby_lsp.beside import Beside
from tabby_lsp.config import CompletionSettings, ContextSettings
from tabby_lsp.documents import canonical_uri
from tabby_lsp.request import Ask
from tests.staged import PATIENT_S, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

SHOP = "def price_of(voucher, season):\n    return voucher.reckon(season)\n"
TILL = "def total_of(voucher, season):\n    return voucher."


def ask_in(path: Path) -> Ask:
    return Ask(
        uri=canonical_uri(path.as_uri()),
        version=1,
        language="python",
        path=path,
        root=path.parent,
        line=1,
        character=len(TILL.split("\n")[1]),
        prefix=TILL,
        suffix="\n",
        n_document_chars=len(TILL) + 1,
        automatic=True,
    )


async def all_else() -> None:
    """Wait until nothing else is being done."""
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)


def known_of(shop: Path, opened: Sequence[str], asked: str) -> list[str]:
    """Of which files the engine is told; the other one is gone from disk before the first key."""
    (shop / "shop.py").write_text(SHOP, "utf-8")

    async def told() -> list[str]:
        stage = Stage()
        for name in opened:
            stage.app.opened(partial(ask_in, shop / name))
        await all_else()
        (shop / "shop.py").unlink()
        await stage.engine.feed(None)
        await stage.app.complete(ask_in(shop / asked))
        return [snippet.path for snippet in stage.engine.asked[0].segments.snippets]

    return asyncio.run(told())


def test_the_first_key_finds_the_files_beside_read(tmp_path: Path) -> None:
    assert known_of(tmp_path, ["till.py"], "till.py") == ["shop.py"]


def test_of_many_that_are_opened_at_once_the_last_one_is_read_round(tmp_path: Path) -> None:
    assert known_of(tmp_path, ["till.py", "b.py", "c.py"], "till.py") == []
    assert known_of(tmp_path, ["b.py", "c.py", "till.py"], "till.py") == ["shop.py"]


def test_where_nothing_is_ever_offered_nothing_is_read(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SHOP, "utf-8")

    async def n_read() -> int:
        stage = Stage()
        stage.app.opened(partial(ask_in, tmp_path / "till.py"))
        # An editor that is asked for its settings answers after it has opened a document.
        nothing = CompletionSettings(disabled_languages=("python",))
        stage.app.settings = replace(stage.app.settings, completion=nothing)
        await all_else()
        (tmp_path / "shop.py").unlink()
        found = await stage.app.talk().neighbours.around(
            tmp_path / "till.py", tmp_path, "python", (), 60.0
        )
        return len(found.files)

    assert asyncio.run(n_read()) == 0


def test_one_document_is_read_round_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow disk is not asked for all that an editor opens, and keeps no thread from others."""
    (tmp_path / "shop.py").write_text(SHOP, "utf-8")
    may_read, n_reading = threading.Event(), []

    def slowly(path: Path, root: Path, language: str, max_files: int) -> tuple[Path, ...]:
        n_reading.append(path.name)
        may_read.wait(PATIENT_S)
        return ()

    monkeypatch.setattr("tabby_lsp.index.neighbours.sibling_files", slowly)

    async def read() -> list[str]:
        stage = Stage()
        for name in ("a.py", "b.py", "c.py", "d.py"):
            stage.app.opened(partial(ask_in, tmp_path / name))
            await asyncio.sleep(0.1)
        assert len(n_reading) == 1
        may_read.set()
        await all_else()
        return n_reading

    assert asyncio.run(read()) == ["a.py", "d.py"]


def test_who_does_not_want_snippets_any_more_gets_none_of_what_was_found(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SHOP, "utf-8")

    async def found() -> list[int]:
        beside, ask = Beside(), ask_in(tmp_path / "till.py")
        wanted, unwanted = ContextSettings(), ContextSettings(snippets=False)
        return [len((await beside.of(ask, each)).snippets) for each in (wanted, unwanted, wanted)]

    assert asyncio.run(found()) == [1, 0, 1]
