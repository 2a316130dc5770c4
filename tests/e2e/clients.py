"""What real language clients say of themselves in `initialize`.

Invariant: data only; the parts that a completion server may read are as those clients send them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.wire import Json

THIS_PROCESS = os.getpid()


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One language client."""

    name: str
    client_info: Json | None
    capabilities: Json
    encoding: str  # what the server has to choose for it


VSCODE = Profile(
    name="vscode",
    client_info={"name": "Visual Studio Code", "version": "1.139.1"},
    capabilities={
        "general": {
            "positionEncodings": ["utf-16"],
            "staleRequestSupport": {"cancel": True, "retryOnContentModified": []},
        },
        "textDocument": {
            "synchronization": {"dynamicRegistration": True, "didSave": True},
            "completion": {
                "dynamicRegistration": True,
                "contextSupport": True,
                "insertTextMode": 2,
                "completionItem": {
                    "snippetSupport": True,
                    "insertReplaceSupport": True,
                    "insertTextModeSupport": {"valueSet": [1, 2]},
                },
            },
            "inlineCompletion": {"dynamicRegistration": True},
        },
        "window": {"workDoneProgress": True, "showDocument": {"support": True}},
        "workspace": {
            "applyEdit": True,
            "configuration": True,
            "didChangeConfiguration": {"dynamicRegistration": True},
            "executeCommand": {"dynamicRegistration": True},
            "workspaceFolders": True,
        },
    },
    encoding="utf-16",
)

NEOVIM_0_12 = Profile(
    name="neovim-0.12",
    client_info={"name": "Neovim", "version": "0.12.0"},
    capabilities={
        "general": {"positionEncodings": ["utf-8", "utf-16", "utf-32"]},
        "textDocument": {
            "synchronization": {"dynamicRegistration": False, "didSave": True},
            "completion": {
                "dynamicRegistration": False,
                "completionItem": {"snippetSupport": True},
            },
            "inlineCompletion": {"dynamicRegistration": False},
        },
        "window": {"workDoneProgress": True, "showMessage": {"messageActionItem": {}}},
        "workspace": {
            "configuration": True,
            "didChangeConfiguration": {"dynamicRegistration": False},
            "workspaceFolders": True,
        },
    },
    encoding="utf-8",
)

# 0.11 knows nothing of inline completion; a plugin asks for it all the same.
NEOVIM_0_11 = Profile(
    name="neovim-0.11",
    client_info={"name": "Neovim", "version": "0.11.4"},
    capabilities={
        "general": {"positionEncodings": ["utf-8", "utf-16", "utf-32"]},
        "textDocument": {
            "synchronization": {"dynamicRegistration": False, "didSave": True},
            "completion": {
                "dynamicRegistration": False,
                "completionItem": {
                    "snippetSupport": True,
                    "documentationFormat": ["markdown", "plaintext"],
                },
                "contextSupport": True,
            },
        },
        "window": {"workDoneProgress": True},
        "workspace": {"configuration": True, "workspaceFolders": True},
    },
    encoding="utf-8",
)

LSP_MODE = Profile(
    name="lsp-mode",
    client_info={"name": "emacs", "version": "GNU Emacs 29.4"},
    capabilities={
        "general": {"positionEncodings": ["utf-32", "utf-8", "utf-16"]},
        "textDocument": {
            "synchronization": {"didSave": True, "willSave": True},
            "completion": {"completionItem": {"snippetSupport": False}},
            "inlineCompletion": None,
        },
        "window": {"workDoneProgress": True},
        "workspace": {
            "applyEdit": True,
            "configuration": True,
            "executeCommand": {"dynamicRegistration": False},
            "workspaceFolders": True,
        },
    },
    encoding="utf-32",
)

COC = Profile(
    name="coc.nvim",
    client_info={"name": "coc.nvim", "version": "0.0.82"},
    capabilities={
        "general": {"positionEncodings": ["utf-16"]},
        "textDocument": {
            "synchronization": {"dynamicRegistration": True, "didSave": True},
            "inlineCompletion": {"dynamicRegistration": True},
        },
        "window": {"workDoneProgress": True},
        "workspace": {
            "configuration": True,
            "didChangeConfiguration": {"dynamicRegistration": True},
            "workspaceFolders": True,
        },
    },
    encoding="utf-16",
)

# Clients that draw no ghost text. What they send is in their sources: helix-lsp/src/client.rs,
# eglot.el (1.9 is Debian's, for Emacs 28), sublimelsp/LSP's plugin/core/sessions.py, Kate's
# addons/lspclient/lspclientserver.cpp, kakoune-lsp's src/general.rs.

HELIX = Profile(
    name="helix",
    client_info={"name": "helix", "version": "25.07.1"},
    capabilities={
        "general": {"positionEncodings": ["utf-8", "utf-32", "utf-16"]},
        "textDocument": {
            "completion": {
                "completionItem": {
                    "snippetSupport": True,
                    "insertReplaceSupport": True,
                    "deprecatedSupport": True,
                    "tagSupport": {"valueSet": [1]},
                    "resolveSupport": {
                        "properties": ["documentation", "detail", "additionalTextEdits"]
                    },
                },
                "completionItemKind": {},
            },
        },
        "window": {"workDoneProgress": True, "showDocument": {"support": True}},
        "workspace": {
            "applyEdit": True,
            "configuration": True,
            "didChangeConfiguration": {"dynamicRegistration": False},
            "executeCommand": {"dynamicRegistration": False},
            "workspaceFolders": True,
        },
    },
    encoding="utf-8",
)

