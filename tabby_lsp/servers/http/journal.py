"""What Tabby's clients tell of their completions, in one file a day of JSON lines, as Tabby has it.

Invariant: no code is written unless the user has turned that on, the folder does not grow without
end, and a full disk fails nobody's request.
"""

from __future__ import annotations

import json
import logging
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_MAX_FILE_BYTES = 8_000_000
_MAX_FILES = 31

logger = logging.getLogger(__name__)


class Journal:
    """Appends to the file of the day; lives as long as the server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writing = threading.Lock()
        self._has_complained = False

    def add(self, event: dict[str, Any]) -> None:
        """Write one line; called on any thread."""
        now = datetime.now(UTC)
        entry = {"user": None, "ts": int(now.timestamp() * 1000), "event": event}
        line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        try:
            with self._writing:
                self._append(self._folder / f"{now:%Y-%m-%d}.json", line)
        except OSError as error:
            if not self._has_complained:
                logger.warning("Events are not written down: %s", error)
            self._has_complained = True

    def _append(self, path: Path, line: bytes) -> None:
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            days = sorted(self._folder.glob("????-??-??.json"))
            for old in days[: max(0, len(days) - _MAX_FILES + 1)]:
                old.unlink(missing_ok=True)
        elif path.stat().st_size + len(line) > _MAX_FILE_BYTES:
            return
        with path.open("ab") as file:
            file.write(line)
