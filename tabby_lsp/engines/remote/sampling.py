"""How the tokens of an answer are chosen, in the words of each kind of server. Pure.

What is as usual is not sent, since hosted servers refuse what they do not know. What only tints the
choice is left out where a server does not know it; what promises something of the answer is sent
or refused. Token ids are those of the server's model, which only who asks can know.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tabby_lsp.domain import Sampling, Unusable

if TYPE_CHECKING:
    from tabby_lsp.domain import ChatRequest, GenerationRequest

# OpenAI's own limits; the other stop strings are looked for here.
_MAX_STOPS = 4
_MAX_BIAS = 100.0

_USUAL = Sampling()
_NAMES_OF_OPENAI = ("top_p", "seed", "frequency_penalty", "presence_penalty")
_NAMES_OF_VLLM = ("top_k", "min_p", "repetition_penalty")

_UNKEPT = {
    "grammar": "Only a llama-server and the built-in engine keep to a grammar",
    "json_schema": "In the middle of code only a llama-server, vLLM, Ollama and the built-in engine"
    " keep to a JSON Schema",
    "logit_bias": "Neither Ollama nor a Tabby server that completes knows `logit_bias` and"
    " `banned_tokens`",
    "n_logprobs": "A Tabby server that completes tells no `logprobs`",
}


def openai_words(request: ChatRequest) -> dict[str, object]:
    """What every server with OpenAI's chat knows; raises Unusable for a grammar."""
    _refuse(request.sampling, "grammar")
    return _openai_words(request) | _response_format(request.sampling) | _told(request.sampling)


def vllm_words(request: ChatRequest) -> dict[str, object]:
    """The same with what vLLM adds."""
    return openai_words(request) | _unusual(request.sampling, *_NAMES_OF_VLLM)


def llama_server_words(request: ChatRequest) -> dict[str, object]:
    """The same with what llama.cpp's server adds."""
    sampling = request.sampling
    words = _openai_words(request) | _response_format(sampling) | _told(sampling)
    return words | _llama_cpp_words(sampling)


def openai_fill_words(request: GenerationRequest) -> dict[str, object]:
    """What every server with OpenAI's completions knows; raises Unusable for a shape."""
    _refuse(request.sampling, "grammar", "json_schema")
    return _openai_words(request) | _n_told(request.sampling, "logprobs")


def vllm_fill_words(request: GenerationRequest) -> dict[str, object]:
    """The same with what vLLM adds; raises Unusable for a grammar."""
    sampling = request.sampling
    _refuse(sampling, "grammar")
    words = _openai_words(request) | _response_format(sampling) | _n_told(sampling, "logprobs")
    return words | _unusual(sampling, *_NAMES_OF_VLLM)


def llama_server_fill_words(request: GenerationRequest) -> dict[str, object]:
    """What llama.cpp's server knows at its own places."""
    sampling = request.sampling
    words = _openai_words(request) | _llama_cpp_words(sampling) | _n_told(sampling, "n_probs")
    if request.stop:
        words["stop"] = list(request.stop)
    return words | _schema(sampling, "json_schema")


def ollama_words(
    request: ChatRequest | GenerationRequest,
) -> tuple[dict[str, object], dict[str, object]]:
    """Ollama's `options`, and what stands beside them.

    Raises Unusable for a grammar and for biases.
    """
    sampling = request.sampling
    _refuse(sampling, "grammar", "logit_bias")
    options = {"temperature": sampling.temperature} | _unusual(
        sampling, "top_k", "min_p", *_NAMES_OF_OPENAI
    )
    if request.stop:
        options["stop"] = list(request.stop)
    return options | _repeat_penalty(sampling), _schema(sampling, "format") | _told(sampling)


def tabby_fill_words(request: GenerationRequest) -> dict[str, object]:
    """What a Tabby server knows where it completes; raises Unusable for what is no tint."""
    _refuse(request.sampling, *_UNKEPT)
    return _unusual(request.sampling, "temperature", "seed")


def _openai_words(request: ChatRequest | GenerationRequest) -> dict[str, object]:
    sampling = request.sampling
    words = {"temperature": sampling.temperature} | _unusual(sampling, *_NAMES_OF_OPENAI)
    if request.stop:
        words["stop"] = list(request.stop[:_MAX_STOPS])
    if sampling.logit_bias:
        words["logit_bias"] = {
            str(token): max(-_MAX_BIAS, min(bias, _MAX_BIAS)) for token, bias in sampling.logit_bias
        }
    return words


def _llama_cpp_words(sampling: Sampling) -> dict[str, object]:
    """llama.cpp's own; biases in pairs, as old versions know no others."""
    words = _unusual(sampling, "top_k", "min_p", "grammar") | _repeat_penalty(sampling)
    if sampling.logit_bias:
        words["logit_bias"] = [[token, bias] for token, bias in sampling.logit_bias]
    return words


def _response_format(sampling: Sampling) -> dict[str, object]:
    shape = _schema(sampling, "schema")
    if not shape:
        return {}
    named = {"name": "answer"} | shape
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _schema(sampling: Sampling, name: str) -> dict[str, object]:
    return {name: json.loads(sampling.json_schema)} if sampling.json_schema else {}


def _told(sampling: Sampling) -> dict[str, object]:
    """How OpenAI's chat and Ollama are asked for log probabilities."""
    told = _n_told(sampling, "top_logprobs")
    return {"logprobs": True} | told if told else {}


def _n_told(sampling: Sampling, name: str) -> dict[str, object]:
    return {name: sampling.n_logprobs} if sampling.n_logprobs else {}


def _unusual(sampling: Sampling, *names: str) -> dict[str, object]:
    values = {name: getattr(sampling, name) for name in names}
    return {name: value for name, value in values.items() if value != getattr(_USUAL, name)}


def _repeat_penalty(sampling: Sampling) -> dict[str, object]:
    """llama.cpp's name for it."""
    penalty = _unusual(sampling, "repetition_penalty")
    return {"repeat_penalty": penalty["repetition_penalty"]} if penalty else {}


def _refuse(sampling: Sampling, *names: str) -> None:
    """Raise Unusable where one of these is wanted, which would not be kept."""
    for name in _unusual(sampling, *names):
        raise Unusable(f"{_UNKEPT[name]}: leave that out, or choose another engine in config.toml.")
