"""What one client has told us and what it is owed: documents, settings, answers.

Invariant: a well-formed request for a completion is answered with a list or null, never with an
error.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lsprotocol import types as lsp

from tabby_lsp.completion.cursor import last_line
from tabby_lsp.config import client_source, resolve
from tabby_lsp.documents import Change, Document, Position, StaleVersion, canonical_uri, path_of
from tabby_lsp.domain import EngineError
from tabby_lsp.languages import BY_ID
from tabby_lsp.servers.lsp import inspection
from tabby_lsp.servers.lsp.asks import ask_at, follow, reader_of
from tabby_lsp.servers.lsp.clients import Client, client_named, draws_ghost_text
from tabby_lsp.servers.lsp.menu import Style, entry_of, item_of, style_of
from tabby_lsp.servers.lsp.newest import Newest
from tabby_lsp.servers.lsp.voice import Voice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pygls.lsp.server import LanguageServer

    from tabby_lsp.app import App
    from tabby_lsp.config import Settings, Source
    from tabby_lsp.documents import PositionEncoding
    from tabby_lsp.domain import Completion, Engine, Shape
    from tabby_lsp.request import Ask

logger = logging.getLogger(__name__)

# As many as somebody who asks explicitly looks through; Copilot and tabby-agent give as many.
_N_CANDIDATES = 3

_ENCODINGS: dict[lsp.PositionEncodingKind, PositionEncoding] = {
    lsp.PositionEncodingKind.Utf8: "utf-8",
    lsp.PositionEncodingKind.Utf16: "utf-16",
    lsp.PositionEncodingKind.Utf32: "utf-32",
}


class Session:
    """Lives as long as the connection; there is no `app` before `begin`."""

    def __init__(
        self,
        server: LanguageServer,
        build_app: Callable[[Settings], App],
        sources: Sequence[Source],
    ) -> None:
        self.begun = asyncio.Event()
        self.app: App | None = None
        self._server = server
        self._build_app = build_app
        self._sources = tuple(sources)
        self._file = resolve(self._sources).file
        self.voice = Voice(server)
        self._client: Client = client_named("")
        self._draws_ghost_text = False
        self._style = Style()
        self._documents: dict[str, Document] = {}
        self._newest = Newest()
        self._configuring = asyncio.Lock()
        self._loading: tuple[Engine, asyncio.Task[None]] | None = None  # the latest
        self._initial = client_source(None, "initializationOptions")

    @property
    def offers_menu(self) -> bool:
        """Whether completions stand in this client's menu."""
        if self.app is None:
            return False
        wanted = self.app.settings.completion.menu
        return wanted == "always" or (wanted == "auto" and not self._draws_ghost_text)

    async def begin(self, params: lsp.InitializeParams) -> None:
        """Take in who the client is and what it wants; `params` are those of `initialize`."""
        self._client = client_named(params.client_info.name if params.client_info else "")
        self._draws_ghost_text = draws_ghost_text(self._client, params.capabilities)
        self._style = style_of(self._client, params.capabilities)
        self._initial = client_source(params.initialization_options, "initializationOptions")
        await self._configure([self._initial])
        self.begun.set()

    async def pull_settings(self) -> None:
        """Ask the client for its settings, where it can be asked."""
        values = await self.voice.ask_for_settings()
        if values is not None:
            pulled = client_source(values, "workspace/configuration")
            await self._configure([self._initial, pulled])

    async def take_settings(self, values: Any) -> None:
        """Take in settings that the client pushes; one that pushes nothing wants to be asked."""
        if not values:
            await self.pull_settings()
        else:
            pushed = client_source(values, "didChangeConfiguration")
            await self._configure([self._initial, pushed])

    async def end(self) -> None:
        """Stop what runs and give everything back; harmless a second time."""
        if self.app is not None:
            await self.app.close()

    def open(self, params: lsp.DidOpenTextDocumentParams) -> None:
        item = params.text_document
        encoding = _ENCODINGS[lsp.PositionEncodingKind(self._server.workspace.position_encoding)]
        document = Document(item.uri, item.language_id, item.version, item.text, encoding)
        self._documents[canonical_uri(item.uri)] = document
        self._load_for(document)
        if (app := self.app) is not None:
            begin = Position(0, 0)
            app.opened(lambda: self._ask(app, document, begin, "ghost-text", automatic=True))

    def change(self, params: lsp.DidChangeTextDocumentParams) -> None:
        uri = params.text_document.uri
        document = self._documents.get(canonical_uri(uri))
        if document is None:
            logger.warning("a change of a document that is not open was ignored: %s", uri)
            return
        try:
            document.apply(
                params.text_document.version, [_change(c) for c in params.content_changes]
            )
        except StaleVersion as error:
            logger.warning("a change was refused: %s", error)
            return
        if self.app is not None:
            self.app.fates.edited(canonical_uri(uri), reader_of(document))

    def close(self, params: lsp.DidCloseTextDocumentParams) -> None:
        uri = canonical_uri(params.text_document.uri)
        document = self._documents.pop(uri, None)
        if document is not None and self.app is not None:
            self.app.closed(uri)

    def document(self, uri: str) -> Document | None:
        """The open document, however the client spells its name."""
        return self._documents.get(canonical_uri(uri))

    def surroundings(self, document: Document) -> tuple[list[Path | None], list[Document]]:
        """The workspace's folders, and the other open documents, latest first."""
        workspace = self._server.workspace
        folders = [path_of(uri) for uri in (*workspace.folders, workspace.root_uri or "")]
        others = [other for other in reversed(self._documents.values()) if other is not document]
        return folders, others

    def saved(self, uri: str) -> None:
        path = path_of(uri)
        if self.app is not None and path is not None:
            self.app.saved(path)

    async def inline_completion(
        self, params: lsp.InlineCompletionParams
    ) -> lsp.InlineCompletionList | None:
        """The items, none where there is nothing to say; None when a newer request came."""
        uri = canonical_uri(params.text_document.uri)
        answer = self._answer(uri, params)
        try:
            return await self._newest.run((uri, lsp.TEXT_DOCUMENT_INLINE_COMPLETION), answer)
        except Exception:
            logger.exception("no completion: a fault of tabby-lsp itself")
            return lsp.InlineCompletionList(items=[])

    async def menu_completion(self, params: lsp.CompletionParams) -> lsp.CompletionList:
        """The entries for the menu, ready in time; more may come with the next key.

        Never null: eglot and Sublime would take that for "there is nothing, also when more is
        typed".
        """
        uri = canonical_uri(params.text_document.uri)
        entry: lsp.CompletionItem | None = None
        try:
            key = (uri, lsp.TEXT_DOCUMENT_COMPLETION)
            entry = await self._newest.run(key, self._menu_entry(uri, params))
        except Exception:
            logger.exception("no completion: a fault of tabby-lsp itself")
        return lsp.CompletionList(is_incomplete=True, items=[entry] if entry else [])

    async def announce_menu(self, options: lsp.CompletionOptions) -> None:
        """Offer the menu after `initialize`, since many editors hand over settings only then."""
        if not await self.voice.register(lsp.TEXT_DOCUMENT_COMPLETION, options):
            self.voice.inform_once(
                "completion.menu came too late for this editor, which does not take offers after "
                f"the start: write it into {self._file}, or into initializationOptions."
            )

    def accepted(self, suggestion_id: object) -> None:
        """The client says that a suggestion was taken; it may say so twice, or of a part."""
        if self.app is not None:
            self.app.fates.accepted(suggestion_id)

    def status(self) -> dict[str, Any]:
        return inspection.status(self.app, self._server.version, self._file)

    def inspect(self, argument: Any) -> dict[str, Any]:
        """Raises ValueError when the argument is not what docs/lsp-extensions.md says."""
        return inspection.inspect(self.app, self._documents, argument)

    async def _answer(
        self, uri: str, params: lsp.InlineCompletionParams
    ) -> lsp.InlineCompletionList:
        nothing = lsp.InlineCompletionList(items=[])
        document, app = self._documents.get(uri), self.app
        if document is None or app is None:
            return nothing
        position = document.clamp(Position(params.position.line, params.position.character))
        selected = self._selected(document, position, params.context.selected_completion_info)
        automatic = params.context.trigger_kind == lsp.InlineCompletionTriggerKind.Automatic
        ask = self._ask(app, document, position, "ghost-text", automatic=automatic)
        ask = replace(ask, prefix=ask.prefix + selected)
        self._prepare(app, document)
        reply = await app.complete(ask)
        self._explain_absence(app)
        if reply.completion is None:
            return nothing
        completions = [
            replace(each, text=selected + each.text) for each in (reply.completion, *reply.others)
        ]
        commands = follow(app, uri, ask, completions, reply.decision, document)
        return lsp.InlineCompletionList(
            items=[
                _item(document, position, completion, command)
                for completion, command in zip(completions, commands, strict=True)
            ]
        )

    async def _menu_entry(
        self, uri: str, params: lsp.CompletionParams
    ) -> lsp.CompletionItem | None:
        document, app = self._documents.get(uri), self.app
        if document is None or app is None or not self.offers_menu:
            return None
        position = document.clamp(Position(params.position.line, params.position.character))
        # Editors say "invoked" also when they ask by themselves, so nobody knows who asks. An entry
        # at a menu's end is in nobody's way, and who has nothing else could not get it otherwise.
        ask = self._ask(app, document, position, "menu", automatic=True)
        ask = replace(ask, takes_unlikely=not self._draws_ghost_text)
        line_before = last_line(document.around(position, position.character, 0)[0])
        self._prepare(app, document)
        reply = await app.complete_within(ask, self._client.menu_wait_ms / 1000)
        self._explain_absence(app)
        if reply.completion is None:
            return None
        entry = entry_of(reply.completion, line_before, self._style)
        if entry is None:
            app.withdraw(reply.decision, "cannot-be-drawn")
            return None
        (command,) = follow(app, uri, ask, [reply.completion], reply.decision, document)
        return item_of(entry, document, position, command, self._style)

    def _prepare(self, app: App, document: Document) -> None:
        self._load_for(document)
        self._explain_silence(app, document)
        if app.engine.status.state == "ready":
            self._explain_absence(app)

    def _selected(
        self, document: Document, position: Position, info: lsp.SelectedCompletionInfo | None
    ) -> str:
        """What the entry that is selected in the open menu would add at the cursor.

        The editor shows an item beside the menu only where it begins with that.
        """
        if info is None or not self._client.extends_selected_entry:
            return ""
        start, end = info.range.start, info.range.end
        if (start.line, end.line) != (position.line, position.line):
            return ""
        typed = document.between(Position(start.line, start.character), position)
        return info.text.removeprefix(typed) if info.text.startswith(typed) else ""

    def _ask(
        self, app: App, document: Document, position: Position, shape: Shape, *, automatic: bool
    ) -> Ask:
        ask = ask_at(document, position, app.settings.context, *self.surroundings(document))
        waited_ms = self._client.delay_ms if shape == "ghost-text" else 0
        n_candidates = 1 if automatic else _N_CANDIDATES
        return replace(
            ask, shape=shape, automatic=automatic, n_candidates=n_candidates, waited_ms=waited_ms
        )

    async def _configure(self, client_sources: Sequence[Source]) -> None:
        """Resolve all the settings anew; of the app, only what they change is built again."""
        # One after the other: clients push settings in bursts, and each may bring another engine.
        async with self._configuring:
            await self._configure_now(client_sources)

    async def _configure_now(self, client_sources: Sequence[Source]) -> None:
        own = [source for source in self._sources if source.kind != "flag"]
        flags = [source for source in self._sources if source.kind == "flag"]
        resolved = resolve([*own, *client_sources, *flags])
        for problem in resolved.problems:
            self.voice.warn_once(str(problem))
        if self.app is None:
            self.app = await asyncio.to_thread(self._build_app, resolved.settings)
        else:
            await self.app.apply(resolved.settings)
        for document in self._documents.values():
            self._load_for(document)

    def _load_for(self, document: Document) -> None:
        """Load the model when the first document needs it, and show that it loads."""
        if self.app is None:
            return
        engine = self.app.engine
        is_loading = self._loading and self._loading[0] is engine and not self._loading[1].done()
        is_wanted = self.app.silence(document.language, document.uri) is None
        if is_wanted and not is_loading and engine.status.state == "unloaded":
            self._loading = engine, asyncio.ensure_future(self._load(self.app, engine))

    async def _load(self, app: App, engine: Engine) -> None:
        model = engine.status.model
        try:
            async with self.voice.progress(f"Loading the model {model}"):
                await engine.load()
        except EngineError:
            self._explain_failure(app)
        except Exception:
            logger.exception("the model %s was not loaded: a fault of tabby-lsp itself", model)

    def _explain_silence(self, app: App, document: Document) -> None:
        """Say once why nothing is shown, where the user can do something about it."""
        why = app.silence(document.language, document.uri)
        if why == "model-failed":
            self._explain_failure(app)
        elif why == "language-unknown-to-model" and document.language in BY_ID:
            status = app.engine.status
            self.voice.inform_once(
                f"The model {status.model} knows {_listed(status.languages)} only and stays silent "
                f"in {document.language}. `tabby-lsp models pull Qwen2.5-Coder-0.5B` and then "
                "`tabby-lsp models use Qwen2.5-Coder-0.5B` get one that knows more languages."
            )

    def _explain_absence(self, app: App) -> None:
        """Say what has become of the engine, also where it works again already."""
        status = app.engine.status
        if status.state in ("away", "ready") and status.message:
            self.voice.warn_once(status.message)

    def _explain_failure(self, app: App) -> None:
        if app.engine.status.state in ("failed", "away"):
            self.voice.warn_once(app.engine.status.message)


def _change(change: lsp.TextDocumentContentChangeEvent) -> Change:
    if isinstance(change, lsp.TextDocumentContentChangeWholeDocument):
        return Change(change.text)
    start, end = change.range.start, change.range.end
    return Change(
        change.text, Position(start.line, start.character), Position(end.line, end.character)
    )


def _item(
    document: Document, position: Position, completion: Completion, command: lsp.Command
) -> lsp.InlineCompletionItem:
    # A range always, even an empty one: without it Neovim draws the whole text again at each key.
    # The document may have changed since, so its text is not what is counted.
    end = position.character + document.n_units(completion.replaced)
    return lsp.InlineCompletionItem(
        insert_text=completion.text,
        range=lsp.Range(
            lsp.Position(position.line, position.character), lsp.Position(position.line, end)
        ),
        command=command,
    )


def _listed(languages: Sequence[str]) -> str:
    return ", ".join(languages)
