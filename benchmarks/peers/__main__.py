"""What one typed character costs, beside llama.vim with llama-server on the same model.

Run: `python -m benchmarks.peers`, or `make bench-peers`
"""

from __future__ import annotations

import asyncio
import statistics
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import tabby_lsp
from benchmarks.peers.asking import Asker, Cost, LlamaVim, TabbyLsp, elsewhere
from benchmarks.peers.keystrokes import Typing, typings
from benchmarks.peers.real_server import RealServer
from benchmarks.peers.wire import CountingWire
from tabby_lsp.config import LocalSettings
from tabby_lsp.engines.llama.engine import LlamaEngine
from tabby_lsp.engines.llama.precedence import Precedence
from tabby_lsp.models.families import fim_of
from tabby_lsp.models.gguf import read_header

if TYPE_CHECKING:
    from collections.abc import Mapping

MODEL = next((Path(tabby_lsp.__file__).parent / "models" / "starter").glob("*.gguf"))
N_THREADS = 1
# llama-server's preset for llama.vim has 1024, which leaves no room for an answer in a context of
# 1024: three quarters of a batch are the prefix, one quarter is the suffix.
N_BATCH = 768
SERVER = (
    f"--batch-size {N_BATCH} --ubatch-size {N_BATCH} --cache-reuse 256 --parallel 1 --no-warmup"
    f" --threads {N_THREADS} --threads-batch {N_THREADS}"
).split()

LLAMA_VIM = "llama.vim: /infill"
LLAMA_VIM_SPM = "llama.vim: /infill --spm-infill"
REMOTE = "tabby-lsp: llama-server, suffix first"
REMOTE_PSM = "tabby-lsp: llama-server, prefix first"
REMOTE_INFILL = "tabby-lsp: llama-server, /infill"
LOCAL = "tabby-lsp: the built-in engine"


async def measure() -> None:
    """Print the table, a line for each of the compared."""
    async with AsyncExitStack() as stack:
        askers = await _askers(stack)
        first: dict[str, list[Cost]] = {name: [] for name in askers}
        later: dict[str, list[Cost]] = {name: [] for name in askers}
        places = typings()
        for number, typing in enumerate(places):
            names = [*askers]
            # Another one begins each time, since a machine may be busy with something else.
            for name in names[number % len(names) :] + names[: number % len(names)]:
                costs = await _typed(typing, askers[name])
                first[name].append(costs[0])
                later[name] += costs[1:]
    n_files = len({typing.path for typing in places})
    print(
        f"{len(places)} places in {n_files} files of the standard library, the starter model,"
        f" {N_THREADS} thread; each key asks."
    )
    _print_table("The first key at a place, where nothing was read before", first)
    _print_table("The keys after it, in the middle of a line", later)


async def _askers(stack: AsyncExitStack) -> Mapping[str, Asker]:
    """Each with a llama-server of its own, so that none spoils another's cache."""

    async def wire(*options: str) -> CountingWire:
        server = stack.enter_context(RealServer(MODEL, *SERVER, *options))
        return await stack.enter_async_context(CountingWire(server.port))

    header = read_header(MODEL)
    local = LlamaEngine(
        "starter", header, fim_of(header), LocalSettings(n_threads=N_THREADS), Precedence()
    )
    askers: dict[str, LlamaVim | TabbyLsp] = {
        LLAMA_VIM: LlamaVim(await wire()),
        LLAMA_VIM_SPM: LlamaVim(await wire("--spm-infill")),
        REMOTE: elsewhere(await wire(), family="starter"),
        # Any family with the starter's control tokens that was trained in the other order.
        REMOTE_PSM: elsewhere(await wire(), family="StarCoder"),
        REMOTE_INFILL: elsewhere(await wire()),
        LOCAL: TabbyLsp(local),
    }
    for asker in askers.values():
        stack.push_async_callback(asker.close)
    return askers


async def _typed(typing: Typing, asker: Asker) -> list[Cost]:
    """What each key costs, from the first one on."""
    n_keys = range(1, len(typing.typed) + 1)
    return [
        await asker.ask(typing.path, typing.above + typing.typed[:n], typing.below) for n in n_keys
    ]


def _print_table(title: str, costs: Mapping[str, list[Cost]]) -> None:
    """Times as multiples of the first line's, each key with the same key there."""
    n_keys = len(next(iter(costs.values())))
    print(f"\n{title} ({n_keys} keys)")
    print(f"  {'':38} {'tokens read':>13} {'bytes sent':>11} {'time, by llama.vim':>20}")
    print(f"  {'':38} {'p50':>6} {'p95':>6} {'p50':>11} {'to read':>10} {'in all':>9}")
    base = costs[LLAMA_VIM]
    for name, own in costs.items():
        evaluated = sorted(cost.n_evaluated for cost in own)
        counts = f"{_percentile(evaluated, 0.5):6} {_percentile(evaluated, 0.95):6}"
        sent = _percentile(sorted(cost.sent_bytes for cost in own), 0.5)
        pairs = [*zip(own, base, strict=True)]
        read = statistics.median(mine.prefill_ms / theirs.prefill_ms for mine, theirs in pairs)
        total = statistics.median(mine.total_ms / theirs.total_ms for mine, theirs in pairs)
        print(f"  {name:38} {counts} {sent:11,} {read:10.3f} {total:9.3f}")


def _percentile(ordered: list[int], share: float) -> int:
    return ordered[int(len(ordered) * share)]


if __name__ == "__main__":
    asyncio.run(measure())
