"""A model of random weights in the shape of Qwen2.5-Coder, which reads the prefix first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gguf
import numpy as np

from tests.model.starter import PATH

if TYPE_CHECKING:
    from pathlib import Path

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
    """Write it, with the starter's vocabulary; weights so large that ties are rare."""
    rng = np.random.default_rng(seed)
    vocabulary = gguf.GGUFReader(PATH)
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_name("Random Qwen2.5-Coder")
    writer.add_context_length(N_CTX)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(N_LAYERS)
    writer.add_feed_forward_length(N_FEED_FORWARD)
    writer.add_head_count(N_HEADS)
    writer.add_head_count_kv(N_KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(1_000_000.0)
    tokens = [NAMES.get(token, token) for token in _value(vocabulary, "tokenizer.ggml.tokens")]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_value(vocabulary, "tokenizer.ggml.pre"))
    writer.add_token_list(tokens)
    writer.add_token_types(_value(vocabulary, "tokenizer.ggml.token_type"))
    writer.add_token_merges(_value(vocabulary, "tokenizer.ggml.merges"))
    writer.add_eos_token_id(_value(vocabulary, "tokenizer.ggml.eos_token_id"))
    writer.add_add_bos_token(False)
    for name, shape in _shapes(len(tokens)).items():
        is_norm = "norm" in name
        scale = 1.5 / np.sqrt(shape[-1])
        weights = np.ones(shape) if is_norm else rng.normal(0, scale, shape)
        writer.add_tensor(name, weights.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


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
