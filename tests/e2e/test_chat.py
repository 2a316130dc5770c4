"""The chat over the wire: with the starter's weights behind a template, and with a script."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.clients import (
    HELIX,
    LSP_MODE,
    NEOVIM_0_12,
    VSCODE,
    initialize_params,
    speaking,
)
from tests.e2e.reference import position_at
from tests.e2e.wire import PATIENCE_S, RefusedError, start, wait_until
from tests.models.chat_model import write_chat_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.clients import Profile
    from tests.e2e.wire import Client, Json, Request

REQUEST_CANCELLED, REQUEST_FAILED, INVALID_PARAMS = -32800, -32803, -32602

CODE = "def total(prices):\n    result = 0\n    for price in prices:\n        result += price\n"
# What the starter goes on with for long.
LONG = "def test_one():\n    assert 1 == 1\n\n\n" * 4


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chat_model(tmp_path_factory.mktemp("model") / "chat.gguf")


def configured(home: Path, config: str) -> None:
    folder = home / ".config" / "tabby-lsp"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(config)


@pytest.fixture(scope="module")
def real(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server whose chat model is real and talks nonsense."""
    home = tmp_path_factory.mktemp("home")
    configured(home, f"[chat]\nmodel = {json.dumps(str(model))}\nmax_tokens = 200\n")
    with start(home) as client:
        client.initialize(initialize_params(VSCODE))
        yield client


class Scripted:
    """A server whose chat model says what it is told to say."""

    def __init__(self, home: Path, replies: dict[str, str], profile: Profile) -> None:
        script = [{"message": message, "text": text} for message, text in replies.items()]
        (home / "script.json").write_text(json.dumps(script))
        configured(
            home,
            '[engines.script]\nkind = "scripted"\n'
            f"file = {json.dumps(str(home / 'script.json'))}\n"
            '[chat]\nengine = "script"\n',
        )
        self.client = start(home)
        self.profile = profile

    def __enter__(self) -> Client:
        self.client.__enter__()
        self.client.initialize(initialize_params(self.profile))
        return self.client

    def __exit__(self, *_: object) -> None:
        self.client.__exit__()


def chat(client: Client, *texts: str, **argument: Any) -> Request:
    messages = [
        {"role": "assistant" if n % 2 else "user", "content": text} for n, text in enumerate(texts)
    ]
    asked = {"messages": messages, **argument}
    return client.request(
        "workspace/executeCommand", {"command": "tabby.chat", "arguments": [asked]}
    )


def deltas(client: Client, chat_id: str) -> str:
    said = [note["params"] for note in client.notifications if note["method"] == "tabby/chat/delta"]
    return "".join(delta["delta"] for delta in said if delta["id"] == chat_id)


def check_edit(
    home: Path, profile: Profile, document: str, answer: str, changed: str, command: str
) -> None:
    """`«` and `»` stand round the selection; the rest of the document must stay as it is."""
    before, rest = document.split("«")
    selected, after = rest.split("»")
    text = before + selected + after
    edits: list[Json] = []

    def apply(params: Json) -> Json:
        edits.append(params["edit"])
        return {"applied": True}

    with Scripted(home, {"selected code": answer}, profile) as client:
        client.takes["workspace/applyEdit"] = apply
        uri = "untitled:edited"
        client.open(uri, text)
        place = {
            "start": position_at(text, len(before), profile.encoding),
            "end": position_at(text, len(before) + len(selected), profile.encoding),
        }
        result = client.execute(command, {"uri": uri, "range": place, "instruction": "do it"})
        edit = edits[0] if edits else result["edit"]
        assert result["applied"] is bool(edits)
        assert result["edit"] == edit
        (change,) = (
            edit["changes"][uri] if "changes" in edit else edit["documentChanges"][0]["edits"]
        )
    assert change["range"] == place
    assert before + change["newText"] + after == changed


# Talking.


def test_an_answer_comes_in_pieces_and_as_a_whole(real: Client) -> None:
    result = chat(real, LONG, id="whole").result()
    assert result["id"] == "whole"
    assert result["model"].endswith("chat.gguf")
    assert result["message"]["role"] == "assistant"
    assert result["message"]["content"].strip()
    assert deltas(real, "whole").rstrip() == result["message"]["content"]


def test_without_an_id_one_is_made(real: Client) -> None:
    result = chat(real, LONG).result()
    assert deltas(real, result["id"]).rstrip() == result["message"]["content"]


