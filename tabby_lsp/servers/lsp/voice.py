"""What the server says and asks on its own: messages, progress, the question for settings.

Invariant: says nothing twice, and waits for no client longer than it takes a living one to answer.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from lsprotocol import types as lsp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pygls.lsp.server import LanguageServer

logger = logging.getLogger(__name__)

# Some clients announce workspace/configuration and never answer it (LuaLS#2318, kotlin-ls#129).
_ANSWER_TIMEOUT_S = 2.0

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
        results = await self._ask(lsp.WORKSPACE_CONFIGURATION, params)
        return results[0] if isinstance(results, list) and results else None

    @asynccontextmanager
    async def progress(self, title: str) -> AsyncIterator[None]:
        """Show that something takes its time, where the client can show it."""
        token = str(uuid.uuid4())
        window = self._server.client_capabilities.window
        is_shown = window is not None and bool(window.work_done_progress)
        if is_shown:
            params = lsp.WorkDoneProgressCreateParams(token=token)
            creation = asyncio.ensure_future(
                self._ask(lsp.WINDOW_WORK_DONE_PROGRESS_CREATE, params)
            )
            # In order on the wire; a client that does not answer must not hold up the work.
            self._report(token, lsp.WorkDoneProgressBegin(title=title, cancellable=False))
        try:
            yield
        finally:
            if is_shown:
                await creation
                self._report(token, lsp.WorkDoneProgressEnd())

    def _report(self, token: str, value: object) -> None:
        self._server.protocol.notify(lsp.PROGRESS, lsp.ProgressParams(token=token, value=value))

    def _say_once(self, message: str, kind: lsp.MessageType) -> None:
        if message in self._said:
            return
        self._said.add(message)
        logger.info("%s", message)
        self._server.window_show_message(lsp.ShowMessageParams(type=kind, message=message))

    async def _ask(self, method: str, params: object) -> Any:
        future = asyncio.wrap_future(self._server.protocol.send_request(method, params))
        with suppress(TimeoutError):
            # Shielded: pygls fails when a future of its own is cancelled (pygls#621).
            return await asyncio.wait_for(asyncio.shield(future), _ANSWER_TIMEOUT_S)
        return None
