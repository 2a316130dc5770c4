"""What lies round a document is read when it is opened, not at the first key in it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tabby_lsp.config import CompletionSettings
from tabby_lsp.documents import canonical_uri
from tabby_lsp.request import Ask
from tests.staged import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

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


def known_of(shop: Path, opened: Sequence[str], asked: str) -> list[str]:
    """Of which files the engine is told; the other one is gone from disk before the first key."""
    (shop / "shop.py").write_text(SHOP, "utf-8")

    async def told() -> list[str]:
        stage = Stage()
        for name in opened:
            stage.app.opened(ask_in(shop / name))
        reading = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*reading, return_exceptions=True)
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
    stage = Stage(CompletionSettings(ahead="never", disabled_languages=("python",)))
    (tmp_path / "shop.py").write_text(SHOP, "utf-8")

    async def n_read() -> int:
        stage.app.opened(ask_in(tmp_path / "till.py"))
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
        (tmp_path / "shop.py").unlink()
        found = await stage.app.talk().neighbours.around(
            tmp_path / "till.py", tmp_path, "python", (), 60.0
        )
        return len(found.files)

    assert asyncio.run(n_read()) == 0
