"""JSON-RPC as LSP wants it: one reply for each request, in every state and whatever was sent.

pygls leaves requests after `shutdown`, malformed JSON and invalid parameters unanswered, answers
before `initialize`, keeps documents that drift from the editor's, and logs what is in them. This
class stands between the frames and pygls' dispatch and keeps those promises itself.

Invariant: no text of a document is logged here, and no traceback is sent.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from typing import TYPE_CHECKING, Any, Protocol

from cattrs import transform_error
from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcInvalidParams, JsonRpcMethodNotFound
from pygls.protocol import LanguageServerProtocol, lsp_method

if TYPE_CHECKING:
    from concurrent.futures import Future

    from cattrs import Converter
    from pygls.lsp.server import LanguageServer
    from pygls.protocol.json_rpc import MessageCallback, MessageHandler, MsgId

logger = logging.getLogger(__name__)

_PARSE_ERROR = -32700
_INVALID_REQUEST = -32600
_METHOD_NOT_FOUND = -32601
_INVALID_PARAMS = -32602
_NOT_INITIALIZED = -32002


class RefusedByClient(Exception):
    """The client answered a request of ours with an error."""


class Documents(Protocol):
    """Whoever keeps the open documents."""

    def open(self, params: lsp.DidOpenTextDocumentParams) -> None: ...
    def change(self, params: lsp.DidChangeTextDocumentParams) -> None: ...
    def close(self, params: lsp.DidCloseTextDocumentParams) -> None: ...


class TabbyProtocol(LanguageServerProtocol):
    """pygls' protocol behind a strict door; lives as long as the connection."""

    documents: Documents  # to be set before the first frame

    def __init__(self, server: LanguageServer, converter: Converter) -> None:
        super().__init__(server, converter)
        self._is_initialized = False
        self.exit_status = 1
        self.ended = asyncio.Event()

    def take_frame(self, body: bytes) -> None:
        """Handle one frame's body; never raises."""
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            self._refuse(None, _PARSE_ERROR, "this is not JSON in UTF-8")
            return
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            message_id = message.get("id") if isinstance(message, dict) else None
            self._refuse(_as_id(message_id), _INVALID_REQUEST, "this is not a JSON-RPC 2.0 message")
        elif "method" not in message:
            self._take_response(message)
        elif "id" in message:
            self._take_request(message)
        else:
            self._take_notification(message)

    def end(self) -> None:
        """Make `serve` return: with 0 where the client had said `shutdown`, else with 1."""
        self.exit_status = 0 if self._shutdown else 1
        self.ended.set()

    def _take_request(self, message: dict[str, Any]) -> None:
        message_id, method = _as_id(message["id"]), message["method"]
        if message_id is None or not isinstance(method, str):
            self._refuse(
                message_id, _INVALID_REQUEST, "a request has an id and the name of a method"
            )
        elif self._shutdown:
            self._refuse(message_id, _INVALID_REQUEST, "the server is shutting down")
        elif not self._is_initialized and method != lsp.INITIALIZE:
            self._refuse(message_id, _NOT_INITIALIZED, "the first request must be `initialize`")
        elif self._is_initialized and method == lsp.INITIALIZE:
            self._refuse(message_id, _INVALID_REQUEST, "`initialize` was sent already")
        elif not self._has_handler(method) or not self._is_request(method):
            self._refuse(message_id, _METHOD_NOT_FOUND, f"there is no request {method[:80]!r}")
        else:
            self._dispatch_request(message_id, method, message)

    def _dispatch_request(
        self, message_id: str | int, method: str, message: dict[str, Any]
    ) -> None:
        try:
            request = self._structured(method, message)
        except Exception as error:
            simpler = _without_what_nobody_needs(message) if method == lsp.INITIALIZE else None
            if simpler is None:
                self._refuse(message_id, _INVALID_PARAMS, _why_invalid(error))
            else:
                logger.warning("initialize is read in part: %s", _why_invalid(error))
                self._dispatch_request(message_id, method, simpler)
            return
        if method == lsp.INITIALIZE:
            self._is_initialized = True
        self.handle_message(request)

    def _take_notification(self, message: dict[str, Any]) -> None:
        method = message["method"]
        if not isinstance(method, str):
            self._refuse(None, _INVALID_REQUEST, "the name of a method is a string")
            return
        if not self._is_initialized and method != lsp.EXIT:
            return
        if method != lsp.CANCEL_REQUEST and not self._has_handler(method):
            logger.debug("no handler for the notification %.80r", method)
            return
        try:
            notification = self._structured(method, message)
        except Exception as error:
            logger.warning("%s ignored: %s", method, _why_invalid(error))
            return
        self.handle_message(notification)

    def _take_response(self, message: dict[str, Any]) -> None:
        message_id = _as_id(message.get("id"))
        if not ("result" in message or "error" in message):
            self._refuse(
                message_id, _INVALID_REQUEST, "this is no request, notification or response"
            )
            return
        if message_id is None:
            return
        future = self._request_futures.pop(message_id, None)
        self._result_types.pop(message_id, None)
        if future is not None and not future.done():
            # Results stay plain JSON: the only ones we ask for are settings, which are checked
            # elsewhere.
            if "error" in message:
                future.set_exception(RefusedByClient(str(message["error"])[:200]))
            else:
                future.set_result(message["result"])

    def _structured(self, method: str, message: dict[str, Any]) -> Any:
        if method in (lsp.SHUTDOWN, lsp.EXIT):
            message = {**message, "params": None}
        if method.startswith("textDocument/"):
            _check_types(message.get("params"))
        message_type = self.get_message_type(method)
        assert message_type is not None, "every handler here is of a method that lsprotocol knows"
        return self._converter.structure(message, message_type)

    def _is_request(self, method: str) -> bool:
        """Whether LSP has a reply to it; `didChange` with an id would wait for one for ever."""
        return hasattr(self.get_message_type(method), "id")

    def _has_handler(self, method: str) -> bool:
        try:
            return self._get_handler(method) is not None
        except JsonRpcMethodNotFound:
            return False

    def _refuse(self, message_id: str | int | None, code: int, why: str) -> None:
        logger.debug("request %r refused: %s", message_id, why)
        error = {"code": code, "message": why}
        self._send_data({"jsonrpc": "2.0", "id": message_id, "error": error})

    # What pygls does with documents, logs and the process, done otherwise.

    @lsp_method(lsp.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: lsp.DidOpenTextDocumentParams) -> None:
        self.documents.open(params)

    @lsp_method(lsp.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: lsp.DidChangeTextDocumentParams) -> None:
        self.documents.change(params)

    @lsp_method(lsp.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: lsp.DidCloseTextDocumentParams) -> None:
        self.documents.close(params)

    @lsp_method(lsp.WORKSPACE_EXECUTE_COMMAND)
    async def lsp_workspace__execute_command(  # type: ignore[override]
        self, params: lsp.ExecuteCommandParams
    ) -> Any:
        """A command gets the parameters as they are, and is cancelled with its request.

        pygls runs it as a task of its own, which goes on when the request is cancelled.
        """
        handler = self.fm.commands.get(params.command)
        if handler is None:
            raise JsonRpcInvalidParams(f"there is no command {params.command[:80]!r}")
        result = handler(params)
        return await result if inspect.isawaitable(result) else result

    @lsp_method(lsp.EXIT)
    def lsp_exit(self, *args: object) -> Any:
        self.end()

    def _execute_handler(
        self,
        msg_id: MsgId,
        handler: MessageHandler,
        callback: MessageCallback,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        """pygls keeps the future of each notification that it has waited for, under a new id."""

        def forget(future: Future[Any]) -> None:
            if self._request_futures.get(msg_id) is future:
                del self._request_futures[msg_id]
            callback(future)

        super()._execute_handler(msg_id, handler, forget, args, kwargs)

    def _handle_cancel_notification(self, msg_id: str | int) -> None:
        future = self._request_futures.pop(msg_id, None)
        if future is not None:
            future.cancel()

    def _send_response(self, msg_id: Any, result: Any = None, error: Any = None) -> None:
        if error is not None:
            error.data = None  # pygls puts a traceback there.
        super()._send_response(msg_id, result, error)

    def _send_data(self, data: Any) -> None:
        if self.writer is None:
            return
        # Escaped to ASCII, so that a lone surrogate of the client's comes back as it came.
        body = json.dumps(data, default=self._serialize_message, separators=(",", ":")).encode()
        logger.debug("sending %d bytes", len(body))
        self.writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)


