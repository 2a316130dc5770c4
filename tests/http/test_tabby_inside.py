"""What an engine is asked for a completion of Tabby's, and what of its answer is to be inserted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tabby_lsp.config import ContextSettings
from tests.http.telling import Inside, Teller, pieces

if TYPE_CHECKING:
    from pathlib import Path

WINDOW = ContextSettings()


class Client:
    def __init__(self, folder: Path, says: str = "x") -> None:
        self.teller = Teller(pieces(says))
        self._inside = Inside({"completion": self.teller}, folder)

    def complete(self, prefix: str, suffix: str = "", **fields: Any) -> str:
        user, headers = fields.pop("user", None), fields.pop("headers", {})
        segments = {"prefix": prefix, "suffix": suffix, **fields}
        body = {"language": "python", "segments": segments, "user": user}
        answer = asyncio.run(self._inside.ask("/v1/completions", body, **headers))
        assert answer.status_code == 200, answer.text
        text: str = answer.json()["choices"][0]["text"]
        return text

    def documents(self) -> list[str]:
        return [each.document for each in self.teller.asked]


@pytest.mark.parametrize(
    ("at", "says", "line"),
    [
        ("if foo(|)", "x):", "if foo(x)"),
        ("if foo(|)", "g(a), b):", "if foo(g(a), b)"),
        ("x[|]", "0] = 1", "x[0]"),
        ("x = [|];", "1, 2].map(f);", "x = [1, 2];"),
        ("def f(|)", "a, b)", "def f(a, b)"),
        ("foo(|", "x)", "foo(x)"),
    ],
)
def test_no_closer_is_said_twice(at: str, says: str, line: str, tmp_path: Path) -> None:
    """The text is to be inserted, and what stands right of the cursor stays."""
    before, after = at.split("|")
    inserted = Client(tmp_path, says).complete(f"import foo\n{before}", f"{after}\ny = 2\n")
    assert before + inserted + after == line


def test_a_file_is_one_document_from_key_to_key(tmp_path: Path) -> None:
    """So that a key costs the token that it adds."""
    client = Client(tmp_path)
    for text in ("x = a", "x = ab", "x = abc"):
        client.complete(text, filepath="a.py")
    client.complete("x = a", filepath="b.py")
    a, again, third, b = client.documents()
    assert a == again == third != b


def test_nobody_has_a_document_in_common(tmp_path: Path) -> None:
    """Or one's snippets would stay in another's prompt."""
    client = Client(tmp_path)
    client.complete("x = a", filepath="a.py", user="one")
    client.complete("x = a", filepath="a.py", user="two")
    client.complete("x = a", filepath="a.py", headers={"Authorization": "Bearer one"})
    client.complete("x = a")
    client.complete("x = a")
    assert len(set(client.documents())) == 5
    assert not any("Bearer" in each for each in client.documents())


def test_a_long_text_is_cut_at_a_line_that_stays(tmp_path: Path) -> None:
    client = Client(tmp_path)
    text = "".join(f"value_{n} = {n}\n" for n in range(5_000))
    for typed in ("x", "x =", "x = y"):
        client.complete(text + typed, text)
    first, *others = (each.segments for each in client.teller.asked)
    for each in (first, *others):
        assert WINDOW.prefix_chars / 2 < len(each.prefix) <= WINDOW.prefix_chars
        assert len(each.suffix) <= WINDOW.suffix_chars
        assert each.prefix.splitlines()[:3] == first.prefix.splitlines()[:3]
        assert each.prefix.startswith("value_")


def test_a_server_that_continues_no_text_is_no_fault(tmp_path: Path) -> None:
    class Remote(Teller):
        continue_text = property()

    inside = Inside({"completion": Remote(pieces("x"))}, tmp_path)
    body = {"language": "python", "debug_options": {"raw_prompt": "x"}}
    answer = asyncio.run(inside.ask("/v1/completions", body))
    assert answer.status_code == 501
    assert "segments" in answer.json()["message"]


def test_a_long_line_is_cut_within(tmp_path: Path) -> None:
    client = Client(tmp_path)
    client.complete("x = [" + "1, " * 20_000)
    (asked,) = client.teller.asked
    assert asked.segments.prefix.endswith("1, 1, ")
    assert len(asked.segments.prefix) <= WINDOW.prefix_chars
