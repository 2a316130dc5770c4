"""From cursor to text: what to ask, when to stop, what to show.

Invariant: values in, values out; no file, clock, thread or logger is touched in here.
"""
