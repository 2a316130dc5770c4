"""docs/lsp-extensions.md and the server say the same."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

from tabby_lsp.app import App
from tabby_lsp.config import Settings
from tabby_lsp.documents import Document
from tabby_lsp.domain import Decision, EngineStatus, Outcome, Reason, Segments, Snippet, Timings
from tabby_lsp.engines.llama.precedence import Precedence
from tabby_lsp.engines.scripted import ScriptedEngine
from tabby_lsp.servers.lsp import inspection
from tabby_lsp.servers.lsp.server import create_server

PAGE = (Path(__file__).parent.parent / "docs" / "lsp-extensions.md").read_text("utf-8")
SEGMENTS = Segments(prefix="a", suffix="b", snippets=(Snippet("c.py", "c\n"),))
DECISION = Decision(
    uri="file:///a.py", version=1, line=0, character=1, outcome="shown", reason="line",
    model="starter", timings=Timings(n_prompt_tokens=3), segments=SEGMENTS,
)  # fmt: skip


def app() -> App:
    app = App(Settings(), ScriptedEngine(()), ScriptedEngine(()), Precedence())
    app.decisions.append(DECISION)
    return app


def keys_of(value: object) -> set[str]:
    """Every key at every depth."""
    if isinstance(value, dict):
        return set(value) | {key for item in value.values() for key in keys_of(item)}
    if isinstance(value, list | tuple):
        return {key for item in value for key in keys_of(item)}
    return set()


def test_the_page_has_a_heading_for_every_command() -> None:
    commands = set(create_server(lambda _: app(), ()).protocol.fm.commands)

    headings = re.findall(r"^## .*`tabby\..*$", PAGE, re.MULTILINE)
    assert set(re.findall(r"`(tabby\.\w+)`", "\n".join(headings))) == commands


def test_the_page_explains_every_reason() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (\w+) \|", PAGE, re.MULTILINE)

    assert [reason for reason, _ in rows] == list(get_args(Reason))
    assert {outcome for _, outcome in rows} == set(get_args(Outcome))


def test_the_page_names_every_key_of_the_answers() -> None:
    document = Document("file:///a.py", "python", 1, "ab", "utf-16")
    answers = [
        inspection.status(app(), "1", "config.toml"),
        inspection.inspect(app(), {document.uri: document}, {"prompt": True}),
    ]
    said = set(re.findall(r"\w+", PAGE))

    assert keys_of(answers) - {"line", "character", "text"} <= said
    assert {field.name for field in fields(Timings)} <= keys_of(answers)
    assert {field.name for field in fields(EngineStatus)} <= keys_of(answers)
    json.dumps(answers)
