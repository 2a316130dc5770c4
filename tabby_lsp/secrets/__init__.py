"""What may hold a secret, by the name of a file or by what stands in a text.

Invariant: pure, and linear in the text; `lists.py` is the only place that names secrets.
"""

from tabby_lsp.secrets.names import is_secret_path, is_secret_uri

__all__ = ["holds_secret", "is_secret_path", "is_secret_uri"]


def holds_secret(text: str) -> bool:
    """Whether a text seems to hold a key, a token, a password or another secret.

    Time is linear in the text.
    """
    # Its patterns take as long to compile as a fiftieth of an editor's wait for the server.
    from tabby_lsp.secrets import rules

    return rules.holds_secret(text)
