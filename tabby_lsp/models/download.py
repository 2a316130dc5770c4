"""Installs a model of the catalogue: out of the hub's cache, or fetched from the hub.

Invariant: a file comes to its place in one step, and only if its SHA-256 is the catalogue's.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from tabby_lsp.models import hub
from tabby_lsp.models.errors import DownloadError, disk_error
from tabby_lsp.models.found import models_dir, path_of
from tabby_lsp.models.lock import held
from tabby_lsp.models.lookalikes import N_BYTES, describe
from tabby_lsp.models.part import Part, check_room
from tabby_lsp.models.transfer import Patience, Show, fetch

if TYPE_CHECKING:
    from pathlib import Path

    from tabby_lsp.models.catalog import Entry

_READ_BYTES = 1 << 20


def pull(entry: Entry, data_dir: Path, patience: Patience, show: Show) -> Path:
    """Have the model installed, whole and verified; where it is.

    A process that finds another at the same model waits for it, and takes over if that one is
    killed. Raises DownloadError.
    """
    folder = parts_dir(data_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with held(folder / f"{entry.sha256}.lock", lambda: _watch(entry, folder, show)):
            path = _pull(entry, data_dir, patience, show)
    except OSError as error:
        raise disk_error(error, entry.name) from error
    return path


def parts_dir(data_dir: Path) -> Path:
    """Where models are on their way; on the disk on which they will be installed."""
    return models_dir(data_dir) / ".parts"


def sha256_of(path: Path, name: str, show: Show) -> str:
    """The hash of a file in hexadecimal; a gigabyte takes about a second."""
    digest, n_bytes = hashlib.sha256(), 0
    with path.open("rb") as file:
        size_bytes = os.fstat(file.fileno()).st_size
        while piece := file.read(_READ_BYTES):
            digest.update(piece)
            n_bytes += len(piece)
            show.step(f"checking {name}", n_bytes, size_bytes)
    return digest.hexdigest()


def _pull(entry: Entry, data_dir: Path, patience: Patience, show: Show) -> Path:
    target, folder = path_of(entry.name, data_dir), parts_dir(data_dir)
    if target.exists():
        _check_installed(entry, target, show)
    elif not _install_from_cache(entry, folder, target, show):
        _install_from_hub(entry, folder, target, patience, show)
    forget_parts(entry, data_dir)
    return target


def forget_parts(entry: Entry, data_dir: Path) -> bool:
    """Remove what is left of pulls of this model; whether there was anything.

    A pull that is going on is not stopped by it, and fails to install: it begins anew then.
    """
    paths = [
        path for path in parts_dir(data_dir).glob(f"{entry.sha256}.*") if path.suffix != ".lock"
    ]
    for path in paths:
        path.unlink(missing_ok=True)
    return bool(paths)


def _check_installed(entry: Entry, target: Path, show: Show) -> None:
    if sha256_of(target, entry.name, show) != entry.sha256:
        raise DownloadError(
            f"{target} is there already and is not the file of the catalogue; keep it under another"
            f" name, or give it up with `tabby-lsp models remove {entry.name}`, and pull again"
        )


def _install_from_hub(
    entry: Entry, folder: Path, target: Path, patience: Patience, show: Show
) -> None:
    part = Part(folder, entry.sha256)
    if hub.is_offline() and not part.is_whole:
        raise DownloadError(
            f"{entry.name} is not in {hub.cache_folder()}, and HF_HUB_OFFLINE forbids to fetch it;"
            " unset it"
        )
    os.replace(_fetch_verified(entry, part, patience, show), target)
    _sync(target.parent)


def _fetch_verified(entry: Entry, part: Part, patience: Patience, show: Show) -> Path:
    """The model under a name of our own.

    A part that was put together from several answers gets a second chance, in one piece.
    """
    part.was_resumed = part.n_bytes > 0
    while True:
        fetch(entry, part, patience, show)
        claimed = part.claim()
        digest = sha256_of(claimed, entry.name, show)
        if digest == entry.sha256:
            return claimed
        was_resumed, message = part.was_resumed, _mismatch(entry, claimed, digest)
        claimed.unlink()
        part.start_over()
        if not was_resumed:
            raise DownloadError(message)
        show.say("the pieces do not make up the model; fetching it again in one piece")


def _mismatch(entry: Entry, path: Path, digest: str) -> str:
    with path.open("rb") as file:
        first_bytes = file.read(N_BYTES)
    kind = "another file" if first_bytes.startswith(b"GGUF") else describe(first_bytes)[0]
    return (
        f"what came from {hub.endpoint()} for {entry.name} is {kind} (SHA-256 {digest[:12]}…"
        f" instead of {entry.sha256[:12]}…) and was thrown away; check your network and"
        " HF_ENDPOINT, or try again later"
    )


def _install_from_cache(entry: Entry, folder: Path, target: Path, show: Show) -> bool:
    """A second name for the same bytes where that can be, so that it costs no room."""
    for path in hub.cached_files(entry):
        copy = folder / f"{entry.sha256}.{uuid.uuid4().hex}.cached"
        _link_or_copy(path, copy)
        if sha256_of(copy, entry.name, show) == entry.sha256:
            os.replace(copy, target)
            _sync(target.parent)
            show.say(f"{entry.name} was in Hugging Face's cache: {path}")
            return True
        copy.unlink()
        show.say(f"{path} is not the file of the catalogue, and is left alone")
    return False


def _link_or_copy(path: Path, copy: Path) -> None:
    try:
        os.link(path, copy)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EEXIST):
            raise
        check_room(copy.parent, path.stat().st_size)
        try:
            shutil.copyfile(path, copy)
        except OSError:
            copy.unlink(missing_ok=True)
            raise


def _watch(entry: Entry, folder: Path, show: Show) -> None:
    part = folder / f"{entry.sha256}.part"
    with suppress(OSError):
        show.step(f"waiting for another process to fetch {entry.name}", part.stat().st_size, 0)


def _sync(folder: Path) -> None:
    """Makes the new name outlive a power failure; Windows opens no folders, and does it anyway."""
    with suppress(OSError):
        file = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