def test_two_chats_at_once_are_told_apart_and_one_is_cancelled(home: Path) -> None:
    # Long answers, so that the first has not ended when it is cancelled.
    model = write_chat_model(home / "endless.gguf", has_end=False)
    configured(home, f"[chat]\nmodel = {json.dumps(str(model))}\nmax_tokens = 2000\n")
    with start(home) as client:
        client.initialize(initialize_params(VSCODE))
        first = chat(client, LONG, id="first")
        second = chat(client, LONG + "# two\n", id="second")
        assert wait_until(lambda: bool(deltas(client, "first")), PATIENCE_S)
        client.cancel(first)
        assert first.reply().code == REQUEST_CANCELLED
        n_said = len(deltas(client, "first"))
        result = second.result()
        assert deltas(client, "second").rstrip() == result["message"]["content"].rstrip()
        assert len(deltas(client, "first")) == n_said


def test_ghost_text_comes_while_a_chat_goes_on(real: Client) -> None:
    uri = "untitled:both"
    real.open(uri, "class A:\n    def __init__(self, width):\n        self.width\n")
    real.wait_ready()
    talking = chat(real, LONG * 8, id="background")
    items = real.complete(uri, {"line": 2, "character": 18})
    assert items[0]["insertText"] == " = width"
    assert talking.result()["message"]["content"]


def test_the_state_of_the_chat_model_is_told(real: Client) -> None:
    chat(real, LONG).result()
    status = real.execute("tabby.status")["chat"]
    assert (status["state"], status["is_remote"]) == ("ready", False)


def test_selected_code_its_outline_and_other_files_are_shown_to_the_model(home: Path) -> None:
    root = home / "shop"
    root.mkdir()
    (root / "cart.py").write_text(CODE)
    (root / "prices.py").write_text("def prices_of(result):\n    return result.total(price)\n")
    replies = {"```python\ndef prices_of": "with snippets", "total": "without"}
    with Scripted(home, replies, VSCODE) as client:
        uri = (root / "cart.py").as_uri()
        client.open(uri, CODE)
        place = {"start": {"line": 1, "character": 0}, "end": {"line": 4, "character": 0}}
        context = {"uri": uri, "range": place}

        def said() -> object:
            return chat(client, "what is this?", context=context).result()["message"]["content"]

        # What is read too late for one question is there for the next.
        assert wait_until(lambda: said() == "with snippets", PATIENCE_S)


def test_a_secret_in_the_selected_code_is_not_shown(home: Path) -> None:
    code = 'password = "hunter2hunter2"\nprint(password)\n'
    with Scripted(home, {"hunter2": "leaked", "print(password)": "safe"}, VSCODE) as client:
        client.open("untitled:secret", code)
        context = {"uri": "untitled:secret"}
        result = chat(client, "what is this?", context=context).result()
        assert result["message"]["content"] == "safe"


@pytest.mark.parametrize(
    "argument",
    [
        None,
        "hello",
        {},
        {"messages": []},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "robot", "content": "a"}]},
        {"messages": [{"role": "assistant", "content": "a"}]},
        {"messages": [{"role": "user", "content": "a"}], "id": 5},
        {"messages": [{"role": "user", "content": "a"}], "context": {"uri": "untitled:absent"}},
        {"messages": [{"role": "user", "content": "a"}], "context": {}},
    ],
)
def test_a_wrong_argument_is_refused_with_the_right_one(real: Client, argument: object) -> None:
    with pytest.raises(RefusedError) as caught:
        real.execute("tabby.chat", argument)
    assert caught.value.code == INVALID_PARAMS


def test_without_a_chat_model_the_error_says_how_to_get_one(ready: Client) -> None:
    reply = chat(ready, "hello").reply()
    assert reply.code == REQUEST_FAILED
    message = reply.message["error"]["message"]
    assert "tabby-lsp models pull" in message
    assert "tabby-lsp models use" in message


def test_a_model_without_a_chat_template_says_so(home: Path) -> None:
    configured(home, '[chat]\nmodel = "starter"\n')
    with start(home) as client:
        client.initialize(initialize_params(VSCODE))
        assert "no chat template" in chat(client, "hello").reply().message["error"]["message"]


