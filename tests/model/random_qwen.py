"""A model of random weights in the shape of Qwen2.5-Coder, which reads the prefix first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gguf
import numpy as np

from tests.model.starter import PATH
from tests.models.model_files import add_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Figure = int | float | list[int]

N_LAYERS, WIDTH, N_HEADS, N_KV_HEADS, N_FEED_FORWARD, N_CTX = 2, 128, 4, 2, 256, 2048
# The starter's control tokens under Qwen's names.
NAMES = {
    "<fim_prefix>": "<|fim_prefix|>",
    "<fim_middle>": "<|fim_middle|>",
    "<fim_suffix>": "<|fim_suffix|>",
    "<fim_pad>": "<|fim_pad|>",
    "<repo_name>": "<|repo_name|>",
    "<file_sep>": "<|file_sep|>",
}


def write_random_qwen(path: Path, seed: int = 0) -> Path:
    """Write it, with the starter's vocabulary."""
    figures = {
        "context_length": N_CTX,
        "embedding_length": WIDTH,
        "block_count": N_LAYERS,
        "feed_forward_length": N_FEED_FORWARD,
        "attention.head_count": N_HEADS,
        "attention.head_count_kv": N_KV_HEADS,
        "attention.layer_norm_rms_epsilon": 1e-6,
        "rope.freq_base": 1_000_000.0,
    }
    return write_random(path, "qwen2", "Random Qwen2.5-Coder", figures, _shapes, seed)


def write_random(
    path: Path,
    architecture: str,
    name: str,
    figures: Mapping[str, Figure],
    shapes: Callable[[int], dict[str, tuple[int, ...]]],
    seed: int = 0,
) -> Path:
    """Write a model of an architecture, `shapes` for so many tokens of a vocabulary.

    Weights are so large that ties are rare.
    """
    rng = np.random.default_rng(seed)
    vocabulary = gguf.GGUFReader(PATH)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name(name)
    for key, value in figures.items():
        add_value(writer, f"{architecture}.{key}", value)
    tokens = [NAMES.get(token, token) for token in _value(vocabulary, "tokenizer.ggml.tokens")]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_value(vocabulary, "tokenizer.ggml.pre"))
    writer.add_token_list(tokens)
    writer.add_token_types(_value(vocabulary, "tokenizer.ggml.token_type"))
    writer.add_token_merges(_value(vocabulary, "tokenizer.ggml.merges"))
    writer.add_eos_token_id(_value(vocabulary, "tokenizer.ggml.eos_token_id"))
    writer.add_add_bos_token(False)
    for tensor, shape in shapes(len(tokens)).items():
        writer.add_tensor(tensor, _weights(tensor, shape, rng))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _weights(tensor: str, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    if "norm" in tensor or tensor.endswith("ssm_d"):
        weights = np.ones(shape)
    elif tensor.endswith("ssm_a"):  # how fast a state fades: slowly, as in models that were trained
        weights = -rng.uniform(0.5, 4, shape)
    elif tensor.endswith("ssm_dt.bias"):
        weights = rng.uniform(-5, -2, shape)
    else:
        weights = rng.normal(0, 1.5 / np.sqrt(shape[-1]), shape)
    return weights.astype(np.float32)


def _value(reader: gguf.GGUFReader, key: str) -> Any:
    return reader.fields[key].contents()


def _shapes(n_vocab: int) -> dict[str, tuple[int, ...]]:
    n_kv = WIDTH // N_HEADS * N_KV_HEADS
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (n_vocab, WIDTH),
        "output_norm.weight": (WIDTH,),
        "output.weight": (n_vocab, WIDTH),
    }
    for layer in range(N_LAYERS):
        shapes |= {
            f"blk.{layer}.attn_norm.weight": (WIDTH,),
            f"blk.{layer}.attn_q.weight": (WIDTH, WIDTH),
            f"blk.{layer}.attn_q.bias": (WIDTH,),
            f"blk.{layer}.attn_k.weight": (n_kv, WIDTH),
            f"blk.{layer}.attn_k.bias": (n_kv,),
            f"blk.{layer}.attn_v.weight": (n_kv, WIDTH),
            f"blk.{layer}.attn_v.bias": (n_kv,),
            f"blk.{layer}.attn_output.weight": (WIDTH, WIDTH),
            f"blk.{layer}.ffn_norm.weight": (WIDTH,),
            f"blk.{layer}.ffn_gate.weight": (N_FEED_FORWARD, WIDTH),
            f"blk.{layer}.ffn_up.weight": (N_FEED_FORWARD, WIDTH),
            f"blk.{layer}.ffn_down.weight": (WIDTH, N_FEED_FORWARD),
        }
    return shapes
