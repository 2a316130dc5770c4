"""Weighs what a model needs against the memory that is free, before it is loaded.

Invariant: where the free memory cannot be learned, nothing is refused.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tabby_lsp.models.cursor import ModelFileError

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabby_lsp.models.gguf import Header

# Copies of a memory that is a state: what is read and continued, what is made ahead, and the places
# that can be gone back to.
N_STATES = 6

_N_CELLS_STEP = 256  # llama.cpp rounds a context up to a multiple of this
_N_VECTORS = 8  # of a layer's width, alive at once
_F16_BYTES, _F32_BYTES = 2, 4
_PROCESS_BYTES = 64 << 20  # llama.cpp, numpy and the vocabulary

_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")
# What a group may use, what it uses, and what of that is file cache, which the kernel takes back.
_CGROUP_V2 = ("memory.max", "memory.current", ("inactive_file", "active_file"))
_CGROUP_V1 = (
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    ("total_inactive_file", "total_active_file"),
)


class DoesNotFit(ModelFileError):
    """The model needs more memory than is free."""


def memory_needed_bytes(header: Header, n_ctx: int, n_ubatch: int) -> int:
    """The weights, a KV cache for `n_ctx` tokens in 16 bits, and llama.cpp's working memory.

    A memory that is a state counts with its copies. The cache is exact for models that attend to
    everything and too large for those with windows; the working memory is an estimate from above
    (what llama.cpp 0.3.36 reserved for Qwen2.5 and CodeLlama shapes was 10 to 45 % less).
    """
    n_cells = (n_ctx + _N_CELLS_STEP - 1) // _N_CELLS_STEP * _N_CELLS_STEP
    width = header.figure("embedding_length", 0)
    n_feed_forward = max(_per_layer(header, "feed_forward_length", 4 * width))
    n_feed_forward = max(n_feed_forward, 2 * header.figure("ssm.inner_size", 0))
    n_floats = header.n_vocab + 2 * n_feed_forward + _N_VECTORS * width + n_cells
    kv_bytes = n_cells * _kv_values_per_token(header, width) * _F16_BYTES
    kv_bytes += N_STATES * _state_values(header, width) * _F32_BYTES
    return header.tensor_bytes + kv_bytes + n_ubatch * n_floats * _F32_BYTES + _PROCESS_BYTES


def memory_free_bytes() -> int | None:
    """What this process may still use without swapping; None where the system does not say."""
    if sys.platform == "linux":
        return _linux_free_bytes()
    if sys.platform == "win32":
        return _windows_free_bytes()
    return _sysconf_bytes("SC_AVPHYS_PAGES") or _sysconf_bytes("SC_PHYS_PAGES")


def check_fits(header: Header, n_ctx: int, n_ubatch: int) -> None:
    """Raise DoesNotFit when the model needs more memory than is free.

    `n_ubatch` is how many tokens llama.cpp computes at once; it keeps the logits of each.
    """
    needed_bytes = memory_needed_bytes(header, n_ctx, n_ubatch)
    free_bytes = memory_free_bytes()
    if free_bytes is not None and needed_bytes > free_bytes:
        raise DoesNotFit(
            f"{header.path} needs about {needed_bytes / 1e6:,.0f} MB of memory for a context of"
            f" {n_ctx:,} tokens and {free_bytes / 1e6:,.0f} MB are free; close other programs,"
            " choose a smaller model, or set a smaller `n_ctx` under `[local]` in config.toml"
        )


def _kv_values_per_token(header: Header, width: int) -> int:
    """Numbers that the KV cache holds of each token, over all layers."""
    heads = _per_layer(header, "attention.head_count", 1)
    kv_heads = _per_layer(header, "attention.head_count_kv", 0)
    head_width = width // max(1, *heads)
    n_key = header.figure("attention.key_length", head_width)
    n_value = header.figure("attention.value_length", head_width)
    interval = header.figure("full_attention_interval", 0)
    if interval:
        kv_heads = kv_heads[interval - 1 :: interval]
    return sum(kv_heads if any(kv_heads) else heads) * (n_key + n_value)


def _state_values(header: Header, width: int) -> int:
    """Numbers of one state, over all layers; 0 where there is none. As llama-hparams.cpp has it."""
    n_inner, n_state = header.figure("ssm.inner_size", 0), header.figure("ssm.state_size", 0)
    n_channels = n_inner + 2 * header.figure("ssm.group_count", 0) * n_state
    n_values = n_inner * n_state + max(0, header.figure("ssm.conv_kernel", 1) - 1) * n_channels
    n_values += max(0, header.figure("shortconv.l_cache", 1) - 1) * width
    if n_head := header.figure("wkv.head_size", 0):
        n_values += width * (n_head + header.figure("token_shift_count", 2))
    n_layers = header.figure("block_count", 1)
    kv_heads = _per_layer(header, "attention.head_count_kv", 0)
    if any(kv_heads) and not all(kv_heads):
        n_layers = sum(not n_heads for n_heads in kv_heads)
    elif interval := header.figure("full_attention_interval", 0):
        n_layers -= n_layers // interval
    return n_layers * n_values


def _per_layer(header: Header, key: str, default: int) -> tuple[int, ...]:
    """One whole number for each layer, however the file spells it."""
    values = header.metadata.get(f"{header.architecture}.{key}")
    if isinstance(values, tuple):
        return tuple(value for value in values if isinstance(value, int)) or (default,)
    return (header.figure(key, default),) * header.figure("block_count", 1)


def _linux_free_bytes() -> int | None:
    """The least of what the machine, the control groups and `ulimit -v` leave."""
    limits = [
        _fields_bytes(_PROC / "meminfo", ("MemAvailable:",), unit_bytes=1024),
        *_cgroups_free_bytes(),
        _address_space_free_bytes(),
    ]
    known = [limit for limit in limits if limit is not None]
    return max(0, min(known)) if known else None


def _cgroups_free_bytes() -> Iterator[int | None]:
    for line in _read(_PROC / "self/cgroup").splitlines():
        number, controllers, group = line.split(":", 2)
        if number == "0" and not controllers:
            root, files = _CGROUPS, _CGROUP_V2
        elif "memory" in controllers.split(","):
            root, files = _CGROUPS / "memory", _CGROUP_V1
        else:
            continue
        # In a container the path may be the outside's: what is not there is passed over, and the
        # root is the container's own group.
        folder = root / group.lstrip("/")
        for level in (folder, *folder.parents):
            if level.is_relative_to(root):
                yield _cgroup_free_bytes(level, *files)


def _cgroup_free_bytes(
    folder: Path, limit_file: str, used_file: str, cache_fields: tuple[str, ...]
) -> int | None:
    limit, used = _read(folder / limit_file).strip(), _read(folder / used_file).strip()
    if not (limit.isdigit() and used.isdigit()):
        return None  # no such group, or "max"
    cached_bytes = _fields_bytes(folder / "memory.stat", cache_fields) or 0
    return int(limit) - int(used) + cached_bytes


def _address_space_free_bytes() -> int | None:
    limit_bytes, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = _read(_PROC / "self/statm").split()
    if limit_bytes == resource.RLIM_INFINITY or not pages:
        return None
    return limit_bytes - int(pages[0]) * resource.getpagesize()


def _fields_bytes(path: Path, names: tuple[str, ...], unit_bytes: int = 1) -> int | None:
    """The sum of the named figures in a file of `name figure` lines; None where it has none."""
    found = [
        int(words[1]) * unit_bytes
        for words in map(str.split, _read(path).splitlines())
        if len(words) > 1 and words[0] in names
    ]
    return sum(found) if found else None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _sysconf_bytes(pages: str) -> int | None:
    try:
        return os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None  # this system has no such figure


if sys.platform == "win32":

    class _MemoryStatus(ctypes.Structure):  # MEMORYSTATUSEX of the Windows API
        _fields_ = (
            ("n_bytes", ctypes.c_uint32),
            ("load_percent", ctypes.c_uint32),
            *((name, ctypes.c_uint64) for name in ("total", "free", "total_page", "free_page")),
            *((name, ctypes.c_uint64) for name in ("total_virtual", "free_virtual", "extended")),
        )

    def _windows_free_bytes() -> int | None:
        status = _MemoryStatus(n_bytes=ctypes.sizeof(_MemoryStatus))
        if not ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
            return None
        return int(status.free)
