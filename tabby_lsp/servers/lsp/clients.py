"""How editors differ where the protocol leaves it open: one row each, and nowhere else.

Sources: vscode-languageclient 10, Neovim 0.12's `vim.lsp.inline_completion`, coc.nvim 0.0.82,
lsp-mode.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What the server does otherwise for one editor."""

    # How long the editor itself waits after a key before it asks; our own wait is what is left of
    # it.
    delay_ms: int = 0
    # Shows an item beside an open menu only where it extends the entry selected there.
    extends_selected_entry: bool = False


_OTHERS = Client()

_BY_NAME = {
    "Visual Studio Code": Client(delay_ms=50, extends_selected_entry=True),
    "VSCodium": Client(delay_ms=50, extends_selected_entry=True),
    "code-server": Client(delay_ms=50, extends_selected_entry=True),
    "Cursor": Client(delay_ms=50, extends_selected_entry=True),
    "Neovim": Client(delay_ms=20),  # our plugin's for 0.11; 0.12 waits for 200 ms by itself
    "coc.nvim": Client(delay_ms=10, extends_selected_entry=True),
    "emacs": Client(delay_ms=2000),  # lsp-mode's own idle time
}


def client_named(name: str) -> Client:
    """The row of an editor, by the name in its `clientInfo`; the plain protocol for all others."""
    for known, client in _BY_NAME.items():
        if name.lower().startswith(known.lower()):
            return client
    return _OTHERS
