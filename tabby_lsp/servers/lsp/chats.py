"""The commands that ask the chat model, and what the editor sees of its answers.

Invariant: each command is answered once, with a result or with one sentence that says what to do;
a document is only changed where the code that was asked about still stands.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams

from tabby_lsp.chat.edits import NoEdit
from tabby_lsp.domain import ChatMessage, EngineError
from tabby_lsp.servers.lsp.explanations import page_for
from tabby_lsp.servers.lsp.passages import Place, place_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from pygls.lsp.server import LanguageServer

    from tabby_lsp.app import App
    from tabby_lsp.chat.prompts import Task
    from tabby_lsp.chat.session import Answer
    from tabby_lsp.servers.lsp.session import Session
    from tabby_lsp.servers.lsp.voice import Voice

CHAT, EXPLAIN, DELTA = "tabby.chat", "tabby.explain", "tabby/chat/delta"
TASKS: dict[str, Task] = {
    "tabby.document": "document",
    "tabby.fix": "fix",
    "tabby.tests": "tests",
    "tabby.edit": "edit",
}
_TITLES: dict[Task, str] = {
    "document": "Documenting the code",
    "fix": "Fixing the code",
    "tests": "Writing tests",
    "edit": "Changing the code",
}

_REQUEST_FAILED = -32803
_ROLES = ("system", "user", "assistant")
# More than any window of a chat shows.
_MAX_MESSAGES = 1_000
_MAX_INSTRUCTION_CHARS = 20_000


class Chats:
    """Lives as long as the connection; several commands may run at once."""

    def __init__(self, server: LanguageServer, session: Session, voice: Voice) -> None:
        self._server = server
        self._session = session
        self._voice = voice

    async def chat(self, params: lsp.ExecuteCommandParams) -> dict[str, Any]:
        """`tabby.chat`."""
        argument = argument_of(params)
        if not isinstance(argument, dict):
            raise JsonRpcInvalidParams("arguments[0] must be an object {id?, messages, context?}")
        chat_id, messages = _id_of(argument), _messages_of(argument)
        context = argument.get("context")
        place = None if context is None else place_at(self._session, context, widened=False)
        app = await self._ready()
        try:
            passage = place.passage if place else None
            answer = await app.talk().answer(messages, passage, self._teller(chat_id))
        except EngineError as error:
            raise _failed(error) from error
        return _result(chat_id, answer)

    async def explain(self, params: lsp.ExecuteCommandParams) -> dict[str, Any]:
        """`tabby.explain`: to its caller where that gave an id, else to the user."""
        argument = argument_of(params)
        place = place_at(self._session, argument, widened=True)
        has_listener = "id" in argument
        chat_id = _id_of(argument)
        app = await self._ready()
        hear = self._teller(chat_id) if has_listener else lambda _: None
        try:
            async with self._voice.progress(
                "Explaining the code", params.work_done_token, asyncio.current_task()
            ):
                answer = await app.talk().explain(place.passage, hear)
        except EngineError as error:
            raise _failed(error) from error
        if not has_listener:
            await self._voice.show_page(page_for(place.passage.name, answer.text), answer.text)
        return _result(chat_id, answer)

    async def rewrite(self, task: Task, params: lsp.ExecuteCommandParams) -> dict[str, Any]:
        """`tabby.document`, `tabby.fix`, `tabby.tests` and `tabby.edit`."""
        argument = argument_of(params)
        place = place_at(self._session, argument, widened=True, whole_lines=task == "tests")
        instruction = argument.get("instruction", "")
        if not isinstance(instruction, str) or len(instruction) > _MAX_INSTRUCTION_CHARS:
            raise JsonRpcInvalidParams("`instruction` must be a text")
        if task == "edit" and not instruction.strip():
            raise JsonRpcInvalidParams("`instruction` must say what to change")
        # At the end of the document an empty range stays empty.
        if place.start == place.end or not place.passage.code.strip():
            raise JsonRpcInvalidParams("there is no code in `range`")
        app = await self._ready()
        try:
            async with self._voice.progress(
                _TITLES[task], params.work_done_token, asyncio.current_task()
            ) as report:
                talk = app.talk()
                written = await talk.rewrite(task, instruction, place.passage, _lines(report))
            edit = self._edit(place, written.text)
            is_applied = await self._voice.apply(edit, _TITLES[task])
        except (EngineError, NoEdit) as error:
            raise _failed(error) from error
        return {"applied": is_applied, "edit": edit, "model": written.answer.model}

    async def _ready(self) -> App:
        """The app with its chat model loaded, which the editor shows."""
        app = self._session.app
        if app is None:
            raise _failed("The server is not ready yet.")
        status = app.chat_engine.status
        try:
            if status.state == "unloaded":
                async with self._voice.progress(f"Loading the model {status.model}"):
                    await app.chat_engine.load()
        except EngineError as error:
            raise _failed(error) from error
        return app

    def _teller(self, chat_id: str) -> Callable[[str], None]:
        """Sends each bit of an answer."""
        return lambda delta: self._server.protocol.notify(DELTA, {"id": chat_id, "delta": delta})

    def _edit(self, place: Place, text: str) -> lsp.WorkspaceEdit:
        """The change of the passage and nothing else; raises NoEdit where it stands no more."""
        document, passage = place.document, place.passage
        start, end = document.offset(place.start), document.offset(place.end)
        is_open = self._session.document(passage.uri) is document
        if not is_open or document.text[start:end] != passage.code:
            raise NoEdit("The code was changed meanwhile, so nothing was done: ask again.")
        change = lsp.TextEdit(range=place.range, new_text=text)
        workspace = self._server.client_capabilities.workspace
        abilities = workspace.workspace_edit if workspace else None
        if abilities is None or not abilities.document_changes:
            return lsp.WorkspaceEdit(changes={document.uri: [change]})
        identifier = lsp.OptionalVersionedTextDocumentIdentifier(document.uri, document.version)
        return lsp.WorkspaceEdit(
            document_changes=[lsp.TextDocumentEdit(text_document=identifier, edits=[change])]
        )


def argument_of(params: lsp.ExecuteCommandParams) -> Any:
    """The only argument that a command of ours takes; None where there is none."""
    return params.arguments[0] if params.arguments else None


def _id_of(argument: dict[str, Any]) -> str:
    chat_id = argument.get("id")
    if chat_id is None:
        return uuid.uuid4().hex
    if not isinstance(chat_id, str):
        raise JsonRpcInvalidParams("`id` must be a string")
    return chat_id


def _messages_of(argument: dict[str, Any]) -> list[ChatMessage]:
    messages = argument.get("messages")
    if not isinstance(messages, list) or not 0 < len(messages) <= _MAX_MESSAGES:
        raise JsonRpcInvalidParams("`messages` must be a list of {role, content}")
    if not all(
        isinstance(message, dict)
        and message.get("role") in _ROLES
        and isinstance(message.get("content"), str)
        for message in messages
    ):
        raise JsonRpcInvalidParams(f"a message is {{role, content}}, role one of {_ROLES}")
    if messages[-1]["role"] != "user":
        raise JsonRpcInvalidParams("the last message must be the user's")
    return [ChatMessage(message["role"], message["content"]) for message in messages]


def _result(chat_id: str, answer: Answer) -> dict[str, Any]:
    message = {"role": "assistant", "content": answer.text}
    return {"id": chat_id, "message": message, "model": answer.model}


def _lines(report: Callable[[str], None]) -> Callable[[str], None]:
    """Reports each new line of an answer."""
    n_lines = 0

    def hear(delta: str) -> None:
        nonlocal n_lines
        if "\n" in delta:
            n_lines += delta.count("\n")
            report(f"{n_lines} lines")

    return hear


def _failed(why: Exception | str) -> JsonRpcException:
    return JsonRpcException(str(why), _REQUEST_FAILED)
