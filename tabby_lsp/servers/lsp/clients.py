"""How editors differ where the protocol leaves it open: one row each, and nowhere else.

Sources: vscode-languageclient 10, Neovim 0.11 and 0.12, coc.nvim 0.0.82, lsp-mode, eglot 1.9 and
1.17, Helix 25.07, Kate 22.12 and 25.04, kakoune-lsp 18, sublimelsp/LSP 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from lsprotocol import types as lsp

# "lines-as-snippet": several lines as a snippet where the client knows snippets, one line as text.
# "snippet": one line as well. "text": never a snippet, and as it will stand in the document.
MenuForm = Literal["lines-as-snippet", "snippet", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What the server does otherwise for one editor."""

    # How long the editor itself waits after a key before it asks; our own wait is what is left of
    # it.
    delay_ms: int = 0
    # Shows an item beside an open menu only where it extends the entry selected there.
    extends_selected_entry: bool = False
    # Asks for ghost text without having announced that it can draw it.
    draws_unannounced: bool = False
    # How long a menu may wait for the model. VSCode, Neovim, Sublime and Kakoune show nothing
    # before the last server has answered, and 100 ms are noticed: half of it is for others' work.
    menu_wait_ms: int = 50
    menu_form: MenuForm = "lines-as-snippet"
    # Whether an entry may take the place of what stands right of the cursor.
    menu_heeds_range_end: bool = True


_OTHERS = Client()

# Kate and eglot before 1.10 do not say who they are. Both put plain text in as it is; Kate leaves a
# snippet's backslashes in it, and replaces the word at the cursor whatever the range says.
_UNNAMED = Client(menu_form="text", menu_heeds_range_end=False)

_BY_NAME = {
    "Visual Studio Code": Client(delay_ms=50, extends_selected_entry=True),
    "VSCodium": Client(delay_ms=50, extends_selected_entry=True),
    "code-server": Client(delay_ms=50, extends_selected_entry=True),
    "Cursor": Client(delay_ms=50, extends_selected_entry=True),
    # The delay is our plugin's for 0.11; 0.12 waits for 200 ms by itself. The menu cuts plain text
    # at its first blank (`get_completion_word`), and replaces up to the cursor only.
    "Neovim": Client(delay_ms=20, menu_form="snippet", menu_heeds_range_end=False),
    "coc.nvim": Client(delay_ms=10, extends_selected_entry=True),
    "emacs": Client(delay_ms=2000, draws_unannounced=True),  # lsp-mode, and its idle time
    # Hands snippets to yasnippet, which indents anew by the mode's own rules.
    "eglot": Client(menu_form="text"),
    # Shows what comes first and adds what comes later to the open menu, so nobody waits for us.
    # Its snippets are indented with blanks also where the document has tabs.
    "helix": Client(menu_form="text", menu_wait_ms=500),
    "kak-lsp": Client(menu_heeds_range_end=False),
    "kakoune-lsp": Client(menu_heeds_range_end=False),
}


def client_named(name: str) -> Client:
    """The row of an editor, by the name in its `clientInfo`; the plain protocol for all others."""
    for known, client in _BY_NAME.items():
        if name.lower().startswith(known.lower()):
            return client
    return _OTHERS if name else _UNNAMED


def draws_ghost_text(client: Client, capabilities: lsp.ClientCapabilities) -> bool:
    """Whether inline completions are drawn by this client."""
    documents = capabilities.text_document
    announced = documents is not None and documents.inline_completion is not None
    return announced or client.draws_unannounced
