"""Model files: what is installed, what a file holds, how its family spells fill-in-the-middle.

Invariant: reads files and never runs a model; llama.cpp is not imported here.
"""
