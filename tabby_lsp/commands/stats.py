"""`tabby-lsp stats`: what became of suggestions on this machine."""

from __future__ import annotations

import sys

from tabby_lsp.app import stats_path
from tabby_lsp.ledger import read, summary


def stats() -> int:
    """Print the table; the exit status."""
    path = stats_path()
    sys.stdout.write(summary(read(path), path))
    return 0
