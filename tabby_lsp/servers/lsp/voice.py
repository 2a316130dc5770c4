"""What the server says and asks on its own: messages, progress, the question for settings.

Invariant: says nothing twice, and waits for no client longer than it takes a living one to answer.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from lsprotocol import types as lsp

from tabby_lsp.chat.edits import NoEdit
from tabby_lsp.servers.lsp.protocol import RefusedByClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from pygls.lsp.server import LanguageServer

logger = logging.getLogger(__name__)

# Some clients announce workspace/configuration and never answer it (LuaLS#2318, kotlin-ls#129).
_ANSWER_TIMEOUT_S = 2.0
# Some show the change first and ask whether it is wanted.
_APPLY_TIMEOUT_S = 60.0

_SECTION = "tabby-lsp"


class Voice:
    """Lives as long as the connection."""

    def __init__(self, server: LanguageServer) -> None:
        self._server = server
        self._said: set[str] = set()

    def warn_once(self, message: str) -> None:
        """Something of the user's needs mending."""
        self._say_once(message, lsp.MessageType.Warning)

    def inform_once(self, message: str) -> None:
        """Something the user will wonder about."""
        self._say_once(message, lsp.MessageType.Info)

    async def ask_for_settings(self) -> Any:
        """Our section of the client's settings; None where it has none or does not answer."""
        workspace = self._server.client_capabilities.workspace
        if workspace is None or not workspace.configuration:
            return None
        params = lsp.ConfigurationParams(items=[lsp.ConfigurationItem(section=_SECTION)])
        try:
            results = await self._ask(lsp.WORKSPACE_CONFIGURATION, params)
        except (TimeoutError, RefusedByClient):
            return None
        return results[0] if isinstance(results, list) and results else None

    async def apply(self, edit: lsp.WorkspaceEdit, label: str) -> bool:
        """Have the client change the document; False where it leaves that to who asked.

        Raises NoEdit with the client's reason where it refuses.
        """
        workspace = self._server.client_capabilities.workspace
        if workspace is None or not workspace.apply_edit:
            return False
        params = lsp.ApplyWorkspaceEditParams(edit=edit, label=label)
        try:
            result = await self._ask(lsp.WORKSPACE_APPLY_EDIT, params, timeout_s=_APPLY_TIMEOUT_S)
        except TimeoutError:
            raise NoEdit("The editor did not say whether it has changed the document.") from None
        except RefusedByClient as error:
            raise NoEdit(f"The editor did not change the document: {error}.") from error
        if not isinstance(result, dict) or result.get("applied") is not True:
            reason = result.get("failureReason") if isinstance(result, dict) else None
            raise NoEdit(
                f"The editor did not change the document: {reason or 'it gave no reason'}."
            )
        return True

    async def show_page(self, path: Path | None, text: str) -> None:
        """Open a page that the server has written; the text as a message where that cannot be."""
        window = self._server.client_capabilities.window
        shows = window is not None and window.show_document is not None
        if shows and path is not None:
            params = lsp.ShowDocumentParams(uri=path.as_uri(), take_focus=True)
            try:
                result = await self._ask(lsp.WINDOW_SHOW_DOCUMENT, params)
            except (TimeoutError, RefusedByClient):
                result = None
            if isinstance(result, dict) and result.get("success") is True:
                return
        self._server.window_show_message(
            lsp.ShowMessageParams(type=lsp.MessageType.Info, message=text)
        )

    async def register(self, method: str, options: lsp.CompletionOptions) -> bool:
        """Offer something after `initialize`; whether the client takes it."""
        documents = self._server.client_capabilities.text_document
        completion = documents.completion if documents else None
        if completion is None or not completion.dynamic_registration:
            return False
        registration = lsp.Registration(id=method, method=method, register_options=options)
        params = lsp.RegistrationParams(registrations=[registration])
        try:
            await self._ask(lsp.CLIENT_REGISTER_CAPABILITY, params)
        except (TimeoutError, RefusedByClient):
            return False
        return True

    @asynccontextmanager
    async def progress(
        self,
        title: str,
        token: lsp.ProgressToken | None = None,
        task: asyncio.Task[Any] | None = None,
    ) -> AsyncIterator[Callable[[str], None]]:
        """Show that something takes its time, where the client can and wants to show it.

        `token` is the client's own, where it has given one, and `task` is what the client may
        cancel. What it yields takes a word on how far things are. The work does not wait for the
        client.
        """
        is_cancellable = task is not None
        beginning = asyncio.ensure_future(self._begin_progress(title, token, is_cancellable))

        def report(message: str) -> None:
            if beginning.done() and (begun := beginning.result()) is not None:
                self._report(begun, lsp.WorkDoneProgressReport(message=message))

        def allow_cancelling(done: asyncio.Task[lsp.ProgressToken | None]) -> None:
            if task is not None and (begun := done.result()) is not None:
                self._server.work_done_progress.tokens[begun] = task  # type: ignore[assignment]

        beginning.add_done_callback(allow_cancelling)
        try:
            yield report
        finally:
            begun = await beginning
            if begun is not None:
                self._server.work_done_progress.tokens.pop(begun, None)
                self._report(begun, lsp.WorkDoneProgressEnd())

    async def _begin_progress(
        self, title: str, token: lsp.ProgressToken | None, cancellable: bool
    ) -> lsp.ProgressToken | None:
        """The token of what is shown from now on; None where the client shows nothing."""
        if token is None:
            window = self._server.client_capabilities.window
            if window is None or not window.work_done_progress:
                return None
            token = str(uuid.uuid4())
            params = lsp.WorkDoneProgressCreateParams(token=token)
            try:
                await self._ask(lsp.WINDOW_WORK_DONE_PROGRESS_CREATE, params)
            except (TimeoutError, RefusedByClient):
                return None
        self._report(token, lsp.WorkDoneProgressBegin(title=title, cancellable=cancellable))
        return token

    def _report(self, token: lsp.ProgressToken, value: object) -> None:
        self._server.protocol.notify(lsp.PROGRESS, lsp.ProgressParams(token=token, value=value))

    def _say_once(self, message: str, kind: lsp.MessageType) -> None:
        if message in self._said:
            return
        self._said.add(message)
        logger.info("%s", message)
        self._server.window_show_message(lsp.ShowMessageParams(type=kind, message=message))

    async def _ask(self, method: str, params: object, timeout_s: float = _ANSWER_TIMEOUT_S) -> Any:
        """The client's answer. Raises TimeoutError and RefusedByClient."""
        future = asyncio.wrap_future(self._server.protocol.send_request(method, params))
        # Shielded: pygls fails when a future of its own is cancelled (pygls#621).
        return await asyncio.wait_for(asyncio.shield(future), timeout_s)
