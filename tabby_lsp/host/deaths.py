"""What is made of the host's deaths: why it died, how soon it is started again, and when no more.

Invariant: pure; deaths count against a model only while it was at work, and an answer that came to
its end forgives them all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# So often in a row, with no finished answer in between, and the model is left alone.
MAX_DEATHS = 3
# Before the host is started again: at once after the first death.
_PAUSES_S = (0.0, 0.5, 2.0)
_N_LAST_WORDS = 3

# What the host begins its log with.
STARTED = "engine host started"

# What stands in the last lines, and what it means; the first that fits.
_CAUSES = (
    (
        r"Illegal instruction|ldtilecfg",
        "this build of llama.cpp uses instructions that this processor does not have: build it "
        "here with `pip install --force-reinstall --no-cache-dir --no-binary llama-cpp-python "
        '"tabby-lsp[local]"`',
    ),
    (
        r"Bus error",
        "the model's file was changed or cut off while it was in use: replace such files, never "
        "write into them",
    ),
    (
        r"out of memory|failed to allocate|bad_alloc|MemoryError|cudaMalloc|ErrorOutOfDeviceMemory",
        "there was no memory left: choose a smaller model, or a smaller `n_ctx` under `[local]`",
    ),
    (
        r"CUDA error|HIP error|ggml_vulkan|ggml_metal|vk::",
        "the graphics card's driver failed: update it, or use a build of llama-cpp-python without "
        "it",
    ),
    (r"GGML_ASSERT|GGML_ABORT|Aborted", "llama.cpp gave up on itself, as a damaged model makes it"),
    (r"Segmentation fault", "llama.cpp crashed"),
    (r"No space left on device", "the disk is full"),
)
_SILENT = (
    "it said nothing, as when the system ends it for want of memory or somebody else does: see "
    "`dmesg`, and choose a smaller model if it was memory"
)


@dataclass(slots=True)
class Deaths:
    """Those of one model, as one window has seen them."""

    n_in_a_row: int = 0

    def count(self) -> None:
        """The host has died while the model was at work."""
        self.n_in_a_row += 1

    def forgive(self) -> None:
        """An answer has come to its end."""
        self.n_in_a_row = 0

    @property
    def are_too_many(self) -> bool:
        return self.n_in_a_row >= MAX_DEATHS

    @property
    def pause_s(self) -> float:
        """How long to wait before the host is started again."""
        return _PAUSES_S[min(max(self.n_in_a_row - 1, 0), len(_PAUSES_S) - 1)]


def last_words(log: str, pid: int) -> tuple[str, ...]:
    """The last lines that the host of this number has written."""
    _, found, said = log.rpartition(f"{STARTED}: {pid},")
    lines = [line.strip() for line in said.splitlines()[1:]] if found else []
    return tuple(line for line in lines if line)


HUNG = ("the engine host did not answer any more",)


def why(said: tuple[str, ...]) -> str:
    """The cause, as far as its last words tell."""
    if said == HUNG:
        return "it did not answer any more"
    text = "\n".join(said)
    known = next((cause for pattern, cause in _CAUSES if re.search(pattern, text)), "")
    if known:
        return known
    return f"its last words were: {_quoted(said)}" if said else _SILENT


def once_more(model: str, said: tuple[str, ...]) -> str:
    """What is said when the host is started again."""
    return f"The engine host, which runs {model}, ended and is started again: {why(said)}."


def no_more(model: str, said: tuple[str, ...]) -> str:
    """What is said when a model is left alone."""
    words = f" Its last words: {_quoted(said)}." if said else ""
    return (
        f"The engine host ended {MAX_DEATHS} times in a row while {model} was at work, so that "
        f"model is not used any more: {why(said)}.{words} Choose another model, or start the "
        "language server again to try once more; `tabby-lsp doctor` examines this machine."
    )


def _quoted(said: tuple[str, ...]) -> str:
    return " / ".join(line[:200] for line in said[-_N_LAST_WORDS:])
