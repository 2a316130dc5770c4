"""The README's file tree is what the modules say of themselves, and links lead somewhere."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "tabby_lsp"
README = ROOT / "README.md"
TREE = re.compile(r"(?<=```text\n)tabby_lsp/ .*?(?=```)", re.DOTALL)
NAME_COLUMNS = 20
LINK = re.compile(r"\]\((?!\w+:)([^)#]+)")


def test_the_tree_is_what_the_modules_say() -> None:
    """Writes the tree anew where it has drifted, so that failing once is all there is to do."""
    readme = README.read_text("utf-8")
    lines = [line(path) for path in sorted(PACKAGE.rglob("*.py"), key=place)]
    fresh = TREE.sub(lambda _: "\n".join([*lines, ""]), readme)
    if fresh != readme:
        README.write_text(fresh, "utf-8")
    assert fresh == readme, "README.md is written anew; look at it and commit it"


def test_links_between_pages_lead_to_files() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    links = [(page, link) for page in pages for link in LINK.findall(page.read_text("utf-8"))]
    broken = [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()]
    assert len(links) > 10
    assert broken == []


def place(path: Path) -> tuple[tuple[bool, str], ...]:
    """Folders stand below the files beside them, and begin with their own sentence."""
    folders = path.relative_to(PACKAGE).parts[:-1]
    name = "" if path.name == "__init__.py" else path.name
    return (*((True, folder) for folder in folders), (False, name))


def line(path: Path) -> str:
    is_folder = path.name == "__init__.py"
    name = f"{path.parent.name}/" if is_folder else path.name
    depth = len(path.relative_to(ROOT).parts) - (2 if is_folder else 1)
    return f"{'  ' * depth + name:{NAME_COLUMNS}} {first_sentence(path)}"


def first_sentence(path: Path) -> str:
    paragraph = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split("\n\n")[0]
    return re.split(r"(?<=\.)\s", " ".join(paragraph.split()))[0]
