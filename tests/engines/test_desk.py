"""Of the prompts that are held fast for a document, the one is used that costs least."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabby_lsp.domain import GenerationRequest, Segments
from tabby_lsp.engines.llama.desk import Desk
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