# Of a client that is newer than lsprotocol, or a little off, this much is enough to serve it.
_NEEDED_PARAMS = ("processId", "clientInfo", "rootUri", "workspaceFolders", "initializationOptions")
_NEEDED_CAPABILITIES = (
    ("general", "positionEncodings"),
    ("window", "workDoneProgress"),
    ("workspace", "configuration"),
    ("workspace", "workspaceFolders"),
)


def _without_what_nobody_needs(message: dict[str, Any]) -> dict[str, Any] | None:
    """An `initialize` with what we use of it; None where there is nothing to leave out."""
    params = message.get("params")
    if not isinstance(params, dict) or not isinstance(params.get("capabilities"), dict):
        return None
    capabilities: dict[str, dict[str, Any]] = {}
    for section, name in _NEEDED_CAPABILITIES:
        group = params["capabilities"].get(section)
        if isinstance(group, dict) and name in group:
            capabilities.setdefault(section, {})[name] = group[name]
    needed = {name: params[name] for name in _NEEDED_PARAMS if name in params}
    simpler = {**needed, "capabilities": capabilities}
    return {**message, "params": simpler} if simpler != params else None


# cattrs would take "0" for a line and 5 for a text. Where these stand, LSP means just one type by
# them.
_TYPES = {"line": int, "character": int, "version": int, "uri": str, "languageId": str, "text": str}


def _check_types(value: Any) -> None:
    """Raises TypeError for a number in quotes, a text without, or half a line."""
    if isinstance(value, list):
        for item in value:
            _check_types(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            kind = _TYPES.get(key)
            if kind is not None and type(item) is not kind and (kind is str or item is not None):
                raise TypeError(f"`{key}` must be of type {kind.__name__}")
            _check_types(item)


def _as_id(value: Any) -> str | int | None:
    is_id = isinstance(value, str | int) and not isinstance(value, bool)
    return value if is_id else None


def _why_invalid(error: Exception) -> str:
    if isinstance(error, TypeError):
        return str(error)[:400]
    try:
        return "; ".join(transform_error(error, path="message"))[:400]
    except Exception:
        return f"invalid parameters ({type(error).__name__})"
