"""A model in the shape of Qwen2.5-Coder-0.5B whose weights are drawn at random.

It takes as long as the real one for each token, evaluated or generated, and nobody has to download
half a gigabyte. Its answers are words without a meaning, and none ends before it is as long as it
may be: only half of the dimensions count where a token is chosen, and those are zero in the
embeddings of all tokens but words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import gguf
import numpy as np

from benchmarks.peers import server_build

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

N_CTX = 4096
_ARCHITECTURE = "qwen2"
_N_LAYERS, _N_EMBD, _N_FF = 24, 896, 4864
_N_HEADS, _N_KV_HEADS = 14, 2
_N_VOCAB = 151_936
_N_KV = _N_EMBD // _N_HEADS * _N_KV_HEADS
# Where Qwen2.5-Coder has its control tokens, in vocabularies that leave these places free.
_CONTROLS = {
    151_659: "<|fim_prefix|>",
    151_660: "<|fim_middle|>",
    151_661: "<|fim_suffix|>",
    151_662: "<|fim_pad|>",
    151_663: "<|repo_name|>",
    151_664: "<|file_sep|>",
}
# In the vocabulary's own alphabet: a blank and a word.
_SAID = re.compile(r"Ġ[a-z]{3,8}")
_BLOCK = 32  # values of Q8_0 that share a scale
# The values of a block are -127 to 127, evenly: times a scale, their deviation is 73 times it.
_DEVIATION = 73.3
# Sharp enough that the likeliest token has nearly all the probability, as llama.vim's sampler ends
# an answer that nothing is likely in.
_LOGIT_DEVIATION = 60.0
# Of what a layer's second half adds. Without it the embedding of the last token, which goes through
# to the end, and the average that attention takes would have the same few words come again and
# again, and answers that go round in circles are not shown.
_GAIN = 20.0


def made(path: Path) -> Path:
    """The file, 530 MB, written where it is not there yet: some ten seconds."""
    if not path.exists():
        fresh = path.with_suffix(".part")
        _write(fresh, server_build.source() / "models" / "ggml-vocab-qwen2.gguf")
        fresh.rename(path)
    return path


def _write(path: Path, vocabulary: Path) -> None:
    writer = gguf.GGUFWriter(path, _ARCHITECTURE)
    writer.add_name("Random weights in the shape of Qwen2.5-Coder-0.5B")
    writer.add_context_length(32_768)
    writer.add_embedding_length(_N_EMBD)
    writer.add_block_count(_N_LAYERS)
    writer.add_feed_forward_length(_N_FF)
    writer.add_head_count(_N_HEADS)
    writer.add_head_count_kv(_N_KV_HEADS)
    writer.add_rope_freq_base(1_000_000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    tokens = _add_vocabulary(writer, gguf.GGUFReader(vocabulary))
    _add_weights(writer, tokens)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_vocabulary(writer: gguf.GGUFWriter, reader: gguf.GGUFReader) -> Sequence[str]:
    """Qwen2's own, with the control tokens for fill-in-the-middle."""

    def field(name: str) -> Any:
        return reader.fields[f"tokenizer.ggml.{name}"].contents()

    tokens, types = field("tokens"), field("token_type")
    for number in range(len(tokens), _N_VOCAB):
        tokens.append(f"[PAD{number}]")
        types.append(gguf.TokenType.UNUSED)
    for number, name in _CONTROLS.items():
        tokens[number], types[number] = name, gguf.TokenType.CONTROL
    writer.add_tokenizer_model(field("model"))
    writer.add_tokenizer_pre(field("pre"))
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(field("merges"))
    end = tokens.index("<|endoftext|>")
    writer.add_bos_token_id(end)
    writer.add_eos_token_id(end)
    writer.add_add_bos_token(False)
    return list(tokens)


def _add_weights(writer: gguf.GGUFWriter, tokens: Sequence[str]) -> None:
    rng = np.random.default_rng(0)

    def add(name: str, n_rows: int, n_columns: int, deviation: float) -> None:
        weights = _drawn(rng, n_rows, n_columns, deviation)
        writer.add_tensor(name, weights, raw_dtype=gguf.GGMLQuantizationType.Q8_0)

    def add_ones(name: str) -> None:
        writer.add_tensor(name, np.ones(_N_EMBD, dtype=np.float32))

    # A projection keeps the size of what goes through it.
    embd, ff = _N_EMBD**-0.5, _N_FF**-0.5
    embeddings = _drawn(rng, _N_VOCAB, _N_EMBD, 1.0)
    is_said = np.array([_SAID.fullmatch(token) is not None for token in tokens])
    embeddings[~is_said, embeddings.shape[1] // 2 :] = 0
    writer.add_tensor("token_embd.weight", embeddings, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    counts = np.zeros(_N_EMBD, dtype=np.float32)
    counts[_N_EMBD // 2 :] = _LOGIT_DEVIATION * (_N_EMBD / 2) ** -0.5
    writer.add_tensor("output_norm.weight", counts)
    for number in range(_N_LAYERS):
        block = f"blk.{number}"
        add_ones(f"{block}.attn_norm.weight")
        add_ones(f"{block}.ffn_norm.weight")
        add(f"{block}.attn_q.weight", _N_EMBD, _N_EMBD, embd)
        add(f"{block}.attn_k.weight", _N_KV, _N_EMBD, embd)
        add(f"{block}.attn_v.weight", _N_KV, _N_EMBD, embd)
        for name, size in (("q", _N_EMBD), ("k", _N_KV), ("v", _N_KV)):
            bias = (rng.standard_normal(size) * 0.01).astype(np.float32)
            writer.add_tensor(f"{block}.attn_{name}.bias", bias)
        add(f"{block}.attn_output.weight", _N_EMBD, _N_EMBD, embd)
        add(f"{block}.ffn_gate.weight", _N_FF, _N_EMBD, embd)
        add(f"{block}.ffn_up.weight", _N_FF, _N_EMBD, embd)
        add(f"{block}.ffn_down.weight", _N_EMBD, _N_FF, _GAIN * ff)


def _drawn(
    rng: np.random.Generator, n_rows: int, n_columns: int, deviation: float
) -> NDArray[np.uint8]:
    """Rows of blocks, each a scale of 16 bits and its values of 8."""
    n_blocks = n_rows * n_columns // _BLOCK
    raw = np.empty((n_blocks, 2 + _BLOCK), dtype=np.uint8)
    raw[:, :2] = np.frombuffer(np.float16(deviation / _DEVIATION).tobytes(), dtype=np.uint8)
    values = rng.integers(-127, 128, size=(n_blocks, _BLOCK), dtype=np.int8)
    raw[:, 2:] = values.view(np.uint8)
    return raw.reshape(n_rows, n_columns // _BLOCK * (2 + _BLOCK))
