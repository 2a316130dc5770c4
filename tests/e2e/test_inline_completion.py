"""Ghost text from the real model over the real wire, as each editor asks for it and draws it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import MINIMAL, PROFILES, VSCODE, Profile, initialize_params
from tests.e2e.questions import (
    SOURCE,
    START,
    ask_once,
    check_drawable,
    constructor,
    last_decision,
    line_rests,
)
from tests.e2e.reference import drawn, line_spans, position_at
from tests.e2e.wire import (
    AUTOMATIC,
    INLINE_COMPLETION,
    INVOKED,
    PATIENCE_S,
    Client,
    inline_params,
    start,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.wire import Json

INVALID_PARAMS = -32602
UNEVEN = '"ß漢😀", '  # of another length in each encoding


# Answers.


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_every_client_gets_items_that_it_can_draw(
    profile: Profile, served: Callable[[Profile], Client]
) -> None:
    client, encoding = served(profile), profile.encoding
    n_answered = 0
    for number, (text, at) in enumerate(line_rests(4, "clients")):
        text, at = text[:at] + UNEVEN + text[at:], at + len(UNEVEN)
        cursor = position_at(text, at, encoding)
        items = ask_once(client, f"untitled:{number}", text, cursor)
        n_answered += bool(items)
        for item in items:
            check_drawable(item, text, cursor, encoding, client)
    text, cursor = constructor("Shape")
    (item, *_) = ask_once(client, "untitled:shape", text, cursor)
    check_drawable(item, text, cursor, encoding, client)
    assert n_answered >= 2
    assert client.foreign == []


def test_half_of_the_line_rests_asked_for_are_answered(ready: Client) -> None:
    n_asked, n_answered = 24, 0
    for number, (text, at) in enumerate(line_rests(n_asked, "rests")):
        cursor = position_at(text, at, "utf-16")
        items = ask_once(ready, f"untitled:rest{number}", text, cursor)
        n_answered += bool(items)
        for item in items:
            check_drawable(item, text, cursor, "utf-16", ready)
    assert n_answered >= n_asked / 2


def test_positions_inside_a_line_keep_what_stands_right_of_them(ready: Client) -> None:
    rng = random.Random("inside")
    spans = [(begin, end) for begin, end in line_spans(SOURCE) if end - begin > 12]
    ready.open("untitled:inside", SOURCE)
    for begin, end in rng.sample(spans, 14):
        cursor = position_at(SOURCE, rng.randint(begin, end), "utf-16")
        for kind in (INVOKED, AUTOMATIC):
            for item in ready.complete("untitled:inside", cursor, kind=kind):
                check_drawable(item, SOURCE, cursor, "utf-16", ready)
    ready.close("untitled:inside")


CLOSERS = (
    "def area(width, height):\n    return max(width, hei║)\n",
    "def area(width, height):\n    return max(║)\n",
    "names = ['left', 'right']\nfor index in range(len(║)):\n    print(names[index])\n",
    "names = ['left', 'right']\nfor name in names:\n    print(names[║])\n",
    "def first(items, default=None):\n    if items:\n        return items[║]\n",
    "import os\n\nhome = os.path.join(os.path.dirname(║))\n",
    "def show(name):\n    print('name', ║)\n\nshow('x')\n",
    "class A:\n    def __init__(self║):\n        self.width = width\n",
)


def test_closers_right_of_the_cursor_are_kept_or_found_again(ready: Client) -> None:
    n_answered = 0
    for number, marked in enumerate(CLOSERS):
        text, at = drawn(marked)
        cursor = position_at(text, at, "utf-16")
        for item in ask_once(ready, f"untitled:closers{number}", text, cursor):
            check_drawable(item, text, cursor, "utf-16", ready)
            n_answered += 1
    assert n_answered >= len(CLOSERS) / 2


@pytest.mark.parametrize("opened", ["file://", "untitled:Untitled-1", "file:///no/such/dir/a.py"])
def test_documents_without_a_file_are_completed(opened: str, ready: Client) -> None:
    text, cursor = constructor("Box")
    assert ask_once(ready, opened, text, cursor)


@pytest.mark.parametrize(
    "asked",
    ["file:///c:/a%20b/%C3%A4.py", "file:///c%3a/a%20b/ä.py", "file:///c%3A/a b/%c3%a4.py"],
)
def test_one_document_has_many_spellings(asked: str, ready: Client) -> None:
    text, cursor = constructor("Crate")
    ready.open("file:///c%3A/a%20b/%C3%A4.py", text)
    assert ready.complete(asked, cursor)
    ready.close(asked)
    assert ready.inspect(uri="file:///c%3A/a%20b/%C3%A4.py")["documents"] == []


# Silence.


def test_an_unknown_document_gets_an_empty_list(ready: Client) -> None:
    assert ready.ask("untitled:never-opened", START).result() == {"items": []}
    ready.open("untitled:closed", "x = 1\n")
    ready.close("untitled:closed")
    assert ready.ask("untitled:closed", START).result() == {"items": []}


@pytest.mark.parametrize("language", ["rust", "markdown", "plaintext", "", "no-such-language"])
def test_a_language_that_the_model_does_not_know_gets_an_empty_list(
    language: str, ready: Client
) -> None:
    text, cursor = constructor("Tin")
    ready.open("untitled:foreign", text, language=language)
    assert ready.ask("untitled:foreign", cursor).result() == {"items": []}
    assert last_decision(ready, "untitled:foreign")["outcome"] == "empty"
    ready.close("untitled:foreign")


def test_while_the_model_loads_lists_are_empty(server: Client) -> None:
    server.initialize(initialize_params(VSCODE))
    text, cursor = constructor("Early")
    asked, question = server.prepare(INLINE_COMPLETION, inline_params("untitled:early", cursor))
    document = {"uri": "untitled:early", "languageId": "python", "version": 1, "text": text}
    opened = {"method": "textDocument/didOpen", "params": {"textDocument": document}}
    # Both at once, so that the model is not there before this process asks.
    server.send({"jsonrpc": "2.0", **opened}, question)
    assert asked.result() == {"items": []}
    assert last_decision(server, "untitled:early")["outcome"] == "empty"
    server.wait_ready()
    assert server.complete("untitled:early", cursor)


def test_loading_is_shown_where_the_client_can_show_it(server: Client) -> None:
    server.initialize(initialize_params(VSCODE))
    server.open("untitled:shown", "x = 1\n")
    server.wait_ready()

    def seen() -> list[tuple[str, str]]:
        progress = [n["params"] for n in server.notifications if n["method"] == "$/progress"]
        return [(str(p["token"]), p["value"]["kind"]) for p in progress]

    assert wait_until(lambda: bool(seen()) and seen()[-1][1] == "end", PATIENCE_S)
    (created,) = (
        str(request["params"]["token"])
        for request in server.server_requests
        if request["method"] == "window/workDoneProgress/create"
    )
    assert {token for token, _ in seen()} == {created}
    assert seen()[0][1] == "begin"
    assert [kind for _, kind in seen()].count("end") == 1


@pytest.mark.parametrize("profile", [MINIMAL, VSCODE], ids=["pushed", "pulled"])
def test_completion_can_be_switched_off_and_on(profile: Profile, home: Path) -> None:
    text, cursor = constructor("Switched")
    with start(home, settings=switched(False)) as client:

        def outcome(name: str) -> tuple[bool, str]:
            client.open(f"untitled:{name}", text.replace("Switched", name))
            items = client.complete(f"untitled:{name}", cursor)
            reason = last_decision(client, f"untitled:{name}")["reason"]
            client.close(f"untitled:{name}")
            return bool(items), reason

        def switch(on: bool) -> None:
            client.settings = switched(on)
            pulls = "workspace" in profile.capabilities
            settings = None if pulls else {"tabby-lsp": client.settings}
            client.notify("workspace/didChangeConfiguration", {"settings": settings})

        client.initialize(initialize_params(profile, options=switched(False)))
        off = outcome("First")
        assert not off[0]
        switch(True)
        assert wait_until(lambda: outcome("Second")[0], PATIENCE_S, every_s=0.1)
        switch(False)
        assert wait_until(lambda: outcome("Third") == off, PATIENCE_S)


def switched(on: bool) -> Json:
    """The settings that switch completion on or off."""
    return {"completion": {"enabled": on}}


# Whatever a well-formed request asks, and what is not well formed.

ODD_TEXTS = {
    "empty": "",
    "one newline": "\n",
    "CRLF": SOURCE.replace("\n", "\r\n"),
    "lone CR": "def f(x):\r    return x\r",
    "separators": "a = 1\fb = 2\u2028c = 3\x85d = 4\n" * 9,
    "astral": "😀 = '👩\u200d👩\u200d👧'\n" * 40,
    "sentinels": "<fim_prefix><fim_suffix><fim_middle><|endoftext|>\n<file_sep>a.py\n" * 20,
    "NUL": "x = 1\n\x00\x00y = \n",
    "lone surrogate": "x = '\ud800'\ny = \n",
    "spaces": " " * 5_000 + "\n" + "\t" * 300,
    "long line": "x = [" + "1, " * 60_000 + "\n",
    "large": "value = compute(1)\n" * 30_000,
    "deep": "".join("    " * depth + "if x:\n" for depth in range(120)),
    "brackets": "(" * 3_000 + "\n" + "[{" * 2_000,
}


@pytest.mark.parametrize("kind", list(ODD_TEXTS))
def test_no_lawful_request_gets_an_error(kind: str, ready: Client) -> None:
    rng = random.Random(kind)
    text, uri = ODD_TEXTS[kind], f"untitled:{kind}"
    ready.open(uri, text)
    last_line = len(line_spans(text)) - 1
    for line in {0, 1, last_line, last_line + 1, rng.randint(0, last_line), 2**31 - 1}:
        for character in {0, 1, 5, rng.randint(0, 80), 2**31 - 1}:
            params = inline_params(
                uri, {"line": line, "character": character}, kind=rng.choice([1, 2])
            )
            result = ready.call(INLINE_COMPLETION, params)
            assert isinstance(result["items"], list)
    ready.close(uri)


@pytest.mark.parametrize(
    "context",
    [
        {
            "triggerKind": AUTOMATIC,
            "selectedCompletionInfo": {
                "range": {
                    "start": {"line": 3, "character": 8},
                    "end": {"line": 3, "character": 19},
                },
                "text": "self.height_in_units",
            },
        },
        {
            # Neovim sends the visual selection here.
            "triggerKind": INVOKED,
            "selectedCompletionInfo": {
                "range": {
                    "start": {"line": 0, "character": 0},
                    "end": {"line": 3, "character": 19},
                },
                "text": "class Picked:\n    def __init__(self",
            },
        },
        {
            "triggerKind": INVOKED,
            "selectedCompletionInfo": {
                "range": {
                    "start": {"line": 9**8, "character": 9},
                    "end": {"line": 0, "character": 0},
                },
                "text": "",
            },
        },
        {"triggerKind": INVOKED, "selectedCompletionInfo": None, "of": {"tomorrow": [1]}},
    ],
    ids=["menu", "multi-line", "reversed", "null"],
)
def test_any_selected_completion_is_tolerated(context: Json, ready: Client) -> None:
    text, cursor = constructor("Picked")
    ready.open("untitled:picked", text)
    params = inline_params("untitled:picked", cursor) | {"context": context}
    for item in ready.call(INLINE_COMPLETION, params)["items"]:
        check_drawable(item, text, cursor, "utf-16", ready)
    ready.close("untitled:picked")


DOCUMENT = {"uri": "untitled:malformed"}
CONTEXT = {"triggerKind": INVOKED}


@pytest.mark.parametrize(
    "params",
    [
        {"textDocument": DOCUMENT, "context": CONTEXT},
        {"textDocument": DOCUMENT, "context": CONTEXT, "position": None},
        {"textDocument": DOCUMENT, "context": CONTEXT, "position": 5},
        {"textDocument": DOCUMENT, "context": CONTEXT, "position": [0, 0]},
        {"textDocument": DOCUMENT, "context": CONTEXT, "position": {"line": 0}},
        {"textDocument": DOCUMENT, "context": CONTEXT, "position": {"line": -1, "character": 0}},
        {"textDocument": DOCUMENT, "context": CONTEXT, "position": {"line": 0, "character": -1}},
        {"textDocument": DOCUMENT, "context": CONTEXT, "position": {"line": "0", "character": 0}},
        {"textDocument": DOCUMENT, "context": CONTEXT, "position": {"line": None, "character": 0}},
        {"textDocument": DOCUMENT, "context": CONTEXT, "position": {"line": 0, "character": 1.5}},
        {"textDocument": {}, "context": CONTEXT, "position": START},
        {"textDocument": "untitled:malformed", "context": CONTEXT, "position": START},
        {"textDocument": {"uri": 5}, "context": CONTEXT, "position": START},
        {"context": CONTEXT, "position": START},
        {"textDocument": DOCUMENT, "context": 5, "position": START},
    ],
    ids=lambda params: str(params)[-60:],
)
def test_malformed_requests_get_invalid_params(params: Json, ready: Client) -> None:
    ready.open("untitled:malformed", "x = 1\n")
    request = ready.request(INLINE_COMPLETION, params)
    assert request.reply().code == INVALID_PARAMS
    assert ready.complete("untitled:malformed", START) is not None
    assert len(ready.replies[request.id]) == 1
    ready.close("untitled:malformed")


def test_nobody_was_answered_twice_or_shown_an_error(ready: Client) -> None:
    ready.inspect()
    assert ready.foreign == []
    assert all(len(replies) == 1 for replies in ready.replies.values())
    assert b"Traceback" not in ready.logged
