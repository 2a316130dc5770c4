"""Somebody who types, as an editor shows it to the server: a key, a request, and so on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.e2e.clients import VSCODE, initialize_params
from tests.e2e.wire import AUTOMATIC, Client

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.wire import Json, Request

TEXT = '''\
"""A shelf of books that is kept in a file."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Book:
    title: str
    author: str
    year: int


class Shelf:
    def __init__(self, path):
        self.path = path
        self.books = []

    def add(self, book):
        self.books.append(book)

    def find(self, title):
        for book in self.books:
            if book.title == title:
                return book
        return None


'''


class Typist:
    """One document in one window, typed key by key and begun anew when the text is at its end."""

    def __init__(self, client: Client, uri: str) -> None:
        self.client = client
        self.uri = uri
        self.version = 1
        self.requests: list[Request] = []
        self._n_typed = 0

    def open(self, root: Path) -> None:
        self.client.initialize(initialize_params(VSCODE, root=root))
        self.client.open(self.uri, "import os\n\n")

    @property
    def position(self) -> Json:
        """The end of the document."""
        typed = TEXT[: self._n_typed % len(TEXT)]
        line = typed.count("\n") + 2
        return {"line": line, "character": len(typed) - (typed.rfind("\n") + 1)}

    def key(self) -> Request:
        """Type the next character, and ask as an editor does behind it."""
        self.change()
        request = self.client.ask(self.uri, self.position, kind=AUTOMATIC)
        self.requests.append(request)
        return request

    def change(self) -> None:
        self.version += 1
        at = self._n_typed % len(TEXT)
        if at == 0:
            self.client.change(self.uri, self.version, {"text": f"import os\n\n{TEXT[0]}"})
        else:
            start = self.position
            change = {"range": {"start": start, "end": start}, "text": TEXT[at]}
            self.client.change(self.uri, self.version, change)
        self._n_typed += 1

    def applied_s(self) -> float:
        """How long the server takes to have applied a key, and to say so."""
        started_s = time.monotonic()
        self.change()
        documents = self.client.inspect(uri=self.uri, n=0)["documents"]
        assert [each["version"] for each in documents] == [self.version]
        return time.monotonic() - started_s


def all_answered_once(client: Client) -> bool:
    """Whether each request has exactly one answer."""
    has_one = all(len(replies) == 1 for replies in client.replies.values())
    return client.n_unanswered == 0 and has_one
