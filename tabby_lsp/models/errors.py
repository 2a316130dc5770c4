"""What goes wrong with a download, as one sentence.

Invariant: every text names what failed and what to do about it.
"""

from __future__ import annotations

import errno

from tabby_lsp.domain import EngineError

_NO_ROOM = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))


class DownloadError(EngineError):
    """A model could not be fetched; nothing was installed."""


def disk_error(error: OSError, name: str) -> DownloadError:
    """The sentence for a disk that does not do what it should while `name` is fetched."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in _NO_ROOM:
        return DownloadError(
            f"the disk is full{where}; make room, and `tabby-lsp models pull {name}` goes on where"
            " it stopped"
        )
    return DownloadError(
        f"{name} cannot be stored{where}: {error.strerror or error}; make that a place where you"
        " may write, or set XDG_DATA_HOME to one"
    )


def in_units(n_bytes: float) -> str:
    """`1.7 GB`, `531.1 MB` or `12.0 kB`, as hubs and shops count."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= factor:
            return f"{n_bytes / factor:,.1f} {unit}"
    return f"{n_bytes / 1e3:,.1f} kB"
