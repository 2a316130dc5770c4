"""What may hold a secret, by the name of a file or by what stands in a text.

Invariant: pure, and linear in the text; `lists.py` is the only place that names secrets.
"""

from tabby_lsp.secrets.rules import holds_secret, is_secret_path, is_secret_uri

__all__ = ["holds_secret", "is_secret_path", "is_secret_uri"]
