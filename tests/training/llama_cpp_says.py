"""Run by the Python that has llama.cpp: a model's logits, and its tokens of texts, to compare.

Call: `python llama_cpp_says.py MODEL QUESTIONS ANSWERS`; questions are JSON, answers an npz file.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import llama_cpp
import numpy as np

from benchmarks.keystrokes.create_completion import avoid_amx


def main(model: Path, questions: Path, answers: Path) -> None:
    """`tokens` is asked for logits at each of its places, `texts` for token ids."""
    asked = json.loads(questions.read_text("utf-8"))
    avoid_amx(llama_cpp.llama_cpp)
    llama = llama_cpp.Llama(str(model), n_ctx=1024, logits_all=True, verbose=False, n_threads=1)
    llama.eval(asked["tokens"])
    ids = [llama.tokenize(text.encode(), add_bos=False, special=False) for text in asked["texts"]]
    np.savez(
        answers,
        logits=np.array(llama.scores[: len(asked["tokens"])]),
        ids=np.concatenate([np.array(each, np.int64) for each in ids]) if ids else [],
        lengths=[len(each) for each in ids],
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
