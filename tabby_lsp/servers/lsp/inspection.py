"""What `tabby.status` and `tabby.inspect` answer; docs/lsp-extensions.md is its description."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tabby_lsp.app import stats_path
from tabby_lsp.documents import canonical_uri

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tabby_lsp.app import App
    from tabby_lsp.documents import Document
    from tabby_lsp.domain import Decision


def status(app: App | None, version: str, config: str) -> dict[str, Any]:
    """Who runs, with which model, and where its files are."""
    return {
        "version": version,
        "engine": asdict(app.engine.status) if app else None,
        "chat": asdict(app.chat_engine.status) if app else None,
        "config": config,
        "stats": str(stats_path()),
    }


def inspect(app: App | None, documents: Mapping[str, Document], argument: Any) -> dict[str, Any]:
    """The open documents, the last decisions and what the engine has done.

    Raises ValueError when the argument is not `{uri?: string, n?: number, prompt?: boolean}`.
    """
    uri, n_most, with_prompt = _checked(argument)
    decisions = [d for d in app.decisions if uri in (None, canonical_uri(d.uri))] if app else []
    shown = decisions[-n_most:] if n_most else [] if n_most == 0 else decisions
    return {
        "documents": [
            {"uri": document.uri, "version": document.version, "sha256": _sha256(document.text)}
            for key, document in documents.items()
            if uri in (None, key)
        ],
        "decisions": [_decision(decision, with_prompt) for decision in shown],
        "engine": asdict(app.engine.status) if app else None,
    }


def _checked(argument: Any) -> tuple[str | None, int | None, bool]:
    argument = {} if argument is None else argument
    if not isinstance(argument, dict):
        raise ValueError("arguments[0] must be an object {uri?, n?, prompt?}")
    uri, n_most, prompt = argument.get("uri"), argument.get("n"), argument.get("prompt")
    if not isinstance(uri, str | None):
        raise ValueError("`uri` must be a string")
    if n_most is not None and (type(n_most) is not int or n_most < 0):
        raise ValueError("`n` must be a whole number, 0 or more")
    if not isinstance(prompt, bool | None):
        raise ValueError("`prompt` must be true or false")
    return canonical_uri(uri) if uri is not None else None, n_most, bool(prompt)


def _decision(decision: Decision, with_prompt: bool) -> dict[str, Any]:
    segments = decision.segments
    snippets = segments.snippets if segments else ()
    shown = {
        "uri": decision.uri,
        "version": decision.version,
        "position": {"line": decision.line, "character": decision.character},
        "shape": decision.shape,
        "outcome": decision.outcome,
        "reason": decision.reason,
        "model": decision.model,
        "snippets": [{"path": s.path, "n_chars": len(s.text)} for s in snippets],
        "timings": asdict(decision.timings),
    }
    if with_prompt:
        shown["segments"] = asdict(segments) if segments else None
    return shown


def _sha256(text: str) -> str:
    # A lone surrogate has no UTF-8 of its own; it is hashed as the three bytes it would have.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
