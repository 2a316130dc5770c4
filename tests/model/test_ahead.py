"""What is prepared ahead stands behind all that is asked for: the app with the starter model."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from tabby_lsp.app import App
from tabby_lsp.config import CompletionSettings, Settings
from tabby_lsp.engines.llama.precedence import Precedence
from tabby_lsp.engines.scripted import ScriptedEngine
from tabby_lsp.request import Ask
from tests.model.starter import SOURCE, run

if TYPE_CHECKING:
    import pytest

    from tabby_lsp.engines.llama.engine import LlamaEngine


def ask_at(prefix: str, suffix: str, version: int) -> Ask:
    return Ask(
        uri="file:///project/shop.py",
        version=version,
        language="python",
        path=None,
        root=None,
        line=0,
        character=0,
        prefix=prefix,
        suffix=suffix,
        n_document_chars=len(prefix + suffix),
        automatic=True,
    )


async def n_generated_when_idle(engine: LlamaEngine) -> int:
    """All that was generated; waits until nothing more comes."""
    n_before = -1
    while (n_now := engine.status.n_generated_total) != n_before:
        n_before = n_now
        await asyncio.sleep(0.5)
    return n_now


def test_who_asks_while_something_is_prepared_is_answered_and_that_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tabby_lsp.ahead.PAUSE_S", 0)
    rng = random.Random("ahead")
    settings = Settings(completion=CompletionSettings(confidence=0))

    async def work(engine: LlamaEngine) -> tuple[list[str], int, int]:
        app = App(settings, engine, ScriptedEngine(()), Precedence())
        reasons: list[str] = []
        n_own = 0
        for n in range(30):
            prefix = f"{SOURCE[:3000]}\n\nvalue_{n} = "
            for version, typed in enumerate(("", "z")):
                reply = await app.complete(ask_at(prefix + typed, "\n\n", version))
                reasons.append(reply.decision.reason)
                n_own += reply.decision.timings.n_generated_tokens
                await asyncio.sleep(rng.uniform(0, 0.02))
        return reasons, n_own, await n_generated_when_idle(engine)

    reasons, n_own, n_all = run(work)
    assert set(reasons) <= {"line", "nothing-to-add", "filtered", "cached"}
    assert reasons.count("line") > 20
    # Each suggestion that is shown is followed by one line at the most.
    assert n_all - n_own <= 48 * reasons.count("line")
