"""What is known of each language: LSP id, file extensions, line comment, block style, grammar.

Invariant: `LANGUAGES` is all there is to know; whoever needs a new language adds one entry to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from os.path import splitext
from typing import Literal

BlockStyle = Literal["indent", "braces"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """One language as editors, files and parsers know it."""

    id: str  # as in LSP's TextDocumentItem.languageId
    extensions: tuple[str, ...]  # with the dot, in lower case
    line_comment: str  # "" where the language has none
    block_style: BlockStyle  # "braces" stands for every closed block, `end` and `</tag>` included
    family: str = ""  # ids whose files use each other share a family; "" stands for the id itself
    grammar: str | None = None  # module of the tree-sitter grammar; None where text rules must do


LANGUAGES = (
    Language(
        id="python",
        extensions=(".py", ".pyi", ".pyw"),
        line_comment="#",
        block_style="indent",
        grammar="tree_sitter_python",
    ),
    Language(
        id="javascript",
        extensions=(".js", ".mjs", ".cjs"),
        line_comment="//",
        block_style="braces",
        family="javascript",
    ),
    Language(
        id="javascriptreact",
        extensions=(".jsx",),
        line_comment="//",
        block_style="braces",
        family="javascript",
    ),
    Language(
        id="typescript",
        extensions=(".ts", ".mts", ".cts"),
        line_comment="//",
        block_style="braces",
        family="javascript",
    ),
    Language(
        id="typescriptreact",
        extensions=(".tsx",),
        line_comment="//",
        block_style="braces",
        family="javascript",
    ),
    Language(id="go", extensions=(".go",), line_comment="//", block_style="braces"),
    Language(id="rust", extensions=(".rs",), line_comment="//", block_style="braces"),
    Language(id="java", extensions=(".java",), line_comment="//", block_style="braces"),
    Language(id="kotlin", extensions=(".kt", ".kts"), line_comment="//", block_style="braces"),
    Language(id="scala", extensions=(".scala", ".sc"), line_comment="//", block_style="braces"),
    Language(id="swift", extensions=(".swift",), line_comment="//", block_style="braces"),
    Language(id="dart", extensions=(".dart",), line_comment="//", block_style="braces"),
    # A header is C or C++; both share a family, so that the guess costs nothing.
    Language(id="c", extensions=(".c", ".h"), line_comment="//", block_style="braces", family="c"),
    Language(
        id="cpp",
        extensions=(".cpp", ".cc", ".cxx", ".hpp", ".hh", ".hxx", ".ipp", ".inl"),
        line_comment="//",
        block_style="braces",
        family="c",
    ),
    Language(id="csharp", extensions=(".cs", ".csx"), line_comment="//", block_style="braces"),
    Language(id="ruby", extensions=(".rb", ".rake"), line_comment="#", block_style="braces"),
    Language(id="php", extensions=(".php", ".phtml"), line_comment="//", block_style="braces"),
    Language(id="perl", extensions=(".pl", ".pm"), line_comment="#", block_style="braces"),
    Language(id="lua", extensions=(".lua",), line_comment="--", block_style="braces"),
    Language(id="elixir", extensions=(".ex", ".exs"), line_comment="#", block_style="braces"),
    Language(id="haskell", extensions=(".hs",), line_comment="--", block_style="indent"),
    Language(id="r", extensions=(".r",), line_comment="#", block_style="braces"),
    Language(id="julia", extensions=(".jl",), line_comment="#", block_style="braces"),
    Language(
        id="shellscript",
        extensions=(".sh", ".bash", ".zsh", ".ksh"),
        line_comment="#",
        block_style="braces",
    ),
    Language(
        id="powershell",
        extensions=(".ps1", ".psm1", ".psd1"),
        line_comment="#",
        block_style="braces",
    ),
    Language(id="sql", extensions=(".sql",), line_comment="--", block_style="braces"),
    Language(id="terraform", extensions=(".tf",), line_comment="#", block_style="braces"),
    Language(id="html", extensions=(".html", ".htm"), line_comment="", block_style="braces"),
    Language(
        id="vue",
        extensions=(".vue",),
        line_comment="//",
        block_style="braces",
        family="javascript",
    ),
    Language(
        id="svelte",
        extensions=(".svelte",),
        line_comment="//",
        block_style="braces",
        family="javascript",
    ),
    Language(id="xml", extensions=(".xml", ".xsd"), line_comment="", block_style="braces"),
    Language(id="css", extensions=(".css",), line_comment="", block_style="braces", family="css"),
    Language(
        id="scss", extensions=(".scss",), line_comment="//", block_style="braces", family="css"
    ),
    Language(
        id="less", extensions=(".less",), line_comment="//", block_style="braces", family="css"
    ),
    Language(id="json", extensions=(".json",), line_comment="", block_style="braces"),
    Language(id="jsonc", extensions=(".jsonc",), line_comment="//", block_style="braces"),
    Language(id="yaml", extensions=(".yaml", ".yml"), line_comment="#", block_style="indent"),
    Language(id="toml", extensions=(".toml",), line_comment="#", block_style="braces"),
    Language(id="markdown", extensions=(".md", ".markdown"), line_comment="", block_style="indent"),
)

BY_ID = {language.id: language for language in LANGUAGES}

_ID_BY_EXTENSION = {
    extension: language.id for language in LANGUAGES for extension in language.extensions
}


def language_of(path_name: str) -> str:
    """The id of the language that a file's name tells, "" where it tells none."""
    return _ID_BY_EXTENSION.get(splitext(path_name)[1].lower(), "")


def family_of(language_id: str) -> str:
    """The name that ids share whose files use each other; an unknown id is its own family."""
    language = BY_ID.get(language_id)
    return (language.family if language else "") or language_id
