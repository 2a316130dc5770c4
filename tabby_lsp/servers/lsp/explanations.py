"""Where an explanation is written for editors that show files and have no window for a chat."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tabby_lsp.config import state_dir

if TYPE_CHECKING:
    from pathlib import Path


def page_for(name: str, text: str) -> Path | None:
    """The Markdown file with the text, one for each file that is explained.

    None where it cannot be written.
    """
    title = name or "a document without a name"
    stem = re.sub(r"\W+", "-", name).strip("-")[:80] or "untitled"
    path = state_dir() / "explanations" / f"{stem}.md"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(f"# {title}\n\n{text}\n", encoding="utf-8", errors="replace")
    except OSError:
        return None
    return path
