"""Writes small models for vectors, of the kind that see a whole text at once (BERT).

Their weights are random, so their vectors mean nothing; everything else about them is real.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

import gguf
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

WIDTH = 32
N_CTX = 128
_N_FEED_FORWARD = 64
_CONTROLS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# Words begin with the mark, as llama.cpp has them; what goes on inside a word has none.
_TOKENS = (
    *_CONTROLS,
    *("\u2581" + character for character in string.ascii_lowercase + string.digits),
    *string.ascii_lowercase,
    *string.digits,
    *("\u2581" + character for character in "()[]{}:=+-*/.,_"),
)


def write_vector_model(path: Path, pooling: gguf.PoolingType | None = None) -> Path:
    """A GGUF file; without `pooling` it does not say how tokens become a text."""
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_context_length(N_CTX)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(_N_FEED_FORWARD)
    writer.add_block_count(1)
    writer.add_head_count(2)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    if pooling is not None:
        writer.add_pooling_type(pooling)
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(_TOKENS)
    kinds = [gguf.TokenType.CONTROL] * len(_CONTROLS)
    writer.add_token_types(kinds + [gguf.TokenType.NORMAL] * (len(_TOKENS) - len(_CONTROLS)))
    writer.add_token_type_count(2)
    writer.add_pad_token_id(0)
    writer.add_unk_token_id(1)
    writer.add_bos_token_id(2)
    writer.add_sep_token_id(3)
    writer.add_mask_token_id(4)
    _add_tensors(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tensors(writer: gguf.GGUFWriter) -> None:
    rng = np.random.default_rng(7)

    def add(name: str, *shape: int) -> None:
        writer.add_tensor(f"{name}.weight", rng.normal(0, 0.5, shape).astype(np.float32))

    def add_with_bias(name: str, *shape: int) -> None:
        add(name, *shape)
        writer.add_tensor(f"{name}.bias", rng.normal(0, 0.1, shape[:1]).astype(np.float32))

    add("token_embd", len(_TOKENS), WIDTH)
    add("token_types", 2, WIDTH)
    add("position_embd", N_CTX, WIDTH)
    add_with_bias("token_embd_norm", WIDTH)
    for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
        add_with_bias(f"blk.0.{part}", WIDTH, WIDTH)
    add_with_bias("blk.0.attn_output_norm", WIDTH)
    add_with_bias("blk.0.ffn_up", _N_FEED_FORWARD, WIDTH)
    add_with_bias("blk.0.ffn_down", WIDTH, _N_FEED_FORWARD)
    add_with_bias("blk.0.layer_output_norm", WIDTH)
