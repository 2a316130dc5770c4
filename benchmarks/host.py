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
    conversation = await link.conversation()
    waits: dict[str, list[float]] = {"in process": [], "in the host": []}
    work: dict[str, list[float]] = {"in process": [], "in the host": []}
    for request in requests:
        for name, engine in (("in process", here), ("in the host", there)):
            before_ms = processor_ms(conversation.pid)
            waits[name].append(await timed(engine, request))
            work[name].append(processor_ms(conversation.pid) - before_ms)
    print(f"{N_REQUESTS} requests, one key apart, 8 tokens each, by turns")
    for name, times in waits.items():
        mean_ms = statistics.mean(work[name])
        print(
            f"  {name:<12} median {statistics.median(times):6.2f} ms, {quantile(times)}, "
            f"processor time {mean_ms:.1f} ms each"
        )
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


def processor_ms(host: int) -> float:
    """What this process and the host have used so far; the host's in steps of ten."""
    fields = Path(f"/proc/{host}/stat").read_bytes().rpartition(b")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return (time.process_time() + ticks / os.sysconf("SC_CLK_TCK")) * 1000


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
