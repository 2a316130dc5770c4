"""What comes after a suggestion is there before it is asked for: the real model over the wire."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import VSCODE, initialize_params
from tests.e2e.questions import last_decision, line_rests
from tests.e2e.reference import position_at
from tests.e2e.wire import AUTOMATIC, start, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.wire import Client

WITHOUT_MODEL = ("cached", "cached-nothing")


@pytest.fixture(scope="module")
def bold(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server that shows all that its small model says, however unlikely."""
    with start(tmp_path_factory.mktemp("home")) as client:
        client.initialize(initialize_params(VSCODE, options={"completion": {"confidence": 0}}))
        client.open("untitled:first", "import os\n")
        client.wait_ready()
        client.close("untitled:first")
        yield client


class Editor:
    """One document and a cursor in it, as an editor that asks at every key."""

    def __init__(self, client: Client, uri: str, text: str, at: int) -> None:
        self.client, self.uri = client, uri
        self._text, self._at = text, at
        self._version = 1
        client.open(uri, text)

    def ask(self) -> str | None:
        """The ghost text at the cursor."""
        cursor = position_at(self._text, self._at, "utf-16")
        items = self.client.complete(self.uri, cursor, kind=AUTOMATIC)
        assert len(items) <= 1
        return str(items[0]["insertText"]) if items else None

    def type(self, text: str) -> None:
        """Put text in at the cursor."""
        self._version += 1
        self._text = self._text[: self._at] + text + self._text[self._at :]
        self._at += len(text)
        self.client.change(self.uri, self._version, {"text": self._text})

    def why(self) -> str:
        """The reason of the last answer, which has cost nothing if it needed no model."""
        decision = last_decision(self.client, self.uri)
        if decision["reason"] in WITHOUT_MODEL:
            assert decision["timings"]["n_evaluated_tokens"] == 0
        return str(decision["reason"])

    @property
    def line_before(self) -> str:
        """What stands left of the cursor."""
        return self._text[: self._at].rpartition("\n")[2]


def indentation_below(line: str) -> str:
    """How VSCode and Vim indent the next line of Python."""
    indentation = line[: len(line) - len(line.lstrip())]
    if line.endswith((":", "(", "[", "{")):
        return indentation + "    "
    is_end = line.split()[0] in ("return", "raise", "break", "continue", "pass")
    return indentation.removesuffix("    ") if is_end else indentation


def wait_idle(client: Client) -> list[int]:
    """Wait until the engine does nothing, and say what it has done."""

    def totals() -> list[int]:
        engine = client.inspect()["engine"]
        return [engine["n_evaluated_total"], engine["n_generated_total"]]

    seen = [totals()]

    def is_still() -> bool:
        time.sleep(0.3)  # longer than the pause before anything is prepared
        seen.append(totals())
        return len(seen) > 2 and seen[-1] == seen[-2] == seen[-3]

    assert wait_until(is_still, 20.0)
    return seen[-1]


def test_after_accepting_the_next_line_is_there(bold: Client) -> None:
    n_lines = n_prepared = 0
    for number, (text, at) in enumerate(line_rests(8, "ahead")):
        editor = Editor(bold, f"untitled:accepted{number}", text, at)
        shown = editor.ask()
        wait_idle(bold)
        if shown is not None and "\n" not in shown:
            editor.type(shown)
            assert editor.ask() is None
            assert editor.why() == "cached-nothing"
            editor.type("\n" + indentation_below(editor.line_before))
            n_lines += editor.ask() is not None
            n_prepared += editor.why() == "cached"
        bold.close(editor.uri)
    assert n_lines >= 3
    # The machine may be busy with something else for as long as nothing seems to happen.
    assert n_prepared >= n_lines - 1


def test_typing_along_needs_no_model(bold: Client) -> None:
    n_keys = n_without = 0
    for number, (text, at) in enumerate(line_rests(12, "along")):
        editor = Editor(bold, f"untitled:keys{number}", text, at)
        shown = editor.ask() or ""
        for n_typed, key in enumerate(shown.partition("\n")[0], start=1):
            editor.type(key)
            rest = editor.ask()
            n_keys += 1
            n_without += editor.why() in WITHOUT_MODEL
            assert rest == (shown[n_typed:] or None) or n_typed == len(shown)
        bold.close(editor.uri)
    assert n_keys > 50
    assert n_without >= 0.95 * n_keys


def test_whoever_looks_at_a_suggestion_costs_no_more_than_one_answer_ahead(bold: Client) -> None:
    (text, at), *_ = line_rests(1, "ahead")
    editor = Editor(bold, "untitled:looking", text, at)
    before = wait_idle(bold)
    assert editor.ask()
    own = last_decision(bold, editor.uri)["timings"]
    after = wait_idle(bold)
    n_evaluated, n_generated = (b - a for a, b in zip(before, after, strict=True))
    assert n_generated - own["n_generated_tokens"] <= 96
    assert n_evaluated - own["n_evaluated_tokens"] <= own["n_prompt_tokens"]
    assert wait_idle(bold) == after
    bold.close(editor.uri)
