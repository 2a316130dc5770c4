"""llama.cpp's library, asked by the threads of several models at once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

from tabby_lsp.engines.llama.library import extra_buffers_are_safe, multiplies_bf16


class Api:
    """Notices calls of `llama_print_system_info` that overlap."""

    def __init__(self) -> None:
        self.overlapped = False
        self._inside = threading.Lock()

    def llama_print_system_info(self) -> bytes:
        if not self._inside.acquire(blocking=False):
            self.overlapped = True
            return b""
        time.sleep(0.01)
        self._inside.release()
        return b"CPU : AVX2 = 1"


def test_llama_cpp_is_asked_about_the_machine_by_one_thread_at_a_time() -> None:
    """It builds its answer in a static string: two first calls at once corrupt the heap."""
    api = Api()
    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(extra_buffers_are_safe, [api] * 8))
    assert not api.overlapped


def test_bf16_is_used_where_llama_cpp_names_the_instructions() -> None:
    def named(features: bytes) -> bool:
        return multiplies_bf16(SimpleNamespace(llama_print_system_info=lambda: features))

    assert named(b"CPU : AVX512 = 1 | AVX512_VNNI = 1 | AVX512_BF16 = 1 | REPACK = 1 | ")
    assert not named(b"CPU : AVX512 = 1 | AVX512_VNNI = 1 | REPACK = 1 | ")
