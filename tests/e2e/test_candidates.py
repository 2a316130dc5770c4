"""Three answers for somebody who asks explicitly, over the wire."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import COC, LSP_MODE, NEOVIM_0_12, VSCODE, Profile, initialize_params
from tests.e2e.questions import check_drawable, last_decision, line_rests
from tests.e2e.reference import drawn, position_at
from tests.e2e.wire import AUTOMATIC, start

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.wire import Client

ANSWERS = ["sorted(names)", "sorted(names, key=len)", "list(names)", "names[:]"]


@pytest.mark.parametrize(
    "profile", [VSCODE, NEOVIM_0_12, COC, LSP_MODE], ids=lambda profile: profile.name
)
def test_who_asks_explicitly_may_choose_and_may_be_understood(profile: Profile, home: Path) -> None:
    script = home / "script.json"
    script.write_text(json.dumps([{"prefix": "x = ", "suffix": "", "text": a} for a in ANSWERS]))
    config = home / ".config/tabby-lsp/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(
        f'engine = "script"\n[engines.script]\nkind = "scripted"\nfile = "{script}"\n'
    )
    with start(home) as client:
        client.initialize(initialize_params(profile))
        text, at = drawn("names = []\nx = ║\n")
        cursor = position_at(text, at, profile.encoding)
        client.open("untitled:chosen", text)
        (only,) = client.complete("untitled:chosen", cursor, kind=AUTOMATIC)
        items = client.complete("untitled:chosen", cursor)
        assert [item["insertText"] for item in items] == ANSWERS[:3]
        for item in items:
            check_drawable(item, text, cursor, profile.encoding, client)
        ids = [item["command"]["arguments"][0] for item in items]
        assert len({*ids}) == 3
        assert ids[0] == only["command"]["arguments"][0]
        # Neovim chooses among what it was answered last, when it asked by itself.
        again = client.complete("untitled:chosen", cursor, kind=AUTOMATIC)
        assert [item["insertText"] for item in again] == ANSWERS[:3]
        assert last_decision(client, "untitled:chosen")["reason"] == "cached"
        client.change("untitled:chosen", 2, {"text": text[:at] + ANSWERS[2] + text[at:]})
        client.execute("tabby.didAccept", ids[2])
        client.close("untitled:chosen")
        client.inspect()
    (counted,) = (home / ".local/state/tabby-lsp/suggestions.jsonl").read_text().splitlines()
    assert json.loads(counted)["fate"] == "accepted"


def test_the_starter_gives_three_from_one_prompt_and_the_others_are_decoded_only(
    ready: Client,
) -> None:
    n_three = 0
    for number, (text, at) in enumerate(line_rests(6, "candidates")):
        uri = f"untitled:three{number}"
        cursor = position_at(text, at, "utf-16")
        ready.open(uri, text)
        ready.complete(uri, cursor, kind=AUTOMATIC)
        items = ready.complete(uri, cursor)
        texts = [item["insertText"] for item in items]
        assert len({text.strip() for text in texts}) == len(texts) <= 3
        for item in items:
            check_drawable(item, text, cursor, "utf-16", ready)
        timings = last_decision(ready, uri)["timings"]
        assert timings["n_evaluated_tokens"] <= 8
        assert timings["n_prompt_tokens"] > 200
        again = ready.complete(uri, cursor)
        assert [item["insertText"] for item in again] == texts
        n_three += len(items) == 3
        ready.close(uri)
    assert n_three >= 3
