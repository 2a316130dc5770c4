"""Makes a chat model out of the starter: its weights with a chat template.

What it says means nothing, but it can be seen, and it goes on to the end of its room: the starter
would end some of its answers after a few words, and fill others with line breaks, by chance.
Everything else about it is real.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import gguf

from tests.models.model_files import STARTER

if TYPE_CHECKING:
    from pathlib import Path

CHATML = (
    "{% for message in messages %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# Of the starter's control tokens, those that a conversation has no use for.
_RENAMED = {"<fim_pad>": "<|im_start|>", "<repo_name>": "<|im_end|>"}
_N_CONTROL = 7
_BLANKS = "\u0120\u010a\u0109\u010d"  # a space, a line feed, a tab and a carriage return, in BPE
_END_OF_TURN = 5  # where `<repo_name>` stands
_ENDS = ("tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id")
_DERIVED = {"general.architecture", "tabby_lsp.fim_layout", "tabby_lsp.languages"}


def write_chat_model(
    path: Path,
    template: str = CHATML,
    *,
    n_ctx: int = 4096,
    has_tokens: bool = True,
    has_end: bool = True,
) -> Path:
    """A GGUF file; without `has_tokens`, ChatML's control tokens are not in its vocabulary.

    Without `has_end`, what would be said at the end of a text is no end to it.
    """
    reader = gguf.GGUFReader(STARTER)
    writer = gguf.GGUFWriter(path, "llama")
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key in _DERIVED:
            continue
        value, kind = field.contents(), field.types[0]
        if key == "tokenizer.ggml.tokens" and has_tokens:
            value = [_RENAMED.get(token, token) for token in value]
            if not has_end:
                value = [token.replace("<|endoftext|>", "<|next|>") for token in value]
        elif key in _ENDS and not has_end:
            value = _END_OF_TURN
        elif key == "llama.context_length":
            value = n_ctx
        elif key.startswith("tokenizer.ggml.fim_"):
            continue
        sub_kind = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(key, value, kind, sub_kind)
    writer.add_chat_template(template)
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    unseen = [n for n, token in enumerate(tokens) if n < _N_CONTROL or not token.strip(_BLANKS)]
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
        if tensor.name == "token_embd.weight":
            data = tensor.data.copy()
            data[unseen] = 0  # their logits are 0, and those of others are more
            writer.add_tensor("output.weight", data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
