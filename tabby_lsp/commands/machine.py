"""What the doctor says of this machine: the parts that no model is needed for."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tabby_lsp.commands.finding import Finding
from tabby_lsp.config import makes_wait
from tabby_lsp.domain import EngineError
from tabby_lsp.engines.llama import caution, library
from tabby_lsp.host.asking import report_of
from tabby_lsp.host.place import place
from tabby_lsp.index.chunks import parsed
from tabby_lsp.index.store import SQLITE_VERSION, can_search_text
from tabby_lsp.languages import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabby_lsp.config import Resolved

_REBUILD = 'pip install --force-reinstall --no-cache-dir "tabby-lsp[local]"'
# What llama.cpp names where it was compiled for x86; without AVX2 it uses units of 1999.
_X86, _X86_VECTORS = "SSE3", "AVX2"


def settings_found(resolved: Resolved) -> Iterator[Finding]:
    """Where settings come from, and what is wrong with them."""
    path = Path(resolved.file)
    where = str(path) if path.exists() else f"{path} (not there: the defaults hold)"
    set_by = "".join(f"\n      {key} is set by {who}" for key, who in resolved.origins.items())
    yield Finding("settings", "OK", where + set_by)
    for problem in resolved.problems:
        yield Finding("settings", "WARN", str(problem))


def log_found(file: str) -> Finding:
    """Whether the log can be written; a test of that leaves no file behind."""
    if not file:
        return Finding("log", "OK", "on standard error, which your editor keeps; no file")
    path = Path(file)
    there = path if path.exists() else next(each for each in path.parents if each.exists())
    is_fit = not path.is_dir() and not makes_wait(path) if path.exists() else there.is_dir()
    if is_fit and os.access(there, os.W_OK):
        return Finding("log", "OK", f"{path}, and standard error")
    remedy = f"Make {there} writable, or set `log.file` in config.toml to another place."
    return Finding("log", "FAIL", f"{path} cannot be written", remedy)


def sqlite_found() -> Finding:
    if can_search_text():
        return Finding("SQLite", "OK", f"{SQLITE_VERSION}, searches text (FTS5)")
    return Finding(
        "SQLite",
        "WARN",
        f"{SQLITE_VERSION}, without the search in text (FTS5)",
        "Use the Python of your system or of python.org, or `uv python install 3.13`.",
    )


def grammars_found() -> Finding:
    """Each grammar that is meant to be there reads a line."""
    wanted = {each.id: each.grammar for each in LANGUAGES if each.grammar}
    broken = [grammar for name, grammar in wanted.items() if parsed("x", name) is None]
    if not broken:
        return Finding("grammars", "OK", f"tree-sitter reads {', '.join(sorted(wanted))}")
    packages = " ".join(name.replace("_", "-") for name in sorted(set(broken)))
    return Finding(
        "grammars",
        "WARN",
        f"{packages} cannot be loaded: snippets are cut at blank lines",
        f"Reinstall them with `pip install --force-reinstall tree-sitter {packages}`.",
    )


def servers_found() -> Finding:
    """What could run a model for us; nothing is wrong where there is none."""
    # The HTTP client is needed here alone.
    from tabby_lsp.engines.remote import running

    servers = asyncio.run(running.running_servers(running.PLACES))
    shown = [f"{s.kind} at {s.url} ({', '.join(s.models) or 'no model'})" for s in servers]
    return Finding("servers here", "OK", "; ".join(shown) or "neither Ollama nor llama-server")


def llama_cpp_found() -> Iterator[Finding]:
    """How llama.cpp was built, and what of the processor it uses."""
    try:
        api = library.opened()
    except EngineError as error:
        yield Finding("llama.cpp", "FAIL", str(error))
        return
    built = "with" if api.llama_supports_gpu_offload() else "without"
    version = f"llama-cpp-python {library.LLAMA_CPP_PYTHON_VERSION}"
    yield Finding("llama.cpp", "OK", f"{version}, built {built} support for a graphics card")
    yield processor_found(
        api.llama_print_system_info().decode(), is_safe=library.extra_buffers_are_safe(api)
    )


def self_test_found() -> Finding:
    """What came of trying llama.cpp out in a process of its own."""
    record, path = caution.remembered(), caution.record_path()
    if record is None:
        return Finding(
            "self-test", "OK", "not yet done; the engine host does it when it first runs"
        )
    if not record.avoided:
        return Finding("self-test", "OK", f"llama.cpp ran well here on {record.day}")
    names = {"repacking": "its repacked weights", "graphics": "the graphics card"}
    avoided = " and ".join(names[feature] for feature in record.avoided)
    return Finding(
        "self-test",
        "WARN",
        f"llama.cpp crashed here on {record.day} ({record.crash}): it does without {avoided}",
        f"Update the driver, or build it on this machine: `{_REBUILD}`. It is tried out again when "
        f"llama.cpp is another one, or when you delete {path}.",
    )


def host_found() -> Finding:
    """Whether an engine host runs, and where it can be reached."""
    try:
        where = place()
    except EngineError as error:
        return Finding("engine host", "FAIL", str(error))
    running = asyncio.run(report_of(where))
    if running is None:
        return Finding("engine host", "OK", f"does not run; its socket would be {where.socket}")
    return Finding(
        "engine host",
        "OK",
        f"process {running.pid}, {running.rss_bytes / 1e6:,.0f} MB, {running.clients} windows",
    )


def processor_found(system_info: str, *, is_safe: bool) -> Finding:
    """From what llama.cpp says of itself: `CPU : SSE3 = 1 | AVX2 = 1 | ...`."""
    features = system_info.replace(" = 1", "").replace("|", " ").split()
    shown = " ".join(feature for feature in features if feature not in ("CPU", ":"))
    amx = "" if is_safe else "; AMX kernels off, they crash"
    if _X86 in features and _X86_VECTORS not in features:
        return Finding(
            "processor",
            "WARN",
            f"llama.cpp was built for {shown}, without {_X86_VECTORS}: it is several times slower",
            f"Build it on this machine, if its processor is of the last ten years: `{_REBUILD}`.",
        )
    return Finding("processor", "OK", f"llama.cpp uses {shown or 'what it has'}{amx}")
