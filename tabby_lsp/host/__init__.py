"""The engine host: one process of the user's that runs the models for all editor windows.

Invariant: nobody but the user reaches it, and nobody here knows an engine or an editor.
"""
