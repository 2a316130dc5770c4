"""The models that a server may be told to load: by name, and never by a path.

Invariant: a name is looked up in a list of what is there, and never becomes part of a path.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from tabby_lsp.config import names_a_file
from tabby_lsp.domain import EngineError
from tabby_lsp.engines.llama.resident import n_ctx_for
from tabby_lsp.models import download
from tabby_lsp.models.catalog import entries, entry_of
from tabby_lsp.models.families import fim_of
from tabby_lsp.models.found import installed, locate, models_dir
from tabby_lsp.models.gguf import read_header
from tabby_lsp.models.roles import NotForChat, template_of
from tabby_lsp.models.transfer import Patience
from tabby_lsp.rack import called

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tabby_lsp.config import LocalSettings
    from tabby_lsp.models.catalog import Entry
    from tabby_lsp.models.gguf import Header
    from tabby_lsp.rack import Role

# One part of a name on Hugging Face, and two of them.
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_REPOSITORY = re.compile(rf"{_NAME.pattern}/{_NAME.pattern}", re.ASCII)
_POOLING = "pooling_type"
_NO_POOLING, _RANK_POOLING = 0, 4  # llama.cpp's LLAMA_POOLING_TYPE_NONE and _RANK


class NotInStock(EngineError):
    """There is no such model; the text says which there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What is known of a model's file."""

    n_ctx: int  # tokens that it gets here
    n_ctx_train: int  # the most that it can have
    n_batch: int  # tokens of a prompt that are read at once
    template: str  # Jinja; "" where it does not chat
    created_s: int  # since 1970


class Stock:
    """Lives as long as the server; what is in it is looked up each time."""

    def __init__(self, data_dir: Path, started: Mapping[Role, str], local: LocalSettings) -> None:
        """`started` are the models that the user named, who may give paths and own engines."""
        self._data_dir = data_dir
        self._started = {called(asked): (role, asked) for role, asked in started.items()}
        self._local = local

    def names(self) -> list[str]:
        """Every model that can be loaded."""
        found = (name for name in installed(self._data_dir) if _NAME.fullmatch(name))
        return list(dict.fromkeys([*self._started, *found]))

    def named(self, name: str) -> str:
        """A model's own spelling of its name, which is found in whatever case.

        Raises NotInStock.
        """
        names = self.names()
        in_any_case = {each.casefold(): each for each in reversed(names)}
        own = name if name in names else in_any_case.get(name.casefold())
        if own is not None:
            return own
        if not _NAME.fullmatch(name):
            raise NotInStock("Models are loaded by name, and this is none; paths are not taken.")
        entry = entry_of(name)
        if entry is not None:
            raise NotInStock(f"{entry.name} is not installed: download it first.")
        raise NotInStock(f"There is no model {name}, only {', '.join(names)}.")

    def asked(self, name: str) -> str:
        """What the rack is asked for to load a model of this spelling."""
        _, asked = self._started.get(name, ("", name))
        return asked

    def role_of(self, name: str) -> Role:
        """What a model is for; one that completes and chats, for chat. Raises EngineError.

        As a chat model it also continues texts, which is all that TabbyAPI's programs ask for.
        """
        if name in self._started:
            return self._started[name][0]
        entry = entry_of(name)
        if entry is not None:
            return "chat" if entry.role == "both" else entry.role
        header = self._header(name)
        pooling = header.figure(_POOLING, _NO_POOLING)
        if pooling not in (_NO_POOLING, _RANK_POOLING) or "bert" in header.architecture:
            return "embedding"
        if _template(header):
            return "chat"
        fim_of(header)
        return "completion"

    def described(self, name: str) -> Described | None:
        """What its file says; None where it has none here, or none that can be read."""
        try:
            header = self._header(name)
            return Described(
                n_ctx=n_ctx_for(header, self._local.n_ctx),
                n_ctx_train=header.n_ctx_train,
                n_batch=self._local.n_ubatch,
                template=_template(header),
                created_s=int(header.path.stat().st_mtime),
            )
        except (EngineError, OSError):
            return None

    def pull(self, entry: Entry) -> None:
        """Have a model of the catalogue installed; raises DownloadError."""
        download.pull(entry, self._data_dir, Patience(), _Silent())

    def without_paths(self, text: str) -> str:
        """What an error says, with names in the place of paths."""
        paths = {asked: name for name, (_, asked) in self._started.items() if names_a_file(asked)}
        paths |= {str(path): name for name, path in installed(self._data_dir).items()}
        for path in sorted(paths, key=len, reverse=True):
            text = text.replace(path, paths[path])
        return text.replace(str(models_dir(self._data_dir)), "the folder of models")

    def _header(self, name: str) -> Header:
        path = locate(self.asked(name), self._data_dir)
        try:
            return _read_header(path, path.stat().st_mtime_ns)
        except FileNotFoundError:
            return read_header(path)


class _Silent:
    """Shows a download to nobody."""

    def say(self, text: str) -> None:
        pass

    def step(self, what: str, done_bytes: int, size_bytes: int) -> None:
        pass


def offers(name: str) -> list[Entry]:
    """The models of the catalogue with this name, or in the repository of this name."""
    if _NAME.fullmatch(name):
        entry = entry_of(name)
        return [entry] if entry else []
    if _REPOSITORY.fullmatch(name):
        return [each for each in entries() if each.repository.lower() == name.lower()]
    return []


def _template(header: Header) -> str:
    try:
        return template_of(header)
    except NotForChat:
        return ""


@lru_cache(maxsize=64)
def _read_header(path: Path, modified_ns: int) -> Header:
    """The same as long as the file stays the same; large vocabularies take a tenth of a second."""
    return read_header(path)
