"""The menu in a real Emacs: eglot's own completion-at-point. Run by `make test-emacs`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.reference import drawn, position_at
from tests.e2e.wire import isolated_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.e2e.wire import Json

DRIVE = Path(__file__).with_name("drive.el")
TIMEOUT_S = 60.0

LOOP = "\n        for item in items:\n            x = '${\\\\}'\n        return x"


def completed(home: Path, marked: str, script: Mapping[str, str] | None = None) -> Json:
    """What eglot offers at `║` and what is in the buffer after the only entry was accepted.

    Without a script, the text before the cursor and what is said to it, the real model answers.
    """
    text, at = drawn(marked)
    place = position_at(text, at, "utf-32")
    file, out, config = home / "demo.py", home / "out.json", home / "config.toml"
    file.write_text(text, "utf-8")
    config.write_text("" if script is None else scripted(home, script), "utf-8")
    server = [sys.executable, "-m", "tabby_lsp", "--config", str(config)]
    where = [str(file), str(place["line"]), str(place["character"]), str(out)]
    environment = isolated_environment(home) | {"LANG": "C.UTF-8"}
    ended = subprocess.run(
        ["emacs", "--batch", "-l", str(DRIVE), *where, *server],
        env=environment,
        cwd=home,
        capture_output=True,
        timeout=TIMEOUT_S,
    )
    assert out.exists(), ended.stderr.decode()
    answer: Json = json.loads(out.read_text("utf-8"))
    return answer


def scripted(home: Path, script: Mapping[str, str]) -> str:
    answers = home / "answers.json"
    lines = [{"prefix": before, "suffix": "", "text": text} for before, text in script.items()]
    answers.write_text(json.dumps(lines), "utf-8")
    return f'engine = "s"\n[engines.s]\nkind = "scripted"\nfile = "{answers}"\n'


def test_the_word_at_point_becomes_the_whole_entry(home: Path) -> None:
    answer = completed(home, "'ß漢😀', items.app║\n", {"items.app": "end(a + b)"})
    assert answer["candidates"] == ["append(a + b)"]
    assert answer["text"] == "'ß漢😀', items.append(a + b)\n"


def test_several_lines_stand_as_the_model_said(home: Path) -> None:
    before = "class A:\n    def total(self, items):"
    answer = completed(home, f"{before}║\n", {"items):": LOOP})
    assert answer["candidates"] == ["for item in items:…"]
    assert answer["text"] == f"{before}{LOOP}\n"


def test_what_stands_right_of_point_is_not_doubled(home: Path) -> None:
    answer = completed(home, "print(na║)\n", {"print(na": "me, age)"})
    assert answer["text"] == "print(name, age)\n"


def test_the_starter_model_stands_in_the_menu(home: Path) -> None:
    before = "class Point:\n    def __init__(self, x, y):\n        self.x = x\n        self."
    answer = completed(home, f"{before}║\n")
    (candidate,) = answer["candidates"]
    assert answer["text"] == f"{before}{candidate}\n"
    assert "." in answer["offers"]["triggerCharacters"]
