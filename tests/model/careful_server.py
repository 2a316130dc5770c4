"""llama-cpp-python's server, without the kernels that crash on some processors."""

from __future__ import annotations

import runpy

from llama_cpp import llama_cpp

from benchmarks.keystrokes.create_completion import avoid_amx

if __name__ == "__main__":
    avoid_amx(llama_cpp)
    runpy.run_module("llama_cpp.server", run_name="__main__", alter_sys=True)
