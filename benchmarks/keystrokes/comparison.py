"""Which models are run, and who is compared on them in the same run."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tabby_lsp
from benchmarks.keystrokes.corpus import read
from benchmarks.keystrokes.create_completion import NAME as CREATE_COMPLETION
from benchmarks.keystrokes.create_completion import CreateCompletion
from benchmarks.keystrokes.language_server import LanguageServer
from benchmarks.keystrokes.llama_vim import NAME as LLAMA_VIM
from benchmarks.keystrokes.llama_vim import NAME_SPM as LLAMA_VIM_SPM
from benchmarks.keystrokes.llama_vim import LlamaVim
from benchmarks.keystrokes.random_model import N_CTX, made
from benchmarks.keystrokes.replay import replay
from benchmarks.peers.server_build import BUILD_COMMAND, built

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.keystrokes.contestant import Contestant
    from benchmarks.keystrokes.figures import Figures
    from benchmarks.keystrokes.replay import Pace
    from benchmarks.keystrokes.trace import Trace

STARTER, RANDOM = "starter", "random-0.5b"
OTHERS = (CREATE_COMPLETION, LLAMA_VIM, LLAMA_VIM_SPM)


@dataclass(frozen=True, slots=True)
class Subject:
    """A model that everybody runs."""

    name: str
    path: Path
    n_ctx: int
    # How many tokens each answer has, no fewer and no more, so that times can be compared.
    n_exactly: int = 0


def subject(name: str, folder: Path) -> Subject:
    """A model by name; what has to be made stands in `folder`."""
    if name == STARTER:
        path = next((Path(tabby_lsp.__file__).parent / "models" / "starter").glob("*.gguf"))
        return Subject(name, path, 1024)
    return Subject(name, made(folder / "random-qwen2.5-coder-0.5b-q8_0.gguf"), N_CTX, 8)


def settings_of(model: Subject, n_threads: int) -> str:
    """Our `config.toml`."""
    lines = [f"model = '{model.path}'"]
    if model.n_exactly:
        # Whoever says nothing but words without a meaning is unlikely to be right.
        lines += ["[completion]", "confidence = 0", f"max_tokens = {model.n_exactly}"]
        lines += [f"max_line_tokens = {model.n_exactly}"]
    lines += ["[local]", f"n_threads = {n_threads}", f"n_ctx = {model.n_ctx}"]
    return "\n".join([*lines, ""])


def compare(
    model: Subject,
    trace: Trace,
    n_threads: int,
    pace: Pace,
    beside: Sequence[str],
    hear: Callable[[int, int], None],
) -> tuple[dict[str, Figures], list[str]]:
    """The figures of each by name, and a line for each who is missing.

    `beside` are names out of `OTHERS`.
    """
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        makers, missing = _makers(model, n_threads, home, beside)
        contestants: list[Contestant] = []
        for make in makers:
            contestants.append(make())
            stack.callback(contestants[-1].close)
        return replay(trace, contestants, read, pace, hear), missing


def _makers(
    model: Subject, n_threads: int, home: Path, beside: Sequence[str]
) -> tuple[list[Callable[[], Contestant]], list[str]]:
    path, n_ctx, n_exactly = model.path, model.n_ctx, model.n_exactly
    makers: list[Callable[[], Contestant]] = [
        lambda: LanguageServer(home, settings_of(model, n_threads))
    ]
    if CREATE_COMPLETION in beside:
        makers.append(lambda: CreateCompletion(path, n_threads, n_ctx, n_exactly))
    if built("llama-server") is None:
        return makers, [
            f"  LEFT OUT: {name}, for its program is not built; `{BUILD_COMMAND}` builds it"
            " (ten minutes of processor time, once)"
            for name in (LLAMA_VIM, LLAMA_VIM_SPM)
            if name in beside
        ]
    if LLAMA_VIM in beside:
        makers.append(lambda: LlamaVim(path, n_threads, n_ctx, spm=False, n_exactly=n_exactly))
    if LLAMA_VIM_SPM in beside:
        makers.append(lambda: LlamaVim(path, n_threads, n_ctx, spm=True, n_exactly=n_exactly))
    return makers, []
