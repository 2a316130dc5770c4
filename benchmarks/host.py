"""What a keystroke costs beside the model when that is in the engine host and not in this process.

The starter completes the same places in both, by turns, so that what else the machine does hits
both alike; beside them stands a request that goes no further than the host.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tabby_lsp.domain import Engine, GenerationRequest

N_REQUESTS = 150
SOURCE = Path(__file__).parent.parent / "tabby_lsp" / "ledger.py"


async def main() -> None:
    from tabby_lsp.choice import engine_for
    from tabby_lsp.config import Settings
    from tabby_lsp.domain import GenerationRequest, Segments
    from tabby_lsp.engines.llama.precedence import Precedence
    from tabby_lsp.host.link import Link

    link = Link()
    here, there = engine_for(Settings(), Precedence()), engine_for(Settings(), link)
    await here.load()
    await there.load()
    text = SOURCE.read_text("utf-8")
    requests = [
        GenerationRequest(Segments(prefix=text[at - 600 : at], suffix=text[at : at + 100]), 8)
        for at in range(4000, 4000 + N_REQUESTS)
    ]
    for request in requests[:5]:
        await timed(here, request)
        await timed(there, request)
    waits: dict[str, list[float]] = {"in process": [], "in the host": []}
    differences = []
    for request in requests:
        here_ms, there_ms = await timed(here, request), await timed(there, request)
        waits["in process"].append(here_ms)
        waits["in the host"].append(there_ms)
        differences.append(there_ms - here_ms)
    print(f"{N_REQUESTS} requests, one key apart, 8 tokens each, by turns")
    for name, times in waits.items():
        print(f"  {name:<12} median {statistics.median(times):6.2f} ms, {quantile(times)}")
    print(f"  difference   median {statistics.median(differences):6.2f} ms")
    conversation = await link.conversation()
    pings = []
    for _ in range(300):
        started_s = time.perf_counter()
        async with aclosing(conversation.ask({"do": "status"})) as replies:
            async for _ in replies:
                pass
        pings.append((time.perf_counter() - started_s) * 1000)
    print(f"  there and back median {statistics.median(pings):4.2f} ms, {quantile(pings)}")
    await here.close()
    await there.close()


async def timed(engine: Engine, request: GenerationRequest) -> float:
    """Milliseconds to the end of an answer."""
    started_s = time.perf_counter()
    async with aclosing(engine.complete(request)) as pieces:
        async for _ in pieces:
            pass
    return (time.perf_counter() - started_s) * 1000


def own_folders(root: Path) -> None:
    """Everything that is written lands under `root`, so that no host of yours takes part."""
    for name in ("CONFIG_HOME", "DATA_HOME", "STATE_HOME", "CACHE_HOME", "RUNTIME_DIR"):
        folder = root / name.lower()
        folder.mkdir(mode=0o700)
        os.environ[f"XDG_{name}"] = str(folder)
    os.environ |= {"TABBY_LSP_HOST_STAYS_S": "1", "TABBY_LSP_HOST_SELF_TEST": "false"}


def quantile(times: list[float]) -> str:
    return f"95 of 100 within {statistics.quantiles(times, n=20)[-1]:.2f} ms"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        own_folders(Path(folder))
        asyncio.run(main())
