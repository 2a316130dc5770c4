"""llama-cpp-python's server, without the kernels that crash on some processors.

It has no option for them (`tabby_lsp.engines.llama.library.extra_buffers_are_safe` says where).
"""

from __future__ import annotations

import runpy
from typing import Any

from llama_cpp import llama_cpp as api

from tabby_lsp.engines.llama.library import extra_buffers_are_safe

with_extra_buffers = api.llama_model_default_params


def without_extra_buffers() -> Any:
    parameters = with_extra_buffers()
    parameters.use_extra_bufts = False
    return parameters


if __name__ == "__main__":
    if not extra_buffers_are_safe(api):
        api.llama_model_default_params = without_extra_buffers
    runpy.run_module("llama_cpp.server", run_name="__main__", alter_sys=True)
