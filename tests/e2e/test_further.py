"""What stands far off in the document, or in the next file, is said: the real model and host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import VSCODE, initialize_params
from tests.e2e.reference import position_at
from tests.e2e.wire import AUTOMATIC, start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.wire import Client

FAR = """
def price(cart, season):
    return cart.reckon_without_vouchers(season, rounding=HALF_CENT)
"""
FILLER = "".join(f"\n\ndef step_{n}(a):\n    return a + {n}\n" for n in range(300))
HERE = "\n\ndef total(cart, season):\n    return cart."
WANTED = "_without_vouchers(season"


def typed(client: Client, uri: str, text: str) -> list[str]:
    """The ghost text behind each key of `reckon`."""
    shown = []
    for version, name in enumerate(("re", "rec", "reck", "recko", "reckon"), 2):
        now = text + name
        client.change(uri, version, {"text": now + "\n"})
        cursor = position_at(now, len(now), "utf-16")
        items = client.complete(uri, cursor, kind=AUTOMATIC)
        shown += [now + str(item["insertText"]) for item in items]
    return shown


@pytest.fixture
def bold(tmp_path: Path) -> Iterator[Client]:
    """A server that shows all that its small model says; its workspace is `shop`."""
    shop = tmp_path / "shop"
    shop.mkdir()
    # Nothing of its beginning has to do with what is typed, so no piece of it is read.
    (shop / "prices.py").write_text(FILLER.replace("step", "other") + FAR, "utf-8")
    with start(tmp_path / "home") as client:
        client.initialize(
            initialize_params(VSCODE, root=shop, options={"completion": {"confidence": 0}})
        )
        client.open("untitled:first", "import os\n")
        client.wait_ready()
        yield client


def test_what_stands_far_above_is_said_at_every_key(bold: Client) -> None:
    for uri, text, least in (
        ("untitled:alone", HERE, 0),
        ("untitled:above", FILLER[:400] + FAR + FILLER + HERE, 3),
    ):
        bold.open(uri, text)
        shown = [each[len(text) :] for each in typed(bold, uri, text)]
        assert sum(WANTED in each for each in shown) in range(least, 2 * least + 1), shown


def test_what_stands_in_the_file_beside_it_is_said(bold: Client, tmp_path: Path) -> None:
    till = tmp_path / "shop" / "till.py"
    till.write_text(HERE, "utf-8")
    bold.open(till.as_uri(), HERE)
    shown = [each[len(HERE) :] for each in typed(bold, till.as_uri(), HERE)]

    assert sum(WANTED in each for each in shown) >= 3, shown
