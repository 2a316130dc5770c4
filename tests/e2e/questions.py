"""What the tests ask, and how they judge an answer: real code and the rules of real editors.

Invariant: an answer is judged by what an editor would do with it, never by its words.
"""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

from tests.e2e.reference import drawn, line_spans, offset_at, position_at
from tests.e2e.wire import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.wire import Client, Json

# Real code that no model was trained on: the client itself.
SOURCE = (REPOSITORY / "tests/e2e/wire.py").read_text()
START: Json = {"line": 0, "character": 0}


def constructor(name: str) -> tuple[str, Json]:
    """A class whose next words any Python model knows, and where they go."""
    text, offset = drawn(
        f"class {name}:\n"
        "    def __init__(self, width, height):\n"
        "        self.width = width\n"
        "        self.height║\n"
        "\n"
        "    def area(self):\n"
        "        return self.width * self.height\n"
    )
    return text, position_at(text, offset, "utf-16")


def line_rests(n: int, seed: str) -> Iterator[tuple[str, int]]:
    """The source with the rest of a random code line taken out, and where it was."""
    rng = random.Random(seed)
    spans = [
        (begin + (len(line) - len(line.lstrip())), end)
        for begin, end in line_spans(SOURCE)
        if len((line := SOURCE[begin:end]).strip()) > 12 and line.strip()[0] not in "#\"'"
    ]
    for begin, end in itertools.islice(itertools.cycle(rng.sample(spans, len(spans))), n):
        cut = rng.randint(begin + 2, end - 2)
        yield SOURCE[:cut] + SOURCE[end:], cut


def is_subsequence(part: str, whole: str) -> bool:
    """Whether the characters of `part` stand in `whole`, in order."""
    rest = iter(whole)
    return all(character in rest for character in part)


def check_drawable(item: Json, text: str, cursor: Json, encoding: str, client: Client) -> str:
    """An item keeps the rules of VSCode, coc and Neovim; returns what is new behind the cursor.

    The range is on the cursor's line, exists, and holds the cursor; what it holds left of the
    cursor begins the text, and what it holds right of it is found in the rest in order.
    """
    first, last = item["range"]["start"], item["range"]["end"]
    assert first["line"] == last["line"] == cursor["line"]
    begin, end = offset_at(text, first, encoding), offset_at(text, last, encoding)
    at = offset_at(text, cursor, encoding)
    assert begin <= at <= end
    assert item["insertText"].startswith(text[begin:at])
    new: str = item["insertText"][at - begin :]
    assert new.strip()
    assert new != text[at:end]
    assert is_subsequence(text[at:end], new)
    assert item["command"]["title"]
    assert item["command"]["command"] in client.capabilities["executeCommandProvider"]["commands"]
    assert item["command"]["arguments"]
    return new


def ask_once(client: Client, uri: str, text: str, cursor: Json) -> list[Json]:
    """Open a document, ask for ghost text in it, and close it."""
    client.open(uri, text)
    items = client.complete(uri, cursor)
    client.close(uri)
    return items


def last_decision(client: Client, uri: str, **argument: object) -> Json:
    """What `tabby.inspect` says of the last request in a document."""
    decision: Json = client.inspect(uri=uri, n=1, **argument)["decisions"][-1]
    return decision
