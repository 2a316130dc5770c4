"""The pages that are written from the code: a page that has drifted is written anew, and fails."""

from __future__ import annotations

import json
from pathlib import Path

from tabby_lsp.config import KEYS, client_source, describe, resolve, vscode_configuration

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
VSCODE = ROOT / "editors" / "vscode" / "package.json"


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


def test_the_settings_in_vscode_are_the_tree_of_settings() -> None:
    manifest = json.loads(VSCODE.read_text("utf-8"))
    # The first group is the extension's own: which program it starts.
    groups = manifest["contributes"]["configuration"]
    groups[1:] = vscode_configuration()
    check(VSCODE, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")


def test_vscode_is_offered_every_setting_that_an_editor_may_set_and_no_other() -> None:
    schemas = {
        name.removeprefix("tabby-lsp."): schema
        for group in vscode_configuration()
        for name, schema in group["properties"].items()
    }
    assert len(schemas) == sum(key.about.from_client for key in KEYS.values())
    defaults = {name: schema["default"] for name, schema in schemas.items()}
    # A path may be empty, but an editor may not say so.
    defaults = {name: default for name, default in defaults.items() if default != ""}
    assert resolve([client_source(defaults, "workspace/configuration")]).problems == ()


def test_the_settings_that_vscode_keeps_from_a_strange_folder_are_there() -> None:
    manifest = json.loads(VSCODE.read_text("utf-8"))
    names = {
        name for group in manifest["contributes"]["configuration"] for name in group["properties"]
    }
    kept = manifest["capabilities"]["untrustedWorkspaces"]["restrictedConfigurations"]
    assert len(kept) == 4
    assert set(kept) <= names
    command = manifest["contributes"]["configuration"][0]["properties"]["tabbyLsp.server.command"]
    assert command["scope"] == "machine"
