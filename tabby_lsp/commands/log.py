"""Where the messages of this process go, and how many of them."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tabby_lsp.config import makes_wait

if TYPE_CHECKING:
    from tabby_lsp.config import LogSettings


def log_to(settings: LogSettings) -> None:
    """Standard error, and the user's own file; one that cannot be written is the first message."""
    level = getattr(logging, settings.level.upper())
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    trouble = ""
    if settings.file:
        try:
            handlers.append(_file_handler(Path(settings.file)))
        except OSError as error:
            trouble = f"the log file {settings.file} cannot be written: {error.strerror}"
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=level, handlers=handlers, format=form)
    logging.raiseExceptions = False  # A full disk must not fill stderr with tracebacks.
    if trouble:
        logging.getLogger(__name__).error("%s", trouble)
    # pygls writes whole messages, and so the user's code, at INFO; errors it writes come to us too.
    logging.getLogger("pygls").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(max(level, logging.INFO))


def _file_handler(path: Path) -> logging.Handler:
    path.parent.mkdir(parents=True, exist_ok=True)
    if makes_wait(path):
        raise OSError(0, "it is a pipe", str(path))
    return logging.FileHandler(path, encoding="utf-8")
