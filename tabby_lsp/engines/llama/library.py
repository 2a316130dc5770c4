"""llama.cpp's shared library: found, checked against the structs we know, and kept quiet.

Invariant: the library's own words go into a bounded ring, never to file descriptors 1 or 2.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from tabby_lsp.domain import EngineError
from tabby_lsp.engines.llama import caution

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tabby_lsp.engines.llama.caution import Feature

LLAMA_CPP_PYTHON_VERSION = "0.3.36"

# What a fresh `llama_context_params` and `llama_model_params` hold in the release above, field by
# field from the first to the last bytes: if the struct had moved, some of these would read as
# something else.
_CONTEXT_DEFAULTS = {"n_ctx": 512, "n_batch": 2048, "n_ubatch": 512, "yarn_beta_fast": -1.0}
_CONTEXT_DEFAULTS |= {
    "type_k": 1,
    "type_v": 1,
    "offload_kqv": True,
    "no_perf": True,
    "swa_full": True,
}
_MODEL_DEFAULTS = {
    "n_gpu_layers": -1,
    "split_mode": 1,
    "vocab_only": False,
    "use_extra_bufts": True,
}

# Enough to hold what llama.cpp says while it loads one model; a message is about 100 bytes.
_log_ring: deque[str] = deque(maxlen=400)


def recent_log() -> tuple[str, ...]:
    """The last lines that llama.cpp wrote, oldest first."""
    return tuple("".join(_log_ring).splitlines())


# Each model has its thread, and llama.cpp says what machine this is from one static string: two
# first calls at once free it twice.
_asking = threading.RLock()


def opened() -> Any:
    """The module `llama_cpp.llama_cpp`, checked and quiet; imported once, at the first call.

    Raises EngineError when it is not installed, does not load, or is another release than the one
    whose structs we know.
    """
    with _asking:
        return _opened()


@functools.cache
def _opened() -> Any:
    # A failed assertion of ggml would start gdb for a backtrace, inside an editor.
    os.putenv("GGML_NO_BACKTRACE", "1")
    try:
        import llama_cpp
        from llama_cpp import llama_cpp as api
    except ModuleNotFoundError as error:
        raise EngineError(
            "llama-cpp-python is not installed, so no model can run on this machine: "
            'install it with `pip install "tabby-lsp[local]"`.'
        ) from error
    except (OSError, RuntimeError) as error:
        raise EngineError(
            f"llama-cpp-python is installed but its library does not load ({error}): reinstall it "
            'with `pip install --force-reinstall --no-cache-dir "tabby-lsp[local]"`.'
        ) from error
    api.llama_log_set(_LOG_CALLBACK, ctypes.c_void_p(0))
    _check_layout(llama_cpp.__version__, api)
    api.llama_backend_init()
    return api


# What the self-test tries to do without; None where what it has found out before is heeded.
_avoided: frozenset[Feature] | None = None


def avoid(features: Iterable[Feature]) -> None:
    """Do without these in this process, whatever is remembered."""
    global _avoided
    _avoided = frozenset(features)


def avoided() -> frozenset[Feature]:
    """What crashes on this machine, as far as is known."""
    if _avoided is not None:
        return _avoided
    record = caution.remembered()
    return frozenset(record.avoided if record else ())


def extra_buffers_are_safe(api: Any) -> bool:
    """Whether the repacked weight layouts may be used.

    llama.cpp's AMX kernels crash in natively built wheels of this release (`ldtilecfg`,
    ggml-org/llama.cpp#26954): the first Q8_0 prompt of two tokens or more is a segmentation fault.
    """
    with _asking:
        return b"AMX_INT8" not in api.llama_print_system_info()


def multiplies_bf16(api: Any) -> bool:
    """Whether the processor has instructions for the sums that attention takes, over bf16."""
    with _asking:
        return b"AVX512_BF16" in api.llama_print_system_info()


def has_graphics() -> bool:
    """Whether models run on a graphics card here; False where llama.cpp is not there either."""
    try:
        return bool(opened().llama_supports_gpu_offload())
    except EngineError:
        return False


def native_strlen() -> int:
    """The address of the C library's `strlen`.

    Over a one-byte buffer it is an abort callback that needs neither the GIL nor a compiler:
    `""` is false, `"x"` is true.
    """
    libc = ctypes.cdll.msvcrt if os.name == "nt" else ctypes.CDLL(None)
    address = ctypes.cast(libc.strlen, ctypes.c_void_p).value
    assert address is not None
    return address


def addressing(function: Any, *, waits: bool) -> Any:
    """A function of llama.cpp's that gives a pointer, which is told as a number.

    Where it `waits` for nothing, the interpreter is not given away for the call: whoever else wants
    it has it for longer than that.
    """
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    prototype = ctypes.CFUNCTYPE if waits else ctypes.PYFUNCTYPE
    return prototype(ctypes.c_void_p, *function.argtypes)(address)


def _check_layout(version: str, api: Any) -> None:
    context, model = api.llama_context_default_params(), api.llama_model_default_params()
    fits = all(getattr(context, name) == value for name, value in _CONTEXT_DEFAULTS.items())
    fits = fits and all(getattr(model, name) == value for name, value in _MODEL_DEFAULTS.items())
    if version != LLAMA_CPP_PYTHON_VERSION or not fits:
        raise EngineError(
            f"llama-cpp-python {version} is installed, and tabby-lsp knows the structs of "
            f"{LLAMA_CPP_PYTHON_VERSION} only: install that one with "
            f'`pip install "llama-cpp-python=={LLAMA_CPP_PYTHON_VERSION}"`.'
        )


def _keep_log_line(level: int, text: bytes, user_data: int | None) -> None:
    _log_ring.append(text.decode("utf-8", "replace"))


# Kept for as long as the library is loaded: it calls this from any thread.
_LOG_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(
    _keep_log_line
)
