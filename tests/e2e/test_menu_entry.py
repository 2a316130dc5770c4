"""Beside an open menu VSCode shows only what extends the selected entry; that is what it gets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.e2e.clients import NEOVIM_0_12, VSCODE, Profile, initialize_params
from tests.e2e.wire import INLINE_COMPLETION, Json, inline_params, start

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = [
    {"prefix": "items.append", "suffix": "\n", "text": "(item)"},
    {"prefix": "items.ap", "suffix": "\n", "text": "ply(item)"},
]


def complete(home: Path, profile: Profile, selected: str) -> list[str]:
    """What is offered behind `items.ap` while `selected` is the menu's entry for `ap`."""
    script, config = home / "script.json", home / "config.toml"
    script.write_text(json.dumps(SCRIPT))
    config.write_text(f'engine = "s"\n[engines.s]\nkind = "scripted"\nfile = "{script}"\n')
    with start(home, "--config", str(config)) as client:
        client.initialize(initialize_params(profile, root=home))
        client.open("untitled:a", "items.ap\n")
        span = {"start": {"line": 0, "character": 6}, "end": {"line": 0, "character": 8}}
        info = {"range": span, "text": selected}
        place: Json = {"line": 0, "character": 8}
        params = inline_params("untitled:a", place, selectedCompletionInfo=info)
        items = client.call(INLINE_COMPLETION, params)["items"]
    return [item["insertText"] for item in items]


def test_an_item_begins_with_what_the_selected_entry_adds(home: Path) -> None:
    assert complete(home, VSCODE, "append") == ["pend(item)"]


def test_an_entry_that_is_not_what_was_typed_is_disregarded(home: Path) -> None:
    assert complete(home, VSCODE, "extend") == ["ply(item)"]


def test_other_editors_draw_ghost_text_whatever_the_menu_says(home: Path) -> None:
    assert complete(home, NEOVIM_0_12, "append") == ["ply(item)"]
