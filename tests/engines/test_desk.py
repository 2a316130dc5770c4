"""Of the prompts that are held fast for a document, the one is used that costs least."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tabby_lsp.domain import GenerationRequest, Segments
from tabby_lsp.engines.llama.desk import Desk, parts
from tabby_lsp.models.families import CopyGate
from tests.engines.test_layout import FIM, spell, tokenize

if TYPE_CHECKING:
    from collections.abc import Callable

N_ROOM = 1_000
ABOVE = "import os\n\n\ndef f(a):\n    b = 1\n"


def asked(prefix: str, suffix: str = "\n    return b\n") -> GenerationRequest:
    return GenerationRequest(Segments(prefix=prefix, suffix=suffix, path="a.py"), 8, document="a")


def prompt(desk: Desk, request: GenerationRequest, cost: Callable[[list[int]], int]) -> str:
    return spell(desk.prompt(request, N_ROOM, cost, heals=False).tokens)


def test_nothing_is_weighed_where_there_is_no_choice() -> None:
    """To know the cost of a prompt is to compare it with all that is held and parked."""
    weighed: list[str] = []

    def cost(tokens: list[int]) -> int:
        weighed.append(spell(tokens))
        return len(tokens)

    desk = Desk(FIM, tokenize)
    prompt(desk, asked(ABOVE), cost)
    prompt(desk, asked(ABOVE + "    c"), cost)

    assert weighed == []


@given(text=st.text(alphabet="ab\n\r\x0b\u2028\ud83d", max_size=300))
def test_parts_make_up_the_text(text: str) -> None:
    assert "".join(parts(text)) == text
    assert all(parts(text))


def test_parts_stay_the_same_when_a_text_changes() -> None:
    lines = [f"x{n} = {n * n}\n" for n in range(400)]
    whole = {*parts("".join(lines))}

    assert 10 < len(whole) < 60
    assert len({*parts("".join(lines[5:]))} - whole) <= 1
    assert len({*parts("".join(lines[:-5]))} - whole) <= 1
    assert len({*parts("".join([*lines[:200], "new\n", *lines[200:]]))} - whole) <= 2


def test_of_a_text_to_copy_from_only_what_changed_is_tokenized_again() -> None:
    lines = [f"x{n} = {n * n}\n" for n in range(400)]
    tokenized: list[str] = []

    def tokenize_part(text: str) -> list[int]:
        tokenized.append(text)
        return tokenize(text)

    gated = replace(FIM, copy_gate=CopyGate((0.0,) * 4, (0.0,) * 8))
    desk = Desk(gated, tokenize, None, tokenize_part)
    for text in ("".join(lines), "".join(lines), "".join(lines[5:])):
        segments = replace(asked(ABOVE).segments, further=(text,))
        wanted = desk.prompt(replace(asked(ABOVE), segments=segments), N_ROOM, len, heals=True)
        assert wanted.elsewhere is not None
        assert spell([token for token in wanted.elsewhere.tokens if token >= 0]).startswith(text)
    assert sum(map(len, tokenized)) < len("".join(lines)) * 1.2


def test_of_much_text_to_copy_from_the_nearest_is_tokenized_first() -> None:
    """A file that was just opened waits for the model, and not for what might be copied."""
    texts = tuple("".join(f"{name}{n} = {n}\n" for n in range(1_200)) for name in "cba")
    gated = replace(FIM, copy_gate=CopyGate((0.0,) * 4, (0.0,) * 8))
    desk = Desk(gated, tokenize)
    segments = replace(asked(ABOVE).segments, further=texts)
    read = []
    for _ in range(6):
        wanted = desk.prompt(replace(asked(ABOVE), segments=segments), N_ROOM, len, heals=True)
        assert wanted.elsewhere is not None
        read.append(spell([token for token in wanted.elsewhere.tokens if token >= 0]))
    assert "b1199 = 1199\n" not in read[0]
    assert "a1199 = 1199\n" in read[0]
    assert all(late.endswith(early) for early, late in pairwise(read))
    assert read[-1].startswith("".join(texts))
