"""llama.vim at a llama-server: its request at each key, its cache, and what it asks for ahead."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx2

from benchmarks.keystrokes.contestant import Cost, Suggestion, Totals
from benchmarks.keystrokes.processes import Family, Usage
from benchmarks.peers.llama_vim import (
    AHEAD_MS,
    FIRST_MS,
    MAX_CACHE_KEYS,
    MAX_LINE_SUFFIX_CHARS,
    N_CHARS_BACK,
    headers,
    infill_body,
)
from benchmarks.peers.real_server import KEY, RealServer

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.keystrokes.trace import Edit

NAME, NAME_SPM = "llama.vim", "llama.vim:spm-infill"
_TIMEOUT_S = 600.0


class LlamaVim:
    """Keeps the promises of Contestant."""

    def __init__(
        self, model: Path, n_threads: int, n_ctx: int, *, spm: bool, n_exactly: int = 0
    ) -> None:
        """`n_exactly`: how many tokens each answer has, where they are to be compared by time."""
        self.name = NAME_SPM if spm else NAME
        # Its preset for llama.vim, 1024, leaves no room for an answer in a context as small: three
        # quarters of a batch are the prefix, one quarter is the suffix.
        n_batch = min(1024, n_ctx * 3 // 4)
        options = {
            "--ctx-size": n_ctx,
            "--batch-size": n_batch,
            "--ubatch-size": n_batch,
            "--cache-reuse": 256,
            "--parallel": 1,
            "--threads": n_threads,
            "--threads-batch": n_threads,
        }
        flags = [str(part) for option in options.items() for part in option]
        self._server = RealServer(model, *flags, *(["--spm-infill"] if spm else []))
        self._server.start()
        self._family = Family(self._server.pid)
        self._n_exactly = n_exactly
        limits = httpx2.Limits(max_keepalive_connections=0)  # each of its requests is a new curl
        self._client = httpx2.Client(limits=limits, timeout=_TIMEOUT_S, trust_env=False)
        self._cache: dict[tuple[str, str], str] = {}
        self._costs: list[Cost] = []
        self._totals = Totals()
        self._changed_s = 0.0

    def open(self, path: str, text: str) -> None:
        """It tells its server nothing."""

    def change(self, path: str, before: str, edit: Edit) -> None:
        self._changed_s = time.perf_counter()

    def ask(self, path: str, text: str, cursor: int) -> Suggestion:
        asked_s = self._changed_s or time.perf_counter()
        before, after = text[:cursor], text[cursor:]
        known = self._known(before, after)
        cost = Cost()
        if known is None and len(after.partition("\n")[0]) <= MAX_LINE_SUFFIX_CHARS:
            known, cost = self._infill(before, after, FIRST_MS)
        wait_ms = (time.perf_counter() - asked_s) * 1_000
        self._changed_s = 0.0
        self._costs.append(cost)
        shown = (known or "").rstrip("\n")
        if shown.strip() and self._known(before + shown, after) is None:
            # In its pause: what comes behind this answer, should it be accepted.
            self._infill(before + shown, after, AHEAD_MS)
        return Suggestion(shown, 0, wait_ms)

    def costs(self) -> list[Cost]:
        costs, self._costs = self._costs, []
        return costs

    def totals(self) -> Totals:
        return self._totals

    def usage(self) -> Usage:
        return self._family.usage()

    def wait_idle(self) -> None:
        """It answers what it is asked, and does nothing else."""

    def close(self) -> None:
        self._client.close()
        self._server.__exit__()

    def _known(self, before: str, after: str) -> str | None:
        """An answer to just this, or one from some characters ago that is being typed."""
        known = self._cache.get((before, after))
        for n_typed in range(1, N_CHARS_BACK + 1):
            if known is not None or n_typed > len(before):
                break
            earlier, typed = before[:-n_typed], before[-n_typed:]
            said = self._cache.get((earlier, after), "")
            if said.startswith(typed):
                known = said[n_typed:] or None
        return known

    def _infill(self, before: str, after: str, limit_ms: int) -> tuple[str, Cost]:
        body = infill_body(before, after, limit_ms)
        if self._n_exactly:
            body |= {"n_predict": self._n_exactly, "ignore_eos": True, "t_max_predict_ms": 10**6}
        response = self._client.post(f"{self._server.url}/infill", json=body, headers=headers(KEY))
        answer = response.raise_for_status().json()
        cost = Cost(
            answer["timings/prompt_n"],
            answer["tokens_cached"] - answer["timings/prompt_n"],
            answer["timings/predicted_n"],
        )
        self._totals = Totals(
            self._totals.n_evaluated + cost.n_evaluated,
            self._totals.n_generated + cost.n_generated,
        )
        content: str = answer["content"]
        if len(self._cache) >= MAX_CACHE_KEYS:
            del self._cache[next(iter(self._cache))]
        self._cache[before, after] = content
        return content, cost