EGLOT_1_9 = Profile(
    name="eglot-1.9",
    client_info=None,
    capabilities={
        "textDocument": {
            "synchronization": {"dynamicRegistration": False, "willSave": True, "didSave": True},
            "completion": {
                "dynamicRegistration": False,
                "completionItem": {
                    "snippetSupport": False,
                    "deprecatedSupport": True,
                    "tagSupport": {"valueSet": [1]},
                },
                "contextSupport": True,
            },
        },
        "workspace": {"applyEdit": True, "configuration": True, "workspaceFolders": True},
    },
    encoding="utf-16",
)

EGLOT_1_17 = Profile(
    name="eglot-1.17",
    client_info={"name": "Eglot", "version": "1.17"},
    capabilities={
        "general": {"positionEncodings": ["utf-32", "utf-8", "utf-16"]},
        "textDocument": {
            "synchronization": {"dynamicRegistration": False, "willSave": True, "didSave": True},
            "completion": {
                "dynamicRegistration": False,
                "completionItem": {
                    "snippetSupport": True,
                    "deprecatedSupport": True,
                    "tagSupport": {"valueSet": [1]},
                    "resolveSupport": {
                        "properties": ["documentation", "details", "additionalTextEdits"]
                    },
                },
                "contextSupport": True,
            },
        },
        "window": {"workDoneProgress": True, "showDocument": {"support": True}},
        "workspace": {"applyEdit": True, "configuration": True, "workspaceFolders": True},
    },
    encoding="utf-32",
)

SUBLIME = Profile(
    name="sublime",
    client_info={"name": "Sublime Text LSP", "version": "2.3.0"},
    capabilities={
        "textDocument": {
            "synchronization": {"dynamicRegistration": True, "didSave": True, "willSave": True},
            "completion": {
                "dynamicRegistration": True,
                "completionItem": {
                    "snippetSupport": True,
                    "deprecatedSupport": True,
                    "documentationFormat": ["markdown", "plaintext"],
                    "tagSupport": {"valueSet": [1]},
                    "insertReplaceSupport": True,
                    "insertTextModeSupport": {"valueSet": [2]},
                    "labelDetailsSupport": True,
                },
                "insertTextMode": 2,
                "completionList": {"itemDefaults": ["editRange", "insertTextFormat", "data"]},
            },
        },
        "window": {"workDoneProgress": True},
        "workspace": {"applyEdit": True, "configuration": True, "workspaceFolders": True},
    },
    encoding="utf-16",
)

KATE = Profile(
    name="kate",
    client_info=None,
    capabilities={
        "textDocument": {
            "completion": {
                "completionItem": {
                    "snippetSupport": True,
                    "resolveSupport": {"properties": ["additionalTextEdits", "documentation"]},
                }
            },
        },
        "window": {"workDoneProgress": True},
    },
    encoding="utf-16",
)

KAKOUNE = Profile(
    name="kakoune",
    client_info={"name": "kak-lsp", "version": "18.0.3"},
    capabilities={
        "general": {"positionEncodings": ["utf-8", "utf-16"]},
        "textDocument": {
            "completion": {
                "completionItem": {
                    "snippetSupport": True,
                    "documentationFormat": ["markdown", "plaintext"],
                    "resolveSupport": {"properties": ["additionalTextEdits"]},
                }
            },
        },
        "window": {"workDoneProgress": True},
        "workspace": {"applyEdit": True, "workspaceFolders": True},
    },
    encoding="utf-8",
)

MINIMAL = Profile(name="minimal", client_info=None, capabilities={}, encoding="utf-16")

MENU_PROFILES = (NEOVIM_0_11, HELIX, EGLOT_1_9, EGLOT_1_17, SUBLIME, KATE, KAKOUNE, MINIMAL)
PROFILES = (VSCODE, NEOVIM_0_12, NEOVIM_0_11, LSP_MODE, COC, MINIMAL)


def initialize_params(
    profile: Profile = MINIMAL,
    *,
    root: Path | None = None,
    process_id: int | None = THIS_PROCESS,
    options: object = None,
) -> Json:
    """What a client sends; this process is the editor where no other is named."""
    params: Json = {
        "processId": process_id,
        "rootUri": root.as_uri() if root else None,
        "capabilities": profile.capabilities,
    }
    if profile.client_info:
        params["clientInfo"] = profile.client_info
    if root:
        params["workspaceFolders"] = [{"uri": root.as_uri(), "name": root.name}]
    return params if options is None else params | {"initializationOptions": options}


def speaking(encoding: str) -> Profile:
    """A client that knows this position encoding only."""
    capabilities: Json = {"general": {"positionEncodings": [encoding]}}
    return Profile(name=encoding, client_info=None, capabilities=capabilities, encoding=encoding)
