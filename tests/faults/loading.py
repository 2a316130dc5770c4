"""The child of test_damaged_models: loads each file it is told, as the host would, and says so.

Reads paths from standard input; answers `ok`, or `no` and the sentence. Whatever llama.cpp does to
the process is for its parent to see.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path


async def main(lines: asyncio.StreamReader) -> None:
    from tabby_lsp.choice import engine_of_host
    from tabby_lsp.commands.trial import tried
    from tabby_lsp.config import LocalSettings
    from tabby_lsp.domain import EngineError
    from tabby_lsp.engines.llama.precedence import Precedence
    from tabby_lsp.host.model import HostedModel

    local = LocalSettings(n_ctx=256)
    while path := (await lines.readline()).decode().strip():
        try:
            model = HostedModel(role="completion", name=Path(path).name, path=path, local=local)
            await tried(engine_of_host(model, Precedence()))  # type: ignore[arg-type]
            answer = "ok"
        except EngineError as error:
            answer = "no " + " ".join(str(error).split())
        os.write(1, f"{answer}\n".encode())


async def start() -> None:
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    await main(lines)


if __name__ == "__main__":
    asyncio.run(start())
