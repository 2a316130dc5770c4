"""What can be done to selected code, as entries in the editor's menu of code actions.

Invariant: nothing is offered that nobody could answer, nor to an editor that only looks whether to
light a bulb.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lsprotocol import types as lsp

from tabby_lsp.completion.discretion import without_secrets
from tabby_lsp.documents import Position
from tabby_lsp.languages import BY_ID
from tabby_lsp.servers.lsp.chats import EXPLAIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tabby_lsp.documents import Document
    from tabby_lsp.servers.lsp.session import Session

_REWRITE = lsp.CodeActionKind.RefactorRewrite
OPTIONS = lsp.CodeActionOptions(
    code_action_kinds=[lsp.CodeActionKind.QuickFix, lsp.CodeActionKind.Refactor, _REWRITE],
    resolve_provider=False,
    work_done_progress=False,
)
_MAX_DIAGNOSTICS = 5
_MAX_MESSAGE_CHARS = 300


def code_actions(
    params: lsp.CodeActionParams, session: Session, capabilities: lsp.ClientCapabilities
) -> list[lsp.CodeAction | lsp.Command]:
    """The actions for a range; as plain commands for clients that know nothing else."""
    document, app = session.document(params.text_document.uri), session.app
    if document is None or app is None or app.chat_engine.status.state == "failed":
        return []
    start, end = params.range.start, params.range.end
    is_asked = params.context.trigger_kind != lsp.CodeActionTriggerKind.Automatic
    if not is_asked and start == end and not params.context.diagnostics:
        return []
    documents = capabilities.text_document
    code_action = documents.code_action if documents else None
    takes_actions = code_action is not None and code_action.code_action_literal_support is not None
    found = [
        action
        for action in _actions(params, document)
        if _is_wanted(action.kind, params.context.only)
    ]
    if takes_actions:
        return list(found)
    return [action.command for action in found if action.command]


def _actions(params: lsp.CodeActionParams, document: Document) -> Iterator[lsp.CodeAction]:
    diagnostics = params.context.diagnostics
    if diagnostics:
        yield _action(
            "Fix this", "tabby.fix", params, lsp.CodeActionKind.QuickFix, _faults(diagnostics)
        )
    else:
        yield _action("Find and fix faults", "tabby.fix", params)
    yield _action("Explain", EXPLAIN, params, lsp.CodeActionKind.Refactor)
    yield _action("Document", "tabby.document", params)
    yield _action("Write tests", "tabby.tests", params)
    if comment := _comment(document, params.range):
        yield _action("Do what the comment says", "tabby.edit", params, instruction=comment)


def _action(
    title: str,
    command: str,
    params: lsp.CodeActionParams,
    kind: lsp.CodeActionKind = _REWRITE,
    instruction: str = "",
) -> lsp.CodeAction:
    argument: dict[str, Any] = {"uri": params.text_document.uri, "range": params.range}
    if instruction:
        argument["instruction"] = instruction
    title = f"{title} (tabby-lsp)"
    return lsp.CodeAction(
        title=title,
        kind=kind,
        command=lsp.Command(title=title, command=command, arguments=[argument]),
    )


def _is_wanted(kind: str | None, only: Sequence[str] | None) -> bool:
    """A wanted kind stands for all below it."""
    # Joined with `+`: in an f-string, lsprotocol's words would stand with their names.
    return only is None or any(((kind or "") + ".").startswith(wanted + ".") for wanted in only)


def _faults(diagnostics: Sequence[lsp.Diagnostic]) -> str:
    """What other tools say is wrong."""
    said = [
        f"- line {each.range.start.line + 1}: {without_secrets(each.message)[:_MAX_MESSAGE_CHARS]}"
        for each in diagnostics[:_MAX_DIAGNOSTICS]
    ]
    return "\n".join(["These faults were found:", *said])


def _comment(document: Document, selected: lsp.Range) -> str:
    """What the comment at the beginning of the selection says; "" where there is none.

    Most editors have no way to ask for a line of text, and all can write a comment.
    """
    language = BY_ID.get(document.language)
    if language is None or not language.line_comment or selected.start == selected.end:
        return ""
    lines = []
    for row in range(selected.start.line, min(selected.end.line + 1, document.n_lines)):
        line = document.around(Position(row, 0), 0, 400)[1].split("\n", 1)[0].strip()
        if not line.startswith(language.line_comment):
            break
        lines.append(line.removeprefix(language.line_comment).strip())
    return "\n".join(lines).strip()
