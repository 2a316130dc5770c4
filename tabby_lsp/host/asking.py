"""What a person asks a host: how it is, and to leave."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from tabby_lsp.host import processes
from tabby_lsp.host.conversation import HostGone, Hung, connect
from tabby_lsp.host.model import HostReport
from tabby_lsp.host.packing import unpacked

if TYPE_CHECKING:
    from tabby_lsp.host.frames import Json
    from tabby_lsp.host.place import Place


async def report_of(where: Place) -> HostReport | None:
    """What the host says of itself; None where there is none, or where it hangs or leaves."""
    try:
        reply = await _asked(where, "status")
    except (Hung, HostGone):
        return None
    return unpacked(HostReport, reply["status"]) if reply else None


async def stopped(where: Place) -> int | None:
    """Have the host leave, at once where it hangs; its process, None where there was none."""
    try:
        reply = await _asked(where, "stop")
    except Hung as hung:
        if hung.pid is not None:
            processes.end(hung.pid)
        return hung.pid
    except HostGone:
        return None  # It was leaving already.
    return int(reply["pid"]) if reply else None


async def _asked(where: Place, what: str) -> Json | None:
    """The host's only reply; None where there is no host."""
    conversation = await connect(where)
    if conversation is None:
        return None
    async with aclosing(conversation.ask({"do": what})) as replies:
        async for reply in replies:
            return {**reply, "pid": conversation.pid}
    return {"pid": conversation.pid}
