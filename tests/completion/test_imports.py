"""A file's imports are found in the languages that have them, whole and in their order."""

from __future__ import annotations

import time

import pytest

from tabby_lsp.completion.imports import imports_of


def check(head: str, imports: str) -> None:
    assert imports_of(head) == imports


def test_the_imports_of_python() -> None:
    check(
        '"""A shop."""\n\nfrom __future__ import annotations\n\nimport os.path as p\n'
        "from .shelf import (\n    Book,  # (one)\n    Shelf,\n)\n\nPRICE = 3\n",
        "from __future__ import annotations\nimport os.path as p\n"
        "from .shelf import (\n    Book,  # (one)\n    Shelf,\n)\n",
    )


def test_imports_that_are_only_for_types() -> None:
    check("if TYPE_CHECKING:\n    from a import B\n\n", "    from a import B\n")


@pytest.mark.parametrize(
    "line",
    [
        "#include <stdio.h>\n",
        "use std::io::{self, Read};\n",
        "using System.Text;\n",
        "package main\n",
        'import {\n  a,\n  b,\n} from "./ab";\n',
        "import type { A } from './a'\n",
        "export * from './b'\n",
        'import (\n\t"fmt"\n)\n',
        "import java.util.*;\n",
        "import static org.junit.Assert.*;\n",
        'const { a } = require("a")\n',
        "require 'json'\n",
        'require_once("a.php");\n',
        "open System.IO\n",
        "@import UIKit;\n",
    ],
)
def test_other_languages(line: str) -> None:
    check("// first\n" + line + "\nint x = 1;\n", line)


@pytest.mark.parametrize(
    "line",
    ["imports = 3\n", "from_here()\n", "using(a) {\n", "open(path)\n", "use it or lose it\n"],
)
def test_what_only_looks_like_one(line: str) -> None:
    check(line, "")


def test_a_bracket_in_a_comment_opens_nothing() -> None:
    check("import os  # see (1\nx = 1\nimport re\n", "import os  # see (1\nimport re\n")


def test_a_line_may_go_on_behind_a_backslash() -> None:
    check("from a import b, \\\n    c\nx = 1\n", "from a import b, \\\n    c\n")


def test_a_blank_line_ends_what_was_left_open() -> None:
    check("from a import (\n    b\n\nx = 1\n", "from a import (\n    b\n")


@pytest.mark.parametrize("word", ["using", "const", "import", "use", "export {"])
def test_a_long_line_takes_no_longer_than_a_text(word: str) -> None:
    """Here 0.4 s each with expressions that look through all of it."""
    started_s = time.perf_counter()
    for n in range(20):
        imports_of(word + " " * (3_900 - n))

    assert time.perf_counter() - started_s < 2


def test_a_statement_without_an_end_is_not_the_whole_file() -> None:
    taken = imports_of("import (\n" + "x\n" * 500)

    assert taken.count("\n") == 40


def test_the_line_in_which_the_head_ends_may_be_cut() -> None:
    check("import os\nimport sy", "import os\nimport sy")
    check("", "")
