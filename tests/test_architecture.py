"""The walls of docs/architecture.md: floors, doors, the pure core, sizes and names.

The tables below are the project's only list of them; the page shows the same.
"""

from __future__ import annotations

import ast
import builtins
import fnmatch
import graphlib
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "tabby_lsp"
PAGE = "docs/architecture.md"

# A part imports lower floors and itself; neighbours on a floor do not know each other.
FLOORS = (
    "domain",
    "config languages documents secrets",
    "models ledger",
    "completion chat engines host index",
    "fates sharing request talk choice rack ahead",
    "beside",
    "app suggest stock consult",
    "servers",
    "commands",
    "cli",
    "__main__",
)

# A foreign world (names, `*` for any ending) -> the rooms that know it; no other does.
DOORS = {
    "pygls lsprotocol attrs cattrs": "servers.lsp",
    "starlette fastapi uvicorn pydantic": "servers.http",
    "llama_cpp numpy": "engines.llama",
    "ctypes": "engines.llama models.memory servers.lsp.parent",
    "tree_sitter*": "index",
    "sqlite3": "index.store",
    "socket socketserver ssl http urllib.request httpx* requests huggingface_hub"
    " asyncio.open_connection asyncio.open_unix_connection asyncio.start_server"
    " asyncio.start_unix_server": "models engines.remote host servers.http",
    "os.environ os.getenv platformdirs": "config",
    "tomllib": "config models.catalog",
    "tqdm": "commands",
    "jinja2": "engines.llama.template_child",
    "subprocess asyncio.create_subprocess_* os.system os.popen": (
        "index host commands engines.llama.template"
    ),
    "importlib.import_module builtins.__import__": "index commands",
    "sys.stdin sys.stdout": "servers.lsp commands cli engines.llama.template_child",
    "pickle marshal shelve builtins.eval builtins.exec builtins.print": "",
    "builtins.input": "commands.chat",
}

# The pure core: values in, values out. It may import these worlds and no others.
PURE = "completion"
PURE_WORLDS = (
    "__future__ ast bisect collections dataclasses difflib enum functools hashlib heapq itertools"
    " keyword math operator re string textwrap typing unicodedata pathlib.PurePosixPath"
)
PURE_EXCEPTIONS = {"completion.pipeline": "asyncio contextlib"}
IMPURE_NAMES = "builtins.open asyncio.sleep asyncio.to_thread"

MAX_LINES = 400
SAYS_NOTHING = {"utils", "util", "helpers", "common", "misc", "base", "manager"}


@dataclass(frozen=True, slots=True)
class Module:
    """One file of the package."""

    path: str  # from the repository's top, with forward slashes
    source: str

    @property
    def name(self) -> str:
        """Without the package's own name: `completion.cache`; "" for the package itself."""
        folders = self.path.removesuffix(".py").removesuffix("/__init__").split("/")
        return ".".join(folders[1:])

    @property
    def part(self) -> str:
        return self.name.split(".")[0]


@dataclass(frozen=True, slots=True)
class Use:
    """A name from elsewhere, in full: `tabby_lsp.domain.Engine`, `os.environ.get`."""

    name: str
    line: int
    is_import: bool