def test_another_chat_model_ends_the_chat_that_runs(model: Path, home: Path) -> None:
    configured(home, f"[chat]\nmodel = {json.dumps(str(model))}\nmax_tokens = 2000\n")
    with start(home) as client:
        client.initialize(initialize_params(VSCODE))
        talking = chat(client, LONG, id="old")
        assert wait_until(lambda: bool(deltas(client, "old")), PATIENCE_S)
        settings = {"tabby-lsp": {"chat": {"model": "starter"}}}
        client.notify("workspace/didChangeConfiguration", {"settings": settings})
        assert talking.reply().message


# Changing code.

ANSWER = "```python\ndef total(prices):\n    return sum(prices)\n```"


def test_only_the_selection_is_changed(home: Path) -> None:
    check_edit(
        home,
        VSCODE,
        f"import os\n\n«{CODE}»\nprint(1)\n",
        ANSWER,
        "import os\n\ndef total(prices):\n    return sum(prices)\n\nprint(1)\n",
        "tabby.edit",
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_tabs_windows_line_ends_and_emoji(home: Path, encoding: str) -> None:
    check_edit(
        home,
        speaking(encoding),
        "class A:  # 🙂\r\n\tx = '🧑‍💻'; «y = '🙃'»; z = 1\r\n",
        "```\ny = '👍🏽'\n```",
        "class A:  # 🙂\r\n\tx = '🧑‍💻'; y = '👍🏽'; z = 1\r\n",
        "tabby.fix",
    )


def test_a_method_in_tabs_and_windows_line_ends(home: Path) -> None:
    check_edit(
        home,
        LSP_MODE,
        "class A:\r\n«\tdef f(self):\r\n\t\treturn 1  # 🙂\r\n»\tx = 1\r\n",
        "```python\ndef f(self):\n    if self:\n        return 2\n```",
        "class A:\r\n\tdef f(self):\r\n\t\tif self:\r\n\t\t\treturn 2\r\n\tx = 1\r\n",
        "tabby.document",
    )


def test_tests_stand_below_the_code(home: Path) -> None:
    check_edit(
        home,
        NEOVIM_0_12,
        f"«{CODE}»x = 1\n",
        "```python\ndef test_total():\n    assert total([1]) == 1\n```",
        f"{CODE}\n\ndef test_total():\n    assert total([1]) == 1\nx = 1\n",
        "tabby.tests",
    )


def test_an_empty_range_means_the_definition_round_it(home: Path) -> None:
    with Scripted(home, {"selected code": ANSWER}, NEOVIM_0_12) as client:
        client.open("untitled:a", f"import os\n{CODE}x = 1\n")
        cursor = {"line": 3, "character": 5}
        result = client.execute(
            "tabby.document", {"uri": "untitled:a", "range": {"start": cursor, "end": cursor}}
        )
        (change,) = result["edit"]["changes"]["untitled:a"]
    assert change["range"] == {
        "start": {"line": 1, "character": 0},
        "end": {"line": 5, "character": 0},
    }
    assert change["newText"] == "def total(prices):\n    return sum(prices)\n"


def test_code_that_was_changed_meanwhile_is_left_alone(real: Client) -> None:
    uri = "untitled:moving"
    real.open(uri, LONG)
    whole = {"start": {"line": 0, "character": 0}, "end": {"line": 16, "character": 0}}
    argument = {"uri": uri, "range": whole, "id": "moving"}
    params = {"command": "tabby.document", "arguments": [argument]}
    request = real.request("workspace/executeCommand", params)
    start_ = {"line": 0, "character": 0}
    real.change(uri, 2, {"range": {"start": start_, "end": start_}, "text": "x"})
    reply = request.reply()
    assert reply.code == REQUEST_FAILED
    asked = [each["method"] for each in real.server_requests]
    assert "workspace/applyEdit" not in asked


def test_an_editor_that_refuses_the_change_is_quoted(home: Path) -> None:
    with Scripted(home, {"selected code": ANSWER}, VSCODE) as client:
        refusal = {"applied": False, "failureReason": "read-only"}
        client.takes["workspace/applyEdit"] = lambda _: refusal
        client.open("untitled:a", CODE)
        place = {"start": {"line": 0, "character": 0}, "end": {"line": 4, "character": 0}}
        with pytest.raises(RefusedError, match="read-only"):
            client.execute("tabby.fix", {"uri": "untitled:a", "range": place})


def test_code_with_a_secret_is_not_rewritten(home: Path) -> None:
    with Scripted(home, {"selected code": ANSWER}, VSCODE) as client:
        client.open("untitled:a", 'password = "hunter2hunter2"\n')
        place = {"start": {"line": 0, "character": 0}, "end": {"line": 1, "character": 0}}
        with pytest.raises(RefusedError, match="secret"):
            client.execute("tabby.fix", {"uri": "untitled:a", "range": place})


def test_progress_is_shown_and_ends(home: Path) -> None:
    with Scripted(home, {"selected code": ANSWER}, VSCODE) as client:
        client.takes["workspace/applyEdit"] = lambda _: {"applied": True}
        client.open("untitled:a", CODE)
        place = {"start": {"line": 0, "character": 0}, "end": {"line": 4, "character": 0}}
        params = {
            "command": "tabby.fix",
            "arguments": [{"uri": "untitled:a", "range": place}],
            "workDoneToken": "mine",
        }
        client.call("workspace/executeCommand", params)
        values = [
            note["params"]["value"]["kind"]
            for note in client.notifications
            if note["method"] == "$/progress" and note["params"]["token"] == "mine"
        ]
    assert values[0] == "begin"
    assert "report" in values
    assert values[-1] == "end"


# What editors offer.


def actions(client: Client, uri: str, selected: Json, **context: Any) -> list[Json]:
    params = {
        "textDocument": {"uri": uri},
        "range": selected,
        "context": {"diagnostics": [], **context},
    }
    found: list[Json] = client.call("textDocument/codeAction", params)
    return found


SELECTED = {"start": {"line": 0, "character": 0}, "end": {"line": 4, "character": 0}}
NOWHERE = {"start": {"line": 1, "character": 4}, "end": {"line": 1, "character": 4}}


def literal(profile: Profile) -> Profile:
    """The profile, with the ability to show code actions."""
    documents = profile.capabilities["textDocument"] | {
        "codeAction": {"codeActionLiteralSupport": {"codeActionKind": {"valueSet": ["refactor"]}}}
    }
    capabilities = profile.capabilities | {"textDocument": documents}
    return type(profile)(
        name=profile.name,
        client_info=profile.client_info,
        capabilities=capabilities,
        encoding=profile.encoding,
    )


def test_selected_code_can_be_worked_on(home: Path) -> None:
    with Scripted(home, {"": ANSWER}, literal(VSCODE)) as client:
        client.open("untitled:a", CODE)
        found = actions(client, "untitled:a", SELECTED)
        commands = [action["command"]["command"] for action in found]
        assert commands == ["tabby.fix", "tabby.explain", "tabby.document", "tabby.tests"]
        assert found[0]["command"]["arguments"] == [{"uri": "untitled:a", "range": SELECTED}]


def test_a_comment_at_the_beginning_of_the_selection_is_an_instruction(home: Path) -> None:
    with Scripted(home, {"use sum": ANSWER}, literal(VSCODE)) as client:
        client.open("untitled:a", f"# use sum\n{CODE}")
        (edit,) = [
            action["command"]
            for action in actions(client, "untitled:a", SELECTED)
            if action["command"]["command"] == "tabby.edit"
        ]
        client.takes["workspace/applyEdit"] = lambda _: {"applied": True}
        assert client.execute(edit["command"], *edit["arguments"])["applied"]


def test_what_other_tools_complain_of_is_fixed(home: Path) -> None:
    with Scripted(home, {"line 2: no such name": ANSWER}, literal(VSCODE)) as client:
        client.takes["workspace/applyEdit"] = lambda _: {"applied": True}
        client.open("untitled:a", CODE)
        diagnostic = {"range": {**NOWHERE}, "message": "no such name"}
        (fix,) = actions(client, "untitled:a", NOWHERE, diagnostics=[diagnostic], only=["quickfix"])
        assert client.execute("tabby.fix", *fix["command"]["arguments"])["applied"]


def test_editors_that_know_commands_only_get_commands(home: Path) -> None:
    with Scripted(home, {"": ANSWER}, LSP_MODE) as client:
        client.open("untitled:a", CODE)
        found = actions(client, "untitled:a", SELECTED)
        assert {type(action["command"]) for action in found} == {str}


def test_a_bulb_is_not_lit_at_every_line(home: Path) -> None:
    with Scripted(home, {"": ANSWER}, literal(VSCODE)) as client:
        client.open("untitled:a", CODE)
        assert actions(client, "untitled:a", NOWHERE, triggerKind=2) == []


def test_without_a_chat_model_nothing_is_offered(ready: Client) -> None:
    ready.open("untitled:none", CODE)
    assert actions(ready, "untitled:none", SELECTED) == []


def test_an_explanation_is_opened_as_a_page(home: Path) -> None:
    with Scripted(home, {"Explain the selected code": "It *adds*."}, HELIX) as client:
        shown: list[str] = []

        def show(params: Json) -> Json:
            shown.append(params["uri"])
            return {"success": True}

        client.takes["window/showDocument"] = show
        client.open("untitled:a", CODE)
        client.execute("tabby.explain", {"uri": "untitled:a", "range": SELECTED})
    (page,) = (home / ".local/state").rglob("explanations/*.md")
    assert shown == [page.as_uri()]
    assert "It *adds*." in page.read_text()


def test_an_editor_that_opens_no_pages_shows_a_message(home: Path) -> None:
    with Scripted(home, {"Explain the selected code": "It *adds*."}, LSP_MODE) as client:
        client.open("untitled:a", CODE)
        client.execute("tabby.explain", {"uri": "untitled:a", "range": SELECTED})
        notes = [n["params"] for n in client.notifications if n["method"] == "window/showMessage"]
    assert notes == [{"type": 3, "message": "It *adds*."}]


def test_who_gives_an_id_is_told_and_nothing_is_shown(home: Path) -> None:
    with Scripted(home, {"Explain the selected code": "It *adds*."}, VSCODE) as client:
        client.open("untitled:a", CODE)
        result = client.execute(
            "tabby.explain", {"uri": "untitled:a", "range": SELECTED, "id": "x"}
        )
        assert result["message"]["content"] == deltas(client, "x") == "It *adds*."
        methods = {each["method"] for each in client.server_requests}
        assert "window/showDocument" not in methods


@pytest.mark.parametrize("begin", [(0, 12), (3, 0)])
def test_a_secret_whose_name_is_not_selected_is_not_shown(
    home: Path, begin: tuple[int, int]
) -> None:
    key = "\n".join(f"MIIEpAIBAAKCAQEAabcdefgh{n}" for n in range(4))
    code = (
        'password = "hunter2hunter2"\nprint(password)\n-----BEGIN RSA PRIVATE KEY-----\n'
        f"{key}\n-----END RSA PRIVATE KEY-----\nend = 1\n"
    )
    replies = {"hunter2": "leaked", "MIIE": "leaked", "end = 1": "safe"}
    with Scripted(home, replies, VSCODE) as client:
        client.open("untitled:secret", code)
        line, character = begin
        place = {
            "start": {"line": line, "character": character}, "end": {"line": 9, "character": 0},
        }  # fmt: skip
        context = {"uri": "untitled:secret", "range": place}
        result = chat(client, "what is this?", context=context).result()
        assert result["message"]["content"] == "safe"
        with pytest.raises(RefusedError, match="secret"):
            client.execute("tabby.fix", context)


def test_an_empty_range_at_the_end_of_a_document_is_no_code(home: Path) -> None:
    with Scripted(home, {"selected code": "x"}, VSCODE) as client:
        client.open("untitled:end", CODE)
        end = {"line": 4, "character": 0}
        with pytest.raises(RefusedError, match="no code"):
            client.execute(
                "tabby.fix", {"uri": "untitled:end", "range": {"start": end, "end": end}}
            )


def test_tests_for_part_of_a_line_stand_below_that_line(home: Path) -> None:
    before, selected = "a = ", "one"
    text = f"{before}{selected}() + 2\nb = 3\n"
    with Scripted(home, {"selected code": "```\ntest()\n```"}, NEOVIM_0_12) as client:
        client.open("untitled:part", text)
        place = {
            "start": position_at(text, len(before), "utf-8"),
            "end": position_at(text, len(before) + len(selected), "utf-8"),
        }
        edit = client.execute("tabby.tests", {"uri": "untitled:part", "range": place})["edit"]
        (change,) = edit["changes"]["untitled:part"]
        assert change["newText"] == "a = one() + 2\n\n\ntest()\n"
        assert change["range"]["end"] == {"line": 1, "character": 0}


def test_a_secret_in_what_another_tool_says_is_no_instruction(home: Path) -> None:
    with Scripted(home, {}, VSCODE) as client:
        client.open("untitled:said", CODE)
        line = {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 4}}
        said = {"range": line, "message": "Possible hardcoded password: 'hunter2hunter2'"}
        found = actions(client, "untitled:said", line, diagnostics=[said])
        assert "hunter2" not in json.dumps(found)
