"""The scripted engine looks at what it is asked, and fails loudly on anything else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tabby_lsp.domain import EngineError, GenerationRequest, Segments
from tabby_lsp.engines.scripted import Line, ScriptedEngine, read_script

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = (Line(prefix="return ", suffix="\n", text="a + b\nprint()"),)


def ask(prefix: str, suffix: str = "\n", stop: tuple[str, ...] = ("\n",)) -> str:
    async def run() -> str:
        request = GenerationRequest(Segments(prefix=prefix, suffix=suffix), 48, stop)
        return "".join([piece.text async for piece in ScriptedEngine(SCRIPT).complete(request)])

    return asyncio.run(run())


def test_it_answers_what_it_was_told() -> None:
    assert ask("def add(a, b):\n    return ") == "a + b"


def test_it_stops_where_it_is_asked_to() -> None:
    assert ask("return ", stop=()) == "a + b\nprint()"


def test_other_answers_for_the_same_place_are_further_candidates() -> None:
    script = (*SCRIPT, Line(prefix="return ", suffix="", text="a"), Line("turn ", "", "None"))

    async def run(n_candidates: int) -> dict[int, str]:
        segments = Segments(prefix="return ", suffix="\n")
        request = GenerationRequest(segments, 48, ("\n",), n_candidates=n_candidates)
        texts: dict[int, str] = {}
        async for piece in ScriptedEngine(script).complete(request):
            texts[piece.candidate] = texts.get(piece.candidate, "") + piece.text
        return texts

    assert asyncio.run(run(1)) == {0: "a + b"}
    assert asyncio.run(run(2)) == {0: "a + b", 1: "a"}
    assert asyncio.run(run(5)) == {0: "a + b", 1: "a", 2: "None"}


def test_it_fails_on_any_other_request() -> None:
    with pytest.raises(EngineError, match="no answer for a prefix that ends in 'yield '"):
        ask("yield ")


def test_a_script_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text('[{"prefix": "return ", "suffix": "\\n", "text": "a"}]')

    assert read_script(path) == (Line("return ", "\n", "a"),)


@pytest.mark.parametrize("content", ["", "{", "[1]", '[{"prefix": "a"}]'])
def test_a_script_that_is_none_is_refused_with_its_path(tmp_path: Path, content: str) -> None:
    path = tmp_path / "script.json"
    path.write_text(content)

    with pytest.raises(EngineError, match=r"script\.json is not a JSON list"):
        read_script(path)


def test_a_script_that_is_not_there_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"absent\.json cannot be read"):
        read_script(tmp_path / "absent.json")
