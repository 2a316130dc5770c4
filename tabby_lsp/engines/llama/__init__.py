"""llama.cpp on this machine: the only folder that knows `llama_cpp` and numpy.

Invariant: nothing here imports either at module level; `library.opened()` does, on the worker
thread, when a model is first needed.
"""
