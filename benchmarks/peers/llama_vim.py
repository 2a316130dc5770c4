"""What llama.vim sends, from its documentation and its source (autoload/llama.vim, `llama#fim`)."""

from __future__ import annotations

from typing import Any

N_PREFIX_LINES, N_SUFFIX_LINES = 256, 64
MAX_LINE_SUFFIX_CHARS = 8  # with more right of the cursor it does not ask by itself
# How many answers it keeps, and how far back it looks for one that is being typed.
MAX_CACHE_KEYS, N_CHARS_BACK = 250, 128
# For the answer that is waited for, and for the one behind it, which is asked for ahead.
FIRST_MS, AHEAD_MS = 250, 1_000

_ALWAYS = {
    "id_slot": 0,
    "input_extra": [],
    "n_predict": 128,
    "stop": [],
    "top_k": 40,
    "top_p": 0.90,
    "stream": False,
    "samplers": ["top_k", "top_p", "infill"],
    "cache_prompt": True,
    "t_max_prompt_ms": 500,
    "response_fields": [
        "content",
        "timings/prompt_n",
        "timings/prompt_ms",
        "timings/predicted_n",
        "timings/predicted_ms",
        "tokens_cached",
    ],
}


def infill_body(before: str, after: str, t_max_predict_ms: int = FIRST_MS) -> dict[str, Any]:
    """The body of its request at a cursor between two texts."""
    line_start = before.rfind("\n") + 1
    line = before[line_start:]
    above = before[:line_start].splitlines(keepends=True)[-N_PREFIX_LINES:]
    rest, _, below = after.partition("\n")
    return {
        **_ALWAYS,
        "input_prefix": "".join(above),
        "prompt": line,
        "input_suffix": "\n".join([rest, *below.split("\n")[:N_SUFFIX_LINES], ""]),
        "n_indent": len(line) - len(line.lstrip()),
        "t_max_predict_ms": t_max_predict_ms,
    }


def headers(key: str) -> dict[str, str]:
    """As its curl sends them."""
    return {
        "User-Agent": "curl/8.0.0",
        "Accept": "*/*",
        "Content-Type": "application/json",
        "Authorization": f"Bearer {key}",
    }
