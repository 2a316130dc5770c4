"""What a session of many notifications leaves behind: nothing."""

from __future__ import annotations

import asyncio
import gc
import json
from typing import TYPE_CHECKING, Any

from lsprotocol import types as lsp
from pygls.lsp.server import LanguageServer
from pygls.protocol import default_converter

from tabby_lsp.servers.lsp.protocol import TabbyProtocol

if TYPE_CHECKING:
    from collections.abc import Callable

N_NOTIFICATIONS = 300


class Documents:
    """Has none, and counts what it is told of them."""

    n_changes = 0

    def open(self, params: lsp.DidOpenTextDocumentParams) -> None: ...

    def change(self, params: lsp.DidChangeTextDocumentParams) -> None:
        self.n_changes += 1

    def close(self, params: lsp.DidCloseTextDocumentParams) -> None: ...


class Session:
    """A server without an editor; `n_settings` says how often settings were taken in."""

    def __init__(self) -> None:
        server = LanguageServer(
            "test", "0", protocol_cls=TabbyProtocol, converter_factory=default_converter
        )
        protocol: Any = server.protocol
        self.documents = Documents()
        protocol.documents = self.documents
        self.protocol: TabbyProtocol = protocol
        self.n_settings = 0

        @server.feature(lsp.WORKSPACE_DID_CHANGE_CONFIGURATION)
        async def did_change_configuration(params: lsp.DidChangeConfigurationParams) -> None:
            await asyncio.sleep(0)
            self.n_settings += 1

        self.say("initialize", {"processId": None, "rootUri": None, "capabilities": {}}, id=1)
        self.say("initialized", {})

    def say(self, method: str, params: object, **more: int) -> None:
        message = {"jsonrpc": "2.0", "method": method, "params": params, **more}
        self.protocol.take_frame(json.dumps(message).encode())

    def type(self, version: int) -> None:
        document = {"uri": "file:///a.py", "version": version}
        place = {"line": 0, "character": version}
        changes = [{"range": {"start": place, "end": place}, "text": "x"}]
        params = {"textDocument": document, "contentChanges": changes}
        self.say("textDocument/didChange", params)


def n_objects() -> int:
    gc.collect()
    return len(gc.get_objects())


async def check(say: Callable[[Session, int], None]) -> Session:
    """Nothing of what is said stays."""
    session = Session()
    for number in range(3):
        say(session, number)
    await asyncio.sleep(0.01)
    before = n_objects()
    for number in range(N_NOTIFICATIONS):
        say(session, number)
    await asyncio.sleep(0.01)

    assert n_objects() - before < N_NOTIFICATIONS / 3
    return session


def test_keys_leave_nothing_behind() -> None:
    session = asyncio.run(check(Session.type))

    assert session.documents.n_changes == 3 + N_NOTIFICATIONS


def test_notifications_that_are_waited_for_leave_nothing_behind() -> None:
    params: dict[str, object] = {"settings": {}}
    session = asyncio.run(
        check(lambda session, _: session.say("workspace/didChangeConfiguration", params))
    )
    assert session.n_settings == 3 + N_NOTIFICATIONS
