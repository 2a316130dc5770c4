"""`tabby-lsp doctor`: what works on this machine, and how to mend what does not."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import platform
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tabby_lsp import __version__
from tabby_lsp.choice import NO_CHAT_MODEL, chat_engine_for, engine_for
from tabby_lsp.commands import machine
from tabby_lsp.commands.bar import Bar
from tabby_lsp.commands.finding import Finding, checked
from tabby_lsp.commands.hashes import known_sha256, verdict
from tabby_lsp.commands.trial import talked, tried
from tabby_lsp.config import REMOTE_KINDS, data_dir
from tabby_lsp.engines.llama.precedence import Precedence
from tabby_lsp.engines.llama.resident import n_ctx_for
from tabby_lsp.models.cursor import shown
from tabby_lsp.models.families import fim_of
from tabby_lsp.models.found import installed, locate
from tabby_lsp.models.gguf import read_header
from tabby_lsp.models.memory import check_fits, memory_free_bytes, memory_needed_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabby_lsp.config import Resolved, Settings


def doctor(resolved: Resolved, *, as_json: bool) -> int:
    """Print what is found, each as soon as it is; 1 where something is broken, else 0."""
    findings = []
    for finding in examine(resolved):
        findings.append(finding)
        if not as_json:
            sys.stdout.write(f"{finding}\n")
            sys.stdout.flush()
    if as_json:
        sys.stdout.write(json.dumps([asdict(finding) for finding in findings], indent=2) + "\n")
    return 1 if any(finding.verdict == "FAIL" for finding in findings) else 0


def examine(resolved: Resolved) -> Iterator[Finding]:
    """Every check, in the order in which things depend on each other."""
    settings = resolved.settings
    yield Finding("tabby-lsp", "OK", f"{__version__}, Python {sys.version.split()[0]}")
    yield Finding("system", "OK", f"{platform.system()} {platform.release()}, {platform.machine()}")
    yield from machine.settings_found(resolved)
    yield machine.log_found(settings.log.file)
    yield machine.sqlite_found()
    yield machine.grammars_found()
    yield machine.servers_found()
    if settings.engine in settings.engines:
        yield from _own_engine(settings.engine, settings)
    else:
        yield from _built_in_engine(settings)
    yield from _chat(settings)


def _built_in_engine(settings: Settings) -> Iterator[Finding]:
    """Up to what is broken: what depends on it would only say the same."""
    for check in (_library, _host, _model, _hash, _memory, _completion):
        for finding in check(settings):
            yield finding
            if finding.verdict == "FAIL":
                return


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
        yield from _completion(settings)


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _library(_: Settings) -> Iterator[Finding]:
    yield from machine.llama_cpp_found()
    yield machine.self_test_found()


def _host(settings: Settings) -> Iterator[Finding]:
    if settings.host.shared:
        yield machine.host_found()


def _model(settings: Settings) -> Iterator[Finding]:
    """Its file, and that it is trained to fill in; its name is only what the file claims."""

    def check() -> str:
        header = read_header(locate(settings.model, data_dir()))
        fim_of(header)
        return f"{header.path}, which calls itself {shown(header.name)}, can fill in the middle"

    yield checked("model", check)


def _hash(settings: Settings) -> Iterator[Finding]:
    """Nothing of a file that there is nothing to compare with."""
    path = locate(settings.model, data_dir())
    for name, each in installed(data_dir()).items():
        if each == path and known_sha256(name) is not None:
            with Bar() as bar:
                word, text = verdict(name, path, bar)
            yield Finding("SHA-256", "OK" if word == "OK" else "FAIL", text)


def _memory(settings: Settings) -> Iterator[Finding]:
    def check() -> str:
        header = read_header(locate(settings.model, data_dir()))
        n_ctx, n_ubatch = n_ctx_for(header, settings.local.n_ctx), settings.local.n_ubatch
        check_fits(header, n_ctx, n_ubatch)
        needed_bytes = memory_needed_bytes(header, n_ctx, n_ubatch)
        free_bytes = memory_free_bytes()
        free = "" if free_bytes is None else f" of {free_bytes / 1e6:,.0f} MB free"
        return f"the model needs about {needed_bytes / 1e6:,.0f} MB{free} for {n_ctx:,} tokens"

    yield checked("memory", check)


def _chat(settings: Settings) -> Iterator[Finding]:
    """One answer of the chat model, where there is one."""
    chat = settings.chat
    if not chat.model and chat.engine not in settings.engines:
        yield Finding("chat", "OK", f"off. {NO_CHAT_MODEL}")
        return

    def check() -> str:
        engine = chat_engine_for(settings, Precedence())
        trial = asyncio.run(talked(engine))
        done = "reached" if engine.status.is_remote else "loaded"
        return f"{engine.status.model}, {done} in {trial.load_ms:.0f} ms, {trial}"

    yield checked("chat", check)


def _completion(settings: Settings) -> Iterator[Finding]:
    def check() -> str:
        engine = engine_for(settings, Precedence())
        trial = asyncio.run(tried(engine))
        done = "reached" if engine.status.is_remote else "loaded"
        return f"{done} in {trial.load_ms:.0f} ms, {trial}"

    yield checked("completion", check)
