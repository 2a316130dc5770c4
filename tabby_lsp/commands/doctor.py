"""`tabby-lsp doctor`: what works on this machine, and how to mend what does not."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import sys
import time
from contextlib import aclosing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from tabby_lsp import __version__
from tabby_lsp.app import build
from tabby_lsp.config import REMOTE_KINDS, data_dir, user_config_path
from tabby_lsp.domain import EngineError, GenerationRequest, Segments
from tabby_lsp.engines.llama import library
from tabby_lsp.engines.llama.resident import n_ctx_for
from tabby_lsp.index.chunks import has_grammar
from tabby_lsp.models.found import locate
from tabby_lsp.models.gguf import read_header
from tabby_lsp.models.memory import memory_free_bytes, memory_needed_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tabby_lsp.config import Resolved, Settings

Verdict = Literal["OK", "WARN", "FAIL"]

_TRIAL = Segments(
    prefix="def add(a, b):\n    return ", suffix="\n", path="add.py", language="python"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    name: str
    verdict: Verdict
    detail: str
    remedy: str = ""


def doctor(resolved: Resolved, *, as_json: bool) -> int:
    """Print what was found; 1 where something is broken, else 0."""
    findings = list(examine(resolved))
    if as_json:
        sys.stdout.write(json.dumps([asdict(finding) for finding in findings], indent=2) + "\n")
    else:
        sys.stdout.write("".join(_as_text(finding) for finding in findings))
    return 1 if any(finding.verdict == "FAIL" for finding in findings) else 0


def examine(resolved: Resolved) -> Iterator[Finding]:
    """Every check, in the order in which things depend on each other."""
    settings = resolved.settings
    yield Finding("tabby-lsp", "OK", f"{__version__}, Python {sys.version.split()[0]}")
    yield from _configuration(resolved)
    yield _grammar()
    yield _servers()
    if settings.engine in settings.engines:
        yield from _own_engine(settings.engine, settings)
        return
    yield _checked("llama.cpp", _library)
    yield _checked("model", lambda: _model(settings))
    yield _checked("completion", lambda: asyncio.run(_completion(settings)))


def _as_text(finding: Finding) -> str:
    remedy = f"      {finding.remedy}\n" if finding.remedy else ""
    return f"{finding.verdict:<5} {finding.name}: {finding.detail}\n{remedy}"


def _checked(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, "OK", check())
    except EngineError as error:
        return Finding(name, "FAIL", str(error))


def _configuration(resolved: Resolved) -> Iterator[Finding]:
    path = user_config_path()
    where = str(path) if path.exists() else f"{path} (not there: the defaults hold)"
    set_by = "".join(f"\n      {key} is set by {who}" for key, who in resolved.origins.items())
    yield Finding("settings", "OK", where + set_by)
    for problem in resolved.problems:
        yield Finding("settings", "WARN", str(problem))


def _grammar() -> Finding:
    if has_grammar("python"):
        return Finding("tree-sitter", "OK", "cuts Python snippets at definitions")
    return Finding(
        "tree-sitter",
        "WARN",
        "the Python grammar does not load: snippets are cut at blank lines",
        "Reinstall it with `pip install --force-reinstall tree-sitter tree-sitter-python`.",
    )


def _servers() -> Finding:
    """What could run a model for us; nothing is wrong where there is none."""
    # The HTTP client is needed here alone.
    from tabby_lsp.engines.remote.running import running_servers

    servers = asyncio.run(running_servers())
    shown = [f"{s.kind} at {s.url} ({', '.join(s.models) or 'no model'})" for s in servers]
    return Finding("servers here", "OK", "; ".join(shown) or "neither Ollama nor llama-server")


def _own_engine(name: str, settings: Settings) -> Iterator[Finding]:
    engine = settings.engines[name]
    where = f" at {engine.url}" if engine.url else ""
    yield Finding("engine", "OK", f"{name}: {engine.kind}{where}")
    parts = urlsplit(engine.url)
    if parts.scheme == "http" and not _is_this_machine(parts.hostname or ""):
        yield Finding(
            "engine",
            "WARN",
            "your code and the key travel to it in the clear",
            "Give the server a certificate and an https:// address, or use a tunnel (ssh -L).",
        )
    if engine.kind in REMOTE_KINDS:
        yield _checked("completion", lambda: asyncio.run(_completion(settings)))


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _library() -> str:
    api = library.opened()
    features = api.llama_print_system_info().decode().replace(" = 1", "").replace(" |", "").split()
    buffers = "" if library.extra_buffers_are_safe(api) else "; AMX kernels off, they crash"
    return f"llama-cpp-python {library.LLAMA_CPP_PYTHON_VERSION}, {' '.join(features)}{buffers}"


def _model(settings: Settings) -> str:
    header = read_header(locate(settings.model, data_dir()))
    n_ctx = n_ctx_for(header, settings.local.n_ctx)
    needed_bytes = memory_needed_bytes(header, n_ctx, settings.local.n_ubatch)
    free_bytes = memory_free_bytes()
    free = "" if free_bytes is None else f" of {free_bytes / 1e6:,.0f} MB free"
    return f"{header.name}, {header.path}, needs about {needed_bytes / 1e6:,.0f} MB{free}"


async def _completion(settings: Settings) -> str:
    engine = build(settings).engine
    try:
        started_s = time.perf_counter()
        await engine.load()
        loaded_s = time.perf_counter()
        text = ""
        async with aclosing(engine.complete(GenerationRequest(_TRIAL, 16, ("\n",)))) as pieces:
            async for piece in pieces:
                text += piece.text
        answered_s = time.perf_counter()
    finally:
        await engine.close()
    load_ms, answer_ms = (loaded_s - started_s) * 1000, (answered_s - loaded_s) * 1000
    done = "reached" if engine.status.is_remote else "loaded"
    return f"{done} in {load_ms:.0f} ms, `return {text}` in {answer_ms:.0f} ms"
