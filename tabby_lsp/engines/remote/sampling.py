"""How the tokens of an answer are chosen, in the words of each kind of server. Pure.

What is as usual is not sent, since hosted servers refuse what they do not know. Biases by token id
and log probabilities are not asked for: the ids are those of another tokenizer than ours.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from tabby_lsp.domain import EngineError, Sampling

if TYPE_CHECKING:
    from tabby_lsp.domain import ChatRequest

# OpenAI's own limit; the rest is looked for here.
MAX_STOPS = 4

_USUAL = Sampling()


def openai_words(request: ChatRequest) -> dict[str, object]:
    """What every server with OpenAI's chat knows; raises EngineError for a grammar."""
    _refuse_grammar(request.sampling)
    names = ("top_p", "seed", "frequency_penalty", "presence_penalty")
    words = {"temperature": request.sampling.temperature} | _unusual(request.sampling, *names)
    if request.stop:
        words["stop"] = list(request.stop[:MAX_STOPS])
    if request.sampling.json_schema:
        shape = {"name": "answer", "schema": json.loads(request.sampling.json_schema)}
        words["response_format"] = {"type": "json_schema", "json_schema": shape}
    return words


def vllm_words(request: ChatRequest) -> dict[str, object]:
    """The same with what vLLM adds."""
    more = _unusual(request.sampling, "top_k", "min_p", "repetition_penalty")
    return openai_words(request) | more


def llama_server_words(request: ChatRequest) -> dict[str, object]:
    """The same with what llama.cpp's server adds."""
    sampling = request.sampling
    plain = replace(request, sampling=replace(sampling, grammar=""))
    more = _unusual(sampling, "top_k", "min_p", "grammar")
    return openai_words(plain) | more | _repeat_penalty(sampling)


def ollama_words(request: ChatRequest) -> tuple[dict[str, object], dict[str, object]]:
    """Ollama's `options`, and what stands beside them; raises EngineError for a grammar."""
    sampling = request.sampling
    _refuse_grammar(sampling)
    names = ("top_k", "top_p", "min_p", "seed", "frequency_penalty", "presence_penalty")
    options = {"temperature": sampling.temperature} | _unusual(sampling, *names)
    if request.stop:
        options["stop"] = list(request.stop)
    schema = sampling.json_schema
    return options | _repeat_penalty(sampling), {"format": json.loads(schema)} if schema else {}


def _unusual(sampling: Sampling, *names: str) -> dict[str, object]:
    values = {name: getattr(sampling, name) for name in names}
    return {name: value for name, value in values.items() if value != getattr(_USUAL, name)}


def _repeat_penalty(sampling: Sampling) -> dict[str, object]:
    """llama.cpp's name for it."""
    penalty = _unusual(sampling, "repetition_penalty")
    return {"repeat_penalty": penalty["repetition_penalty"]} if penalty else {}


def _refuse_grammar(sampling: Sampling) -> None:
    if sampling.grammar:
        raise EngineError(
            "Only a llama-server and the built-in engine keep to a grammar: ask for a JSON schema,"
            " or choose another engine under `[chat]` in config.toml."
        )
