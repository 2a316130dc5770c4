"""The pygls server: what is advertised, and a few lines for each request.

A handler takes the parameters apart, calls the session, and puts the answer together.
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException, JsonRpcInternalError, JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer
from pygls.protocol import default_converter

from tabby_lsp import __version__
from tabby_lsp.servers.lsp import actions, parent, wire
from tabby_lsp.servers.lsp.asks import DID_ACCEPT
from tabby_lsp.servers.lsp.chats import CHAT, EXPLAIN, TASKS, Chats, argument_of
from tabby_lsp.servers.lsp.garbage import spare_what_stays
from tabby_lsp.servers.lsp.menu import TRIGGER_CHARACTERS
from tabby_lsp.servers.lsp.protocol import TabbyProtocol
from tabby_lsp.servers.lsp.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tabby_lsp.app import App
    from tabby_lsp.chat.prompts import Task
    from tabby_lsp.config import Settings, Source

    BuildApp = Callable[[Settings], App]

logger = logging.getLogger(__name__)

# No `completionItem/resolve`: an entry is complete as it is, and Helix would wait for the answer.
MENU_OPTIONS = lsp.CompletionOptions(
    trigger_characters=TRIGGER_CHARACTERS, resolve_provider=False, work_done_progress=False
)


class TabbyLanguageServer(LanguageServer):
    """pygls' server with our protocol and a session; lives as long as the connection."""

    protocol: TabbyProtocol

    def __init__(self, build_app: BuildApp, sources: Sequence[Source]) -> None:
        super().__init__(
            "tabby-lsp",
            __version__,
            text_document_sync_kind=lsp.TextDocumentSyncKind.Incremental,
            protocol_cls=TabbyProtocol,
            converter_factory=default_converter,
        )
        self.session = Session(self, build_app, sources)
        self.protocol.documents = self.session

    def report_server_error(self, error: Exception, source: object) -> None:
        """Errors go to the log; pygls would open a popup for each."""
        if isinstance(error, JsonRpcException) and not isinstance(error, JsonRpcInternalError):
            logger.info("a request was refused: %s", error)
        else:
            logger.error("a fault of tabby-lsp itself", exc_info=error.__cause__ or error)


def create_server(build_app: BuildApp, sources: Sequence[Source]) -> TabbyLanguageServer:
    """A server with all its handlers, not yet connected to anything."""
    server = TabbyLanguageServer(build_app, sources)
    session = server.session
    chats = Chats(server, session, session.voice)

    @server.feature(lsp.INITIALIZE)
    async def initialize(params: lsp.InitializeParams) -> None:
        await session.begin(params)
        offer_menu()
        spare_what_stays()

    @server.feature(lsp.INITIALIZED)
    async def initialized(params: lsp.InitializedParams) -> None:
        await session.pull_settings()
        await announce_menu()

    @server.feature(lsp.WORKSPACE_DID_CHANGE_CONFIGURATION)
    async def did_change_configuration(params: lsp.DidChangeConfigurationParams) -> None:
        await session.take_settings(params.settings)
        await announce_menu()

    @server.feature(lsp.TEXT_DOCUMENT_DID_SAVE)
    def did_save(params: lsp.DidSaveTextDocumentParams) -> None:
        session.saved(params.text_document.uri)

    # Without options pygls does not advertise it; lsp-mode reads an empty object as nothing.
    options = lsp.InlineCompletionOptions(work_done_progress=False)

    @server.feature(lsp.TEXT_DOCUMENT_INLINE_COMPLETION, options)
    async def inline_completion(
        params: lsp.InlineCompletionParams,
    ) -> lsp.InlineCompletionList | None:
        return await session.inline_completion(params)

    def offer_menu() -> bool:
        """Answer the menu's requests where that is wanted; whether it was not answered before."""
        method = lsp.TEXT_DOCUMENT_COMPLETION
        if not session.offers_menu or method in server.protocol.fm.features:
            return False
        server.feature(method, MENU_OPTIONS)(menu_completion)
        return True

    async def announce_menu() -> None:
        if offer_menu():
            await session.announce_menu(MENU_OPTIONS)

    async def menu_completion(params: lsp.CompletionParams) -> lsp.CompletionList:
        return await session.menu_completion(params)

    @server.feature(lsp.SHUTDOWN)
    async def shutdown(*_: object) -> None:
        await session.end()

    @server.command("tabby.status")
    def status(_: lsp.ExecuteCommandParams) -> dict[str, Any]:
        return session.status()

    @server.command("tabby.inspect")
    def inspect(params: lsp.ExecuteCommandParams) -> dict[str, Any]:
        try:
            return session.inspect(argument_of(params))
        except ValueError as error:
            raise JsonRpcInvalidParams(str(error)) from error

    @server.command(DID_ACCEPT)
    def did_accept(params: lsp.ExecuteCommandParams) -> None:
        session.accepted(argument_of(params))

    @server.command(CHAT)
    async def chat(params: lsp.ExecuteCommandParams) -> dict[str, Any]:
        return await chats.chat(params)

    @server.command(EXPLAIN)
    async def explain(params: lsp.ExecuteCommandParams) -> dict[str, Any]:
        return await chats.explain(params)

    for command, task in TASKS.items():

        @server.command(command)
        async def rewrite(params: lsp.ExecuteCommandParams, task: Task = task) -> dict[str, Any]:
            return await chats.rewrite(task, params)

    @server.feature(lsp.TEXT_DOCUMENT_CODE_ACTION, actions.OPTIONS)
    def code_action(params: lsp.CodeActionParams) -> list[lsp.CodeAction | lsp.Command]:
        return actions.code_actions(params, session, server.client_capabilities)

    return server


async def serve(server: TabbyLanguageServer, stdin: BinaryIO, stdout: BinaryIO) -> int:
    """Answer until the input, the editor or an `exit` ends it; the process's exit status."""
    protocol, loop = server.protocol, asyncio.get_running_loop()
    writer = wire.FrameWriter(stdout)
    protocol.set_writer(writer)

    def post(work: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # The loop is closed: the process is ending.
            loop.call_soon_threadsafe(work, *arguments)

    wire.start_reader(
        stdin, lambda body: post(protocol.take_frame, body), lambda: post(protocol.end)
    )
    watching = asyncio.ensure_future(_end_with_editor(server))
    await protocol.ended.wait()
    watching.cancel()
    await server.session.end()
    writer.close()
    return protocol.exit_status


async def _end_with_editor(server: TabbyLanguageServer) -> None:
    await server.session.begun.wait()
    pid = server.process_id
    if pid is not None and pid != os.getpid():
        await parent.ended(pid)
        server.protocol.end()
