"""What a user copies out of the pages on editors can be read, and starts the server."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from tabby_lsp.config import Settings, client_source, resolve

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "editors"
COMMAND = ["tabby-lsp", "--stdio"]


def blocks(page: str, language: str) -> list[str]:
    """What stands between fences on a page; a block in a list is indented."""
    text = (PAGES / page).read_text("utf-8")
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indentation}", "", code, flags=re.MULTILINE) for indentation, code in found]


def check_settings(values: object) -> None:
    """They are settings that an editor may give."""
    result = resolve([client_source(values, "initializationOptions")])
    assert result.problems == ()
    assert result.settings != Settings()


def test_helix_has_the_file_that_its_page_shows() -> None:
    file = tomllib.loads((ROOT / "editors" / "helix" / "languages.toml").read_text("utf-8"))
    shown, settings = (tomllib.loads(block) for block in blocks("helix.md", "toml"))
    assert file == shown
    server = file["language-server"]["tabby-lsp"]
    assert [server["command"], *server["args"]] == COMMAND
    assert {"name": "tabby-lsp", "only-features": ["completion"]} in file["language"][0][
        "language-servers"
    ]
    check_settings(settings["language-server"]["tabby-lsp"]["config"])


def test_the_settings_that_helix_file_suggests_are_there() -> None:
    text = (ROOT / "editors" / "helix" / "languages.toml").read_text("utf-8")
    lines = [line[2:] for line in text.splitlines() if re.match(r"# (\[|\w+ = )", line)]
    check_settings(tomllib.loads("\n".join(lines))["language-server"]["tabby-lsp"]["config"])


@pytest.mark.parametrize(
    ("page", "path"), [("kate.md", ("servers", "python")), ("sublime.md", ("clients", "tabby-lsp"))]
)
def test_json_starts_the_server(page: str, path: tuple[str, str]) -> None:
    configuration = json.loads(blocks(page, "json")[0])
    assert configuration[path[0]][path[1]]["command"] == COMMAND


def test_sublimes_settings_are_ours() -> None:
    check_settings(json.loads(blocks("sublime.md", "json")[1])["initializationOptions"])


def test_vscodes_settings_are_ours() -> None:
    check_settings(json.loads(blocks("vscode.md", "json")[0]))


def test_kakounes_servers_are_toml() -> None:
    (block,) = blocks("kakoune.md", "kak")
    servers = re.search(r"lsp_servers %\{(.*?)\n    \}", block, re.DOTALL)
    assert servers is not None
    assert tomllib.loads(servers[1])["tabby-lsp"]["args"] == COMMAND[1:]


def test_eglot_starts_the_server() -> None:
    program, settings = blocks("eglot.md", "elisp")
    assert re.findall(r'"(.*?)"', program) == COMMAND
    assert ":tabby-lsp" in settings
    check_settings({"completion": {"block": re.findall(r'"(.*?)"', settings)[0]}})


def test_every_editor_has_its_way_in_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert [
        page.name for page in PAGES.glob("*.md") if f"docs/editors/{page.name}" not in readme
    ] == []
