"""Completions in the menu: as each editor asks for them, and what comes of accepting them there."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import (
    HELIX,
    KATE,
    LSP_MODE,
    MENU_PROFILES,
    NEOVIM_0_12,
    SUBLIME,
    VSCODE,
    Profile,
    initialize_params,
    speaking,
)
from tests.e2e.menus import accepted
from tests.e2e.questions import SOURCE, constructor, last_decision, line_rests
from tests.e2e.reference import drawn, offset_at, position_at
from tests.e2e.wire import INLINE_COMPLETION, Client, inline_params, start, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.wire import Json

COMPLETION = "textDocument/completion"
INVALID_PARAMS, CANCELLED = -32602, -32800

# The server's limit and as much again for two cores that do other things too.
IN_TIME_S = 0.15

# What the starter says several lines to.
BLOCKS = (
    "def area(width, height):║\n",
    "class Box:\n    def __init__(self, width, height):║\n\n    def area(self):\n        pass\n",
    "class Tab:\n\tdef __init__(self, width, height):║\n",
    "def first(items):\r\n    for item in items:║\r\n",
)


def menu_params(uri: str, cursor: Json) -> Json:
    return {"textDocument": {"uri": uri}, "position": cursor, "context": {"triggerKind": 1}}


def ask_menu(client: Client, uri: str, cursor: Json) -> Json:
    """The list that is answered, at once."""
    answer: Json = client.call(COMPLETION, menu_params(uri, cursor))
    check_list(answer)
    return answer


def ask_menu_until_it_has_come(client: Client, uri: str, cursor: Json) -> Json | None:
    """The entry that is there when the model has had its time; None where it says nothing."""
    answer = ask_menu(client, uri, cursor)
    while last_decision(client, uri)["reason"] in ("not-yet", "first-lines"):
        time.sleep(0.02)
        answer = ask_menu(client, uri, cursor)
    return answer["items"][0] if answer["items"] else None


def check_list(answer: Json) -> None:
    assert answer["isIncomplete"] is True
    assert len(answer["items"]) <= 1
    for item in answer["items"]:
        assert item["label"].splitlines() == [item["label"]]
        assert 0 < len(item["label"]) <= 60
        assert not item.get("preselect")
        assert not item.get("commitCharacters")
        assert item["sortText"] > "z"
        assert item["command"]["command"] == "tabby.didAccept"


def check_entry(item: Json, text: str, cursor: Json, profile: Profile) -> None:
    """The range is on the line, begins with the word there, and what filters the menu fits it."""
    span = item["textEdit"]["range"]
    assert span["start"]["line"] == span["end"]["line"] == cursor["line"]
    begin, end = (offset_at(text, span[side], profile.encoding) for side in ("start", "end"))
    at = offset_at(text, cursor, profile.encoding)
    assert begin <= at <= end
    word = text[begin:at]
    assert word == "" or word.replace("_", "a").isalnum()
    assert begin == 0 or not (text[begin - 1].isalnum() or text[begin - 1] == "_")
    assert item["filterText"].startswith(word)
    assert item["label"].startswith(word)


def lines_of(text: str) -> list[str]:
    """Without blanks at their ends, which some editors add to blank lines."""
    return [line.rstrip() for line in text.replace("\r\n", "\n").rstrip().split("\n")]


# Who is offered it.


@pytest.mark.parametrize("profile", MENU_PROFILES, ids=lambda profile: profile.name)
def test_editors_without_ghost_text_are_offered_it(
    profile: Profile, served: Callable[[Profile], Client]
) -> None:
    offered = served(profile).capabilities["completionProvider"]
    assert {".", "(", " "} <= set(offered["triggerCharacters"])
    assert not set(offered["triggerCharacters"]) & set(":{,)\n")
    assert offered["resolveProvider"] is False
    assert "allCommitCharacters" not in offered


@pytest.mark.parametrize("profile", [VSCODE, NEOVIM_0_12, LSP_MODE], ids=lambda p: p.name)
def test_editors_with_ghost_text_are_not(
    profile: Profile, served: Callable[[Profile], Client]
) -> None:
    assert "completionProvider" not in served(profile).capabilities


@pytest.mark.parametrize(
    ("profile", "menu", "is_offered"),
    [(VSCODE, "always", True), (VSCODE, "never", False), (HELIX, "never", False)],
)
def test_the_setting_decides(profile: Profile, menu: str, is_offered: bool, home: Path) -> None:
    with start(home) as client:
        options = {"completion": {"menu": menu}}
        capabilities = client.initialize(initialize_params(profile, options=options))
        assert ("completionProvider" in capabilities) is is_offered


def test_a_setting_that_comes_late_is_offered_late_where_the_editor_can_be_told(
    home: Path,
) -> None:
    with start(home, settings={"completion": {"menu": "always"}}) as client:
        profile = Profile(
            name="late",
            client_info=VSCODE.client_info,
            capabilities=VSCODE.capabilities,
            encoding="utf-16",
        )
        assert "completionProvider" not in client.initialize(initialize_params(profile))
        assert wait_until(lambda: registered(client) == [COMPLETION], 10)
        client.open("untitled:late", "x = 1\n")
        assert ask_menu(client, "untitled:late", {"line": 0, "character": 0})["items"] == []


def test_where_it_cannot_the_user_is_told_what_to_do(home: Path) -> None:
    with start(home, settings={"completion": {"menu": "always"}}) as client:
        client.initialize(initialize_params(NEOVIM_0_12))
        assert wait_until(lambda: any("config.toml" in text for text in said(client)), 10)
        assert registered(client) == []


def test_switched_off_later_it_answers_with_nothing(home: Path) -> None:
    text, cursor = constructor("Off")
    with start(home) as client:
        client.initialize(initialize_params(HELIX))
        client.open("untitled:off", text)
        client.wait_ready()
        assert ask_menu_until_it_has_come(client, "untitled:off", cursor)
        settings = {"completion": {"menu": "never"}}
        client.notify("workspace/didChangeConfiguration", {"settings": settings})
        assert ask_menu(client, "untitled:off", cursor)["items"] == []


def registered(client: Client) -> list[str]:
    return [
        registration["method"]
        for request in client.server_requests
        if request["method"] == "client/registerCapability"
        for registration in request["params"]["registrations"]
    ]


def said(client: Client) -> list[str]:
    shown = [n for n in client.notifications if n["method"] == "window/showMessage"]
    return [notification["params"]["message"] for notification in shown]


# What comes of it.


@pytest.mark.parametrize("profile", MENU_PROFILES, ids=lambda profile: profile.name)
def test_accepting_an_entry_gives_what_ghost_text_gives(
    profile: Profile, served: Callable[[Profile], Client]
) -> None:
    client, encoding = served(profile), profile.encoding
    n_answered, n_lines = 0, 0
    marked = [text[:at] + '"ß漢😀", ║' + text[at:] for text, at in line_rests(8, "menu")]
    marked += [constructor_drawn("Box"), *BLOCKS]
    for number, (text, at) in enumerate(map(drawn, marked)):
        uri, cursor = f"untitled:menu{number}", position_at(text, at, encoding)
        client.open(uri, text)
        item = ask_menu_until_it_has_come(client, uri, cursor)
        ghosts = client.complete(uri, cursor)
        if item is not None:
            check_entry(item, text, cursor, profile)
            (ghost,) = ghosts
            end = offset_at(text, ghost["range"]["end"], encoding)
            expected = text[:at] + ghost["insertText"] + text[end:]
            assert lines_of(accepted(item, text, cursor, profile)) == lines_of(expected)
            n_answered += 1
            n_lines += "\n" in ghost["insertText"]
        client.close(uri)
    assert n_answered >= 4
    assert n_lines >= 2
    assert client.foreign == []


def constructor_drawn(name: str) -> str:
    text, cursor = constructor(name)
    at = offset_at(text, cursor, "utf-16")
    return f"{text[:at]}║{text[at:]}"


def test_accepting_is_noted_like_that_of_ghost_text(served: Callable[[Profile], Client]) -> None:
    client = served(HELIX)
    text, cursor = constructor("Noted")
    client.open("untitled:noted", text)
    item = ask_menu_until_it_has_come(client, "untitled:noted", cursor)
    assert item is not None
    client.execute(item["command"]["command"], *item["command"]["arguments"])
    client.close("untitled:noted")


@pytest.mark.parametrize(
    ("profile", "reason"), [(HELIX, "block"), (KATE, "cannot-be-drawn")], ids=["helix", "kate"]
)
def test_what_an_editor_would_garble_is_left_out_and_told(
    profile: Profile, reason: str, home: Path
) -> None:
    text, at = drawn("print(║)\n")
    cursor = position_at(text, at, profile.encoding)
    script, config = home / "script.json", home / "config.toml"
    script.write_text(json.dumps([{"prefix": "print(", "suffix": ")", "text": "x) if x else y"}]))
    config.write_text(f'engine = "s"\n[engines.s]\nkind = "scripted"\nfile = "{script}"\n')
    with start(home, "--config", str(config)) as client:
        client.initialize(initialize_params(profile))
        client.open("untitled:rest", text)
        items = ask_menu(client, "untitled:rest", cursor)["items"]
        assert last_decision(client, "untitled:rest")["reason"] == reason
        documents = [accepted(item, text, cursor, profile) for item in items]
        assert documents == (["print(x) if x else y\n"] if reason == "block" else [])


# In time.


def test_other_servers_do_not_wait_for_a_long_prompt(home: Path) -> None:
    text, at = drawn(f"{SOURCE * 4}\n\ndef g(width):\n    return width.║\n")
    cursor = position_at(text, at, "utf-16")
    config = home / "config.toml"
    config.write_text("[context]\nprefix_chars = 60000\n")
    with start(home, "--config", str(config)) as client:
        client.initialize(initialize_params(SUBLIME))
        client.open("untitled:first", "x = 1\n")
        client.wait_ready()
        client.open("untitled:long", text)
        asked_s = time.monotonic()
        assert ask_menu(client, "untitled:long", cursor)["items"] == []
        assert time.monotonic() - asked_s < IN_TIME_S
        assert last_decision(client, "untitled:long")["reason"] == "not-yet"
        ask_menu_until_it_has_come(client, "untitled:long", cursor)
        decisions = client.inspect(uri="untitled:long")["decisions"]
        assert {d["shape"] for d in decisions} == {"menu"}
        assert {d["outcome"] for d in decisions[:-1]} == {"empty"}


def test_ghost_text_and_menu_at_one_place_ask_the_model_once(home: Path) -> None:
    text, cursor = constructor("Both")
    with start(home) as client:
        options = {"completion": {"menu": "always"}}
        client.initialize(initialize_params(VSCODE, options=options))
        client.open("untitled:both", text)
        client.wait_ready()
        before = client.inspect()["engine"]["n_evaluated_total"]
        menu, first = client.prepare(COMPLETION, menu_params("untitled:both", cursor))
        ghost, second = client.prepare(INLINE_COMPLETION, inline_params("untitled:both", cursor))
        client.send(first, second)
        (item,), entries = ghost.result()["items"], menu.result()["items"]
        (entry,) = entries or [ask_menu_until_it_has_come(client, "untitled:both", cursor)]
        assert entry is not None
        assert entry["textEdit"]["newText"].endswith(item["insertText"])
        assert entry["command"] == item["command"]
        decisions = client.inspect(uri="untitled:both")["decisions"]
        assert {d["shape"] for d in decisions} == {"menu", "ghost-text"}
        # What is read is counted, for a stopped model may have written some tokens more by then.
        n_evaluated = client.inspect()["engine"]["n_evaluated_total"] - before
        assert n_evaluated == max(d["timings"]["n_evaluated_tokens"] for d in decisions) > 0


# The wire's rules.


def test_an_overtaken_request_gets_an_empty_list(served: Callable[[Profile], Client]) -> None:
    client = served(HELIX)
    text, cursor = constructor("Overtaken")
    client.open("untitled:over", SOURCE + text)
    place = cursor | {"line": cursor["line"] + SOURCE.count("\n")}
    older, first = client.prepare(
        COMPLETION, menu_params("untitled:over", {"line": 9, "character": 0})
    )
    newer, second = client.prepare(COMPLETION, menu_params("untitled:over", place))
    client.send(first, second)
    assert older.result() == {"isIncomplete": True, "items": []}
    check_list(newer.result())
    outcomes = [d["outcome"] for d in client.inspect(uri="untitled:over")["decisions"]]
    assert outcomes.count("superseded") == 1
    client.close("untitled:over")


def test_a_menu_does_not_overtake_ghost_text(served: Callable[[Profile], Client]) -> None:
    client = served(HELIX)
    text, cursor = constructor("Side")
    client.open("untitled:side", text)
    ghost, first = client.prepare(INLINE_COMPLETION, inline_params("untitled:side", cursor))
    menu, second = client.prepare(COMPLETION, menu_params("untitled:side", cursor))
    client.send(first, second)
    assert ghost.result()["items"]
    check_list(menu.result())
    client.close("untitled:side")


def test_a_cancelled_request_is_answered_so(served: Callable[[Profile], Client]) -> None:
    client = served(HELIX)
    client.open("untitled:gone", SOURCE)
    for number in range(8):
        cursor = {"line": 20 + number, "character": 0}
        request, asked = client.prepare(COMPLETION, menu_params("untitled:gone", cursor))
        cancel = {
            "jsonrpc": "2.0",
            "method": "$/cancelRequest",
            "params": {"id": request.id},
        }
        client.send(asked, cancel)
        assert request.reply().code in (CANCELLED, None)
        assert len(client.replies[request.id]) == 1
    client.close("untitled:gone")


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"textDocument": {"uri": "untitled:x"}},
        {"textDocument": {"uri": 5}, "position": {"line": 0, "character": 0}},
        {"textDocument": {"uri": "untitled:x"}, "position": {"line": "0", "character": 0}},
        [],
        None,
    ],
)
def test_malformed_parameters_are_refused(
    params: object, served: Callable[[Profile], Client]
) -> None:
    client = served(HELIX)
    assert client.request(COMPLETION, params).reply().code == INVALID_PARAMS


def test_without_context_or_document_there_is_an_empty_list(
    served: Callable[[Profile], Client],
) -> None:
    client = served(HELIX)
    params = {"textDocument": {"uri": "untitled:nobody"}, "position": {"line": 7, "character": 7}}
    assert client.call(COMPLETION, params) == {"isIncomplete": True, "items": []}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_any_position_is_answered_in_every_encoding(
    encoding: str, served: Callable[[Profile], Client]
) -> None:
    profile = speaking(encoding)
    client = served(profile)
    text = 'names = ["ß漢😀", "b"]\nfor größe in na\n'
    client.open("untitled:any", text)
    for line in (0, 1, 2, 99):
        for character in (0, 3, 11, 12, 14, 15, 16, 999):
            ask_menu(client, "untitled:any", {"line": line, "character": character})
    cursor = position_at(text, text.index("\n", 30), encoding)
    item = ask_menu_until_it_has_come(client, "untitled:any", cursor)
    assert item is not None
    check_entry(item, text, cursor, profile)
    assert item["filterText"].startswith("na")
    client.close("untitled:any")
