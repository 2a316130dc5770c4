"""The faces of the product: LSP now, HTTP later."""