def uses(module: Module) -> Iterator[Use]:
    """What the module takes from elsewhere, also inside functions and under TYPE_CHECKING.

    Types count because a module that is written in another's words knows that other.
    """
    known = {name: f"builtins.{name}" for name in dir(builtins)}
    tree = ast.parse(module.source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                full, local = imported(node, alias, module)
                known[local] = full if alias.asname else full.removesuffix(alias.name) + local
                yield Use(full, node.lineno, is_import=True)
    for node in ast.walk(tree):
        name = dotted(node)
        first, _, rest = name.partition(".")
        if first in known:
            yield Use(f"{known[first]}.{rest}".rstrip("."), node.lineno, is_import=False)  # type: ignore[attr-defined]
        if isinstance(node, ast.Call) and dotted(node.func).endswith("import_module"):
            for literal in node.args[:1]:
                if isinstance(literal, ast.Constant):
                    yield Use(str(literal.value), node.lineno, is_import=True)


def imported(
    node: ast.Import | ast.ImportFrom, alias: ast.alias, module: Module
) -> tuple[str, str]:
    """The full name of what is imported, and the name it has here."""
    if isinstance(node, ast.Import):
        return alias.name, alias.asname or alias.name.split(".")[0]
    start = module.path.split("/")[: -node.level] if node.level else []
    above = ".".join([*start, *([node.module] if node.module else [])])
    return f"{above}.{alias.name}".removesuffix(".*"), alias.asname or alias.name


def dotted(node: ast.AST) -> str:
    """`a.b.c` for names and attributes of names, "" for anything else."""
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return before and f"{before}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def world_of(name: str, worlds: str) -> str:
    """What the name begins with that is one of the worlds: `os.environ` for `os.environ.get`."""
    starts = [name[: end.start()] for end in re.finditer(r"\.|$", name)]
    patterns = worlds.split()
    return next((s for s in starts if any(fnmatch.fnmatchcase(s, p) for p in patterns)), "")


def floor_of(part: str) -> int:
    """0 is the ground; -1 for `tabby_lsp/__init__.py`, which everybody may import."""
    return next((n for n, parts in enumerate(FLOORS) if part in parts.split()), -1)


def broken_floors(module: Module) -> Iterator[tuple[int, str]]:
    here = floor_of(module.part)
    if module.part and here < 0:
        yield 1, f"`{module.part}` stands on no floor; FLOORS of this test gives it one (Floors)."
        return
    for use in uses(module):
        if not use.is_import or not use.name.startswith(f"{PACKAGE}."):
            continue
        part = use.name.split(".")[1]
        there = floor_of(part)
        if part != module.part and there >= here:
            yield (
                use.line,
                f"imports {use.name}: `{module.part or PACKAGE}` is on floor {here} and knows the"
                f" floors below and itself; `{part}` is on floor {there} (Floors).",
            )


def broken_doors(module: Module) -> Iterator[tuple[int, str]]:
    for use in uses(module):
        top = use.name.split(".")[0]
        doors = {world_of(use.name, worlds): rooms for worlds, rooms in DOORS.items()}
        doors.pop("", None)
        for world, rooms in doors.items():
            if not world_of(module.name, rooms):
                yield use.line, f"uses {world}: the door to it is {rooms or 'nowhere'} (Doors)."
        if use.is_import and not doors and top not in {*sys.stdlib_module_names, PACKAGE}:
            yield use.line, f"imports {use.name}: a dependency without a door (Doors)."


def broken_purity(module: Module) -> Iterator[tuple[int, str]]:
    if module.part != PURE:
        return
    allowed = f"{PACKAGE} {PURE_WORLDS} {PURE_EXCEPTIONS.get(module.name, '')}"
    for use in uses(module):
        if world_of(use.name, IMPURE_NAMES) or (use.is_import and not world_of(use.name, allowed)):
            yield (
                use.line,
                f"uses {use.name}: `{PURE}` does no IO and has no clock, thread or logger; what it"
                " needs of the world comes in as a value (The pure core).",
            )


def broken_sizes_and_names(module: Module) -> Iterator[tuple[int, str]]:
    n_lines = module.source.count("\n")
    if n_lines > MAX_LINES:
        yield MAX_LINES, f"goes on to line {n_lines}; {MAX_LINES} is the stop (Sizes and names)."
    for word in SAYS_NOTHING.intersection(module.name.split(".")):
        yield 1, f"`{word}` does not say what is in it (Sizes and names)."
    if not ast.get_docstring(ast.parse(module.source)):
        yield 1, "has no docstring: one sentence and the invariant (Sizes and names)."


WALLS = (broken_floors, broken_doors, broken_purity, broken_sizes_and_names)


def broken_walls(module: Module) -> list[str]:
    """`path:line what was broken`, each once and in order of lines."""
    first: dict[str, int] = {}
    for line, what in (broken for wall in WALLS for broken in wall(module)):
        first[what] = min(line, first.get(what, line))
    found = sorted((line, what) for what, line in first.items())
    return [f"{module.path}:{line} {what} See {PAGE}." for line, what in found]


def find_cycle(modules: list[Module]) -> list[str]:
    """The names of modules that import each other in a ring, or []."""
    names = {module.name for module in modules}
    graph = {
        module.name: {
            nearest
            for use in uses(module)
            if use.is_import and use.name.startswith(f"{PACKAGE}.")
            for nearest in [nearest_module(use.name.removeprefix(f"{PACKAGE}."), names)]
            if nearest != module.name
        }
        for module in modules
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def nearest_module(name: str, modules: set[str]) -> str:
    """`domain` for `domain.Engine`."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name


def the_modules() -> list[Module]:
    paths = sorted((ROOT / PACKAGE).rglob("*.py"))
    return [Module(path.relative_to(ROOT).as_posix(), path.read_text("utf-8")) for path in paths]


# The package as it is.


@pytest.mark.parametrize("module", the_modules(), ids=lambda module: module.path)
def test_no_wall_is_broken(module: Module) -> None:
    walls = broken_walls(module)
    assert not walls, "\n" + "\n".join(walls)


def test_no_modules_import_each_other_in_a_ring() -> None:
    ring = find_cycle(the_modules())
    assert not ring, f"{' -> '.join(ring)}: move what they share to a lower floor. See {PAGE}."


@pytest.mark.parametrize("entrance", ["cli", "servers.lsp.server"])
def test_starting_loads_nothing_heavy(entrance: str) -> None:
    """What the models and the index need is loaded when they are first needed."""
    heavy = ["llama_cpp", "numpy", "tree_sitter", "huggingface_hub", "httpx2", "tqdm"]
    code = f"import sys, {PACKAGE}.{entrance}; print(*set({heavy}) & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    said = loaded.stdout + loaded.stderr
    assert said == "\n", f"{said}python -X importtime -c '{code}' shows who loads it"


def test_the_page_shows_the_tables() -> None:
    page = (ROOT / PAGE).read_text("utf-8")
    floors = [f"| {n} | {code_words(parts)} |" for n, parts in enumerate(FLOORS)]
    doors = [f"| {code_words(worlds)} | {code_words(rooms)} |" for worlds, rooms in DOORS.items()]
    missing = [row for row in [*floors[::-1], *doors] if row not in page]
    assert not missing, f"{PAGE} lacks these rows of this test's tables:\n" + "\n".join(missing)


def code_words(words: str) -> str:
    return " ".join(f"`{word.removeprefix('builtins.')}`" for word in words.split()) or "nowhere"


def test_the_page_has_every_folder() -> None:
    page = (ROOT / PAGE).read_text("utf-8")
    folders = {module.path.split("/", 1)[1].rpartition("/")[0] for module in the_modules()}
    missing = [folder for folder in sorted(folders - {""}) if f"`{folder}/`" not in page]
    assert not missing, f"the map in {PAGE} says nothing of {missing}"


# The walls hold: each falls to an invented module.


def check(path: str, source: str, *expected: str) -> None:
    """Each broken wall of this module, in order of lines, says what is expected of it."""
    walls = broken_walls(Module(f"{PACKAGE}/{path}", f'"""Invented."""\n{source}\n'))
    assert len(walls) == len(expected), walls
    for wall, part in zip(walls, expected, strict=True):
        assert part in wall


def test_lower_floors_and_the_own_package_are_free() -> None:
    check("completion/cache.py", "from tabby_lsp.domain import Engine\nfrom . import pipeline")
    check("domain.py", "from tabby_lsp import __version__")


def test_a_higher_floor_is_named_with_its_line() -> None:
    check(
        "models/gguf.py",
        "import tabby_lsp.domain\nfrom tabby_lsp.app import build",
        "tabby_lsp/models/gguf.py:3 imports tabby_lsp.app.build: `models` is on floor 2",
    )


def test_neighbours_do_not_know_each_other() -> None:
    check("completion/cache.py", "from ..engines import scripted", "`engines` is on floor 3")
    check("config.py", "from tabby_lsp import languages", "`languages` is on floor 1")


def test_imports_in_functions_and_for_types_count() -> None:
    check("host/find.py", "def f():\n    from tabby_lsp.app import build", ":3 imports")
    check("domain.py", "if TYPE_CHECKING:\n    import tabby_lsp.config", "on floor 1")


def test_a_part_without_a_floor_is_found() -> None:
    check("plugins.py", "", "`plugins` stands on no floor")


def test_a_foreign_world_has_one_door() -> None:
    check("engines/llama/kv.py", "import llama_cpp.llama_cpp as c\nimport numpy as np")
    check("engines/remote/openai.py", "import numpy as np", "the door to it is engines.llama")
    check("index/chunks.py", "import tree_sitter_python")
    check("languages.py", "import tree_sitter_python", "the door to it is index")


def test_a_dynamic_import_is_an_import() -> None:
    check("commands/doctor.py", "import importlib as i\ni.import_module('numpy')", "engines.llama")
    check("app.py", "from importlib import import_module as load", "index commands")


def test_environment_and_network_are_found_behind_other_names() -> None:
    check("app.py", "import os\nos.environ.get('HOME')", ":3 uses os.environ: ")
    check("app.py", "from os import environ as e", ":2 uses os.environ: ")
    check("index/files.py", "import urllib.parse")
    check("index/files.py", "from urllib import request", "the door to it is models")
    check("index/files.py", "import asyncio as a\na.open_connection()", "engines.remote")


def test_some_worlds_have_no_door() -> None:
    check("models/cache.py", "import pickle", "nowhere")
    check("cli.py", "print('hello')", "nowhere")
    check("app.py", "import yaml", "a dependency without a door")


def test_the_core_is_pure() -> None:
    check("completion/cache.py", "from collections.abc import Iterator\nimport re")
    check("completion/cache.py", "import time", "no clock")
    check("completion/cache.py", "def f(path):\n    return open(path)", ":3 uses builtins.open")
    check("completion/cache.py", "from pathlib import Path, PurePosixPath", "uses pathlib.Path:")
    check("completion/cache.py", "import asyncio", "asyncio")
    check("completion/pipeline.py", "import asyncio\nasyncio.sleep(1)", ":3 uses asyncio.sleep")


def test_sizes_names_and_docstrings() -> None:
    check("completion/utils.py", "", "`utils` does not say")
    check("app.py", "\n" * 400, "goes on to line 402")
    assert "no docstring" in broken_walls(Module(f"{PACKAGE}/app.py", "VALUE = 1\n"))[0]


def test_a_ring_is_found_through_a_package() -> None:
    ring = [
        Module("tabby_lsp/index/__init__.py", ""),
        Module("tabby_lsp/index/files.py", "from tabby_lsp.index import chunks"),
        Module("tabby_lsp/index/chunks.py", "def f():\n    from .store import Store"),
        Module("tabby_lsp/index/store.py", "import tabby_lsp.index.files as files"),
    ]
    assert set(find_cycle(ring)) == {"index.files", "index.chunks", "index.store"}
    assert find_cycle(ring[:3]) == []
