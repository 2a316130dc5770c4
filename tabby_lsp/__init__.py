"""Inline code completion from a model on your own machine, in any editor that speaks LSP."""

__version__ = "0.1.0"
