"""llama-cpp-python's `create_completion`, as a program would call it that is written in an hour.

Run as a program it answers lines of JSON on its standard input; the class asks such a child, so
that its processor time and memory are its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from benchmarks.keystrokes.contestant import Cost, Suggestion, Totals
from benchmarks.keystrokes.processes import Family, Usage

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.keystrokes.trace import Edit

NAME = "create_completion"
# What `context.prefix_chars` and `context.suffix_chars` are by default, as far as the context has
# room: it counts tokens, and refuses what is too long.
_PREFIX_CHARS, _SUFFIX_CHARS = 6_000, 2_000
_CHARS_PER_CONTEXT_TOKEN = 1.8
_MAX_LINE_TOKENS = 48


class CreateCompletion:
    """Keeps the promises of Contestant."""

    name = NAME

    def __init__(self, model: Path, n_threads: int, n_ctx: int, n_exactly: int = 0) -> None:
        options = {
            "model_path": str(model),
            "n_ctx": n_ctx,
            "n_threads": n_threads,
            "n_threads_batch": n_threads,
            "n_exactly": n_exactly,
        }
        share = min(1.0, n_ctx * _CHARS_PER_CONTEXT_TOKEN / (_PREFIX_CHARS + _SUFFIX_CHARS))
        self._n_prefix, self._n_suffix = int(_PREFIX_CHARS * share), int(_SUFFIX_CHARS * share)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.keystrokes.create_completion", json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._said()
        self._family = Family(self._process.pid)
        self._costs: list[Cost] = []
        self._totals = Totals()
        self._changed_s = 0.0

    def open(self, path: str, text: str) -> None:
        """Nobody is told."""

    def change(self, path: str, before: str, edit: Edit) -> None:
        self._changed_s = time.perf_counter()

    def ask(self, path: str, text: str, cursor: int) -> Suggestion:
        asked_s = self._changed_s or time.perf_counter()
        prefix = text[max(0, cursor - self._n_prefix) : cursor]
        suffix = text[cursor : cursor + self._n_suffix]
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"prompt": prefix, "suffix": suffix}) + "\n")
        self._process.stdin.flush()
        answer = self._said()
        wait_ms = (time.perf_counter() - asked_s) * 1_000
        self._changed_s = 0.0
        cost = Cost(answer["n_evaluated"], answer["n_reused"], answer["n_generated"])
        self._costs.append(cost)
        self._totals = Totals(
            self._totals.n_evaluated + cost.n_evaluated,
            self._totals.n_generated + cost.n_generated,
        )
        return Suggestion(answer["text"], 0, wait_ms)

    def costs(self) -> list[Cost]:
        costs, self._costs = self._costs, []
        return costs

    def totals(self) -> Totals:
        return self._totals

    def usage(self) -> Usage:
        return self._family.usage()

    def wait_idle(self) -> None:
        """It does what it is called for."""

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _said(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("create_completion has ended: run its module to see why")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _serve(options: dict[str, Any]) -> None:
    # The library writes to file descriptor 1 while it loads.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    from llama_cpp import Llama, llama_cpp

    avoid_amx(llama_cpp)
    n_exactly = options.pop("n_exactly")
    llama = Llama(**options, verbose=False)
    counted = _counting(llama)
    print("{}", file=out, flush=True)
    for line in sys.stdin:
        counted.clear()
        asked = json.loads(line)
        if n_exactly:
            more = {"max_tokens": n_exactly, "logit_bias": {llama.token_eos(): -1e9}}
        else:
            more = {"max_tokens": _MAX_LINE_TOKENS, "stop": ["\n"]}
        answer = llama.create_completion(**asked, **more, temperature=0.0)
        usage = answer["usage"]
        n_generated = usage["completion_tokens"]
        # What was evaluated for the prompt is all but a token for each that was generated.
        n_evaluated = counted[0] if counted else 0
        said = {
            "text": answer["choices"][0]["text"],
            "n_evaluated": n_evaluated,
            "n_reused": usage["prompt_tokens"] - n_evaluated,
            "n_generated": n_generated,
        }
        print(json.dumps(said), file=out, flush=True)


def _counting(llama: Any) -> list[int]:
    """How many tokens each call of `eval` since has evaluated; the first is the prompt."""
    counted: list[int] = []
    evaluate = llama.eval

    def counting(tokens: Any) -> None:
        counted.append(len(tokens))
        evaluate(tokens)

    llama.eval = counting
    return counted


def avoid_amx(api: Any) -> None:
    """These kernels crash in natively built wheels of this release (ggml-org/llama.cpp#26954).

    llama-cpp-python has no option for them; does nothing where there are none.
    """
    if b"AMX_INT8" not in api.llama_print_system_info():
        return
    defaults = api.llama_model_default_params

    def without_extra_buffers() -> Any:
        parameters = defaults()
        parameters.use_extra_bufts = False
        return parameters

    api.llama_model_default_params = without_extra_buffers


if __name__ == "__main__":
    _serve(json.loads(sys.argv[1]))
