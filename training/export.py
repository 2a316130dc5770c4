"""A model as a GGUF file that llama.cpp loads and the product knows how to ask, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, LlamaFileType, quants

from tabby_lsp.models.families import CopyGate
from training.model import Decoder, Shape
from training.pieces import (
    END,
    FILE_SEP,
    FIM_MIDDLE,
    FIM_PAD,
    FIM_PREFIX,
    FIM_SUFFIX,
    REPOSITORY,
)
from training.tokenizer import merges_of, pieces_of

if TYPE_CHECKING:
    from pathlib import Path

    from tokenizers import Tokenizer

_COPY_GATE = "tabby_lsp.copy_gate"


def write_gguf(
    model: Decoder, tokenizer: Tokenizer, path: Path, name: str, gate: CopyGate | None = None
) -> None:
    """Matrices as Q8_0, norms as they are; `gate` is that of `training.copying`."""
    shape = model.shape
    writer = GGUFWriter(path, "qwen3" if shape.qk_norm else "llama")
    writer.add_name(name)
    writer.add_description(
        "Python line completion, trained from scratch for tabby-lsp; see its card"
    )
    writer.add_author("tabby-lsp")
    writer.add_license("apache-2.0")
    writer.add_context_length(shape.n_ctx)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.n_layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.n_heads)
    writer.add_head_count_kv(shape.n_kv_heads)
    writer.add_key_length(shape.head_size)
    writer.add_value_length(shape.head_size)
    writer.add_layer_norm_rms_eps(shape.norm_eps)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_rope_dimension_count(shape.head_size)
    writer.add_vocab_size(shape.n_vocab)
    writer.add_file_type(LlamaFileType.MOSTLY_Q8_0)
    _add_tokenizer(writer, tokenizer)
    writer.add_string("tabby_lsp.fim_layout", "spm_v2")
    writer.add_array("tabby_lsp.languages", ["python"])
    if gate is not None:
        writer.add_array(_COPY_GATE, [float(n) for n in (*gate.weights, *gate.biases)])
    for tensor_name, tensor in model.state_dict().items():
        values = tensor.float().cpu().numpy()
        if values.ndim == 2:
            q8 = GGMLQuantizationType.Q8_0
            writer.add_tensor(tensor_name, quants.quantize(values, q8), raw_dtype=q8)
        else:
            writer.add_tensor(tensor_name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read_gguf(path: Path) -> Decoder:
    """The model of a file that `write_gguf` wrote, ready to learn on."""
    reader = GGUFReader(path)
    architecture = _field(reader, "general.architecture")

    def said(key: str) -> Any:
        return _field(reader, f"{architecture}.{key}")

    n_heads, width = said("attention.head_count"), said("embedding_length")
    model = Decoder(
        Shape(
            n_vocab=len(reader.fields["tokenizer.ggml.tokens"].data),
            n_layers=said("block_count"),
            width=width,
            n_heads=n_heads,
            n_kv_heads=said("attention.head_count_kv"),
            head_size=said("rope.dimension_count"),
            feed_forward=said("feed_forward_length"),
            qk_norm=architecture == "qwen3",
            n_ctx=said("context_length"),
            rope_base=said("rope.freq_base"),
            norm_eps=said("attention.layer_norm_rms_epsilon"),
        )
    )
    weights = {
        tensor.name: torch.from_numpy(
            np.array(quants.dequantize(tensor.data, tensor.tensor_type), np.float32)
        )
        for tensor in reader.tensors
    }
    model.load_state_dict(weights)
    return model


def read_gate(path: Path) -> CopyGate | None:
    """How much the model of such a file copies; None where it does so by itself."""
    field = GGUFReader(path).fields.get(_COPY_GATE)
    if field is None:
        return None
    count, agreement, sureness, typed, *biases = field.contents()
    return CopyGate((count, agreement, sureness, typed), tuple(biases))


def _add_tokenizer(writer: GGUFWriter, tokenizer: Tokenizer) -> None:
    pieces, kinds = pieces_of(tokenizer)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("starcoder")
    writer.add_token_list(pieces)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges_of(tokenizer))
    writer.add_bos_token_id(END)
    writer.add_eos_token_id(END)
    writer.add_eot_token_id(END)
    writer.add_pad_token_id(FIM_PAD)
    writer.add_add_bos_token(False)
    for part, token in (("pre", FIM_PREFIX), ("suf", FIM_SUFFIX), ("mid", FIM_MIDDLE),
                        ("pad", FIM_PAD), ("rep", REPOSITORY), ("sep", FILE_SEP)):  # fmt: skip
        writer.add_uint32(f"tokenizer.ggml.fim_{part}_token_id", token)


def _field(reader: GGUFReader, key: str) -> Any:
    return reader.fields[key].contents()
