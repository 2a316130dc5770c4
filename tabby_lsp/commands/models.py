"""`tabby-lsp models`: which models there are, and getting, choosing and checking one."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec

from tabby_lsp.commands.bar import Bar
from tabby_lsp.commands.hashes import verdict
from tabby_lsp.commands.served import (
    find_served,
    names_a_server,
    served,
    use_served,
    warn_of_what_stands_over,
)
from tabby_lsp.commands.shelf import as_table, shelf
from tabby_lsp.config import (
    BUILT_IN_ENGINE,
    NotWritten,
    data_dir,
    names_a_file,
    read_user_file,
    resolve,
    write_settings,
)
from tabby_lsp.domain import EngineError
from tabby_lsp.models import download
from tabby_lsp.models.catalog import entry_of, names_like
from tabby_lsp.models.cursor import ModelFileError, shown
from tabby_lsp.models.elsewhere import elsewhere
from tabby_lsp.models.errors import DownloadError
from tabby_lsp.models.found import STARTER, installed, locate, path_of
from tabby_lsp.models.gguf import read_header
from tabby_lsp.models.roles import template_of, use_of
from tabby_lsp.models.transfer import Patience

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tabby_lsp.config import KeyPath, Settings
    from tabby_lsp.engines.remote.served import ServedModel

_P = ParamSpec("_P")
_FAILED = 1


def _command(command: Callable[_P, int]) -> Callable[_P, int]:
    """What goes wrong is a sentence on standard error, and 1."""

    @wraps(command)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> int:
        try:
            return command(*args, **kwargs)
        except (EngineError, NotWritten) as error:
            message = str(error)
        except BrokenPipeError:
            raise
        except OSError as error:
            message = f"{error.filename or 'the disk'}: {error.strerror or error}"
        sys.stderr.write(f"tabby-lsp models: {message}\n")
        return _FAILED

    return run


@_command
def show_all(settings: Settings, *, as_json: bool) -> int:
    """Print what is installed, what other programs have or run, and what can be fetched."""
    used = {
        model
        for model, engine in (
            (settings.model, settings.engine),
            (settings.chat.model, settings.chat.engine),
        )
        if engine == BUILT_IN_ENGINE
    }
    shelved = [*shelf(used), *served(settings)]
    sys.stdout.write(json.dumps(shelved, indent=2) + "\n" if as_json else as_table(shelved))
    return 0


@_command
def pull(name: str) -> int:
    """Install a model of the catalogue."""
    entry = entry_of(name)
    if entry is None:
        near = names_like(name)
        meant = f"did you mean {' or '.join(near)}? " if near else ""
        raise DownloadError(
            f"{name!r} is not in the catalogue; {meant}`tabby-lsp models list` shows all of it"
        )
    with Bar() as bar:
        try:
            path = download.pull(entry, data_dir(), Patience(), bar)
        except KeyboardInterrupt:
            bar.say(f"stopped; `tabby-lsp models pull {entry.name}` goes on from here")
            return _FAILED
    sys.stdout.write(f"{entry.name} is installed: {path}\n")
    if entry.role != "embedding":
        sys.stdout.write(f"Choose it with: tabby-lsp models use {entry.name}\n")
    return 0


@_command
def use(name: str, config: Path, *, for_chat: bool) -> int:
    """Write the model into the user's settings, after a look at what it can do."""
    running = _running(name)
    if running is not None:
        use_served(running, config, for_chat=for_chat)
        return 0
    value, path = _chosen(name)
    if not value.isprintable():
        raise EngineError(f"{shown(value)} has characters that no setting may have: rename it")
    header = read_header(path)
    if for_chat:
        template_of(header)
    is_chat = for_chat or use_of(name, header) == "chat"
    settings = resolve([read_user_file(config)]).settings
    section: KeyPath = ("chat",) if is_chat else ()
    engine = settings.chat.engine if is_chat else settings.engine
    changes: dict[KeyPath, str] = {(*section, "model"): value}
    if engine != BUILT_IN_ENGINE:
        changes[*section, "engine"] = BUILT_IN_ENGINE
    write_settings(config, changes)
    model_key, engine_key = (".".join((*section, key)) for key in ("model", "engine"))
    also = f", and {engine_key} = {BUILT_IN_ENGINE}, was {engine}" if len(changes) > 1 else ""
    sys.stdout.write(f"{config} now has {model_key} = {value}{also}\n")
    warn_of_what_stands_over(config, model_key, value)
    warn_of_what_stands_over(config, engine_key, BUILT_IN_ENGINE)
    return 0


@_command
def path(name: str) -> int:
    """Print where the file is."""
    sys.stdout.write(f"{_installed(name)[1]}\n")
    return 0


@_command
def remove(name: str) -> int:
    """Delete the file of an installed model, and what is left of pulls that did not end."""
    entry = entry_of(name)
    was_begun = entry is not None and download.forget_parts(entry, data_dir())
    if entry is not None and was_begun and not path_of(entry.name, data_dir()).exists():
        sys.stdout.write(f"what was fetched of {entry.name} is deleted\n")
        return 0
    name, file = _installed(name)
    if name == STARTER:
        raise EngineError(f"{STARTER} is part of the program and stays")
    file.unlink()
    sys.stdout.write(f"{file} is deleted\n")
    return 0


@_command
def verify(name: str | None) -> int:
    """Read files again, and compare them with the hashes that are known."""
    models = dict([_installed(name)]) if name else installed(data_dir())
    with Bar() as bar:
        verdicts = [verdict(each, file, bar) for each, file in models.items()]
    sys.stdout.write("".join(f"{word:<5} {text}\n" for word, text in verdicts))
    return _FAILED if any(word == "FAIL" for word, _ in verdicts) else 0


def _installed(name: str) -> tuple[str, Path]:
    """The model's own spelling of its name, and its file."""
    file = locate(name, data_dir())
    for own_name, each in installed(data_dir()).items():
        if each == file:
            return own_name, file
    raise EngineError(f"{name} is a path; give the name of an installed model")


def _running(name: str) -> ServedModel | None:
    """The model that a server runs under this name, where no file has it."""
    if not names_a_server(name):
        if entry_of(name) is not None:
            return None
        with suppress(ModelFileError):
            if _chosen(name)[1].exists():
                return None
    return find_served(name)


def _chosen(name: str) -> tuple[str, Path]:
    """What to write into the settings, and the file: a name if it is installed, else a path."""
    if not names_a_file(name):
        models = {each.lower(): each for each in installed(data_dir())}
        if name.lower() in models:
            return models[name.lower()], locate(name, data_dir())
    finds = [find for find in elsewhere() if find.name.lower() == name.lower()]
    if len(finds) > 1:
        paths = "\n".join(f"  {find.path} ({find.program})" for find in finds)
        raise EngineError(f"{name} is in several places; give one of the paths:\n{paths}")
    file = (finds[0].path if finds else locate(name, data_dir())).absolute()
    return str(file), file
