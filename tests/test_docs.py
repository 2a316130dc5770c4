"""The pages that are written from the code: a page that has drifted is written anew, and fails."""

from __future__ import annotations

from pathlib import Path

from tabby_lsp.config import KEYS, describe

DOCS = Path(__file__).parent.parent / "docs"


def check(page: Path, text: str) -> None:
    """The page is this text; where it is not, it is from now on."""
    found = page.read_text("utf-8") if page.exists() else ""
    if found != text:
        page.write_text(text, "utf-8", newline="\n")
    assert found == text, f"{page} had drifted and has been written anew: commit it"


def test_the_page_on_settings_is_the_tree_of_settings() -> None:
    check(DOCS / "configuration.md", describe())


def test_every_setting_is_on_the_page() -> None:
    page = describe()
    for key in KEYS.values():
        section, _, name = key.name.rpartition(".")
        assert f"| `{name}` |" in page or key.type == "object"
        assert key.about.doc in page or key.type == "object"
        assert not section or f"## `[{section}]`" in page
