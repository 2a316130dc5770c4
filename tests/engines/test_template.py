"""Templates as models come with them, and what they put round a conversation."""

from __future__ import annotations

from pathlib import Path

import pytest

from tabby_lsp.domain import ChatMessage, EngineError
from tabby_lsp.engines.history import in_turns
from tabby_lsp.engines.llama.template import MAX_QUESTIONS, learn
from tabby_lsp.models.gguf import Header
from tests.models.chat_model import CHATML

GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}"
    "{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}"
    "{% else %}{% set role = message['role'] %}{% endif %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}"
    "{% endif %}{% if message['role'] == 'user' %}"
    "{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token + ' ' }}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}"
    "{% endif %}{% endfor %}"
)
LLAMA_3 = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}"
    "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    " + message['content'] | trim + '<|eot_id|>' %}"
    "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
    "{% endif %}"
)
QWEN_3 = (
    "{%- if messages[0].role == 'system' %}"
    "{{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}{%- endif %}"
    "{%- for message in messages %}{%- set content = message.content %}"
    "{%- if message.role == 'user' %}{{- '<|im_start|>user\\n' + content + '<|im_end|>\\n' }}"
    "{%- elif message.role == 'assistant' %}{%- if '</think>' in content %}"
    "{%- set content = content.split('</think>')[-1].lstrip('\\n') %}{%- endif %}"
    "{{- '<|im_start|>assistant\\n' + content + '<|im_end|>\\n' }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}"
    "{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}{%- endif %}"
)

SYSTEM, ASK, SAY = "system", "user", "assistant"


def header(template: str | None) -> Header:
    metadata = {"tokenizer.chat_template": template} if template else {}
    return Header(
        path=Path("model.gguf"),
        size_bytes=1,
        metadata={"general.name": "model", **metadata},
        special_tokens={},
        n_vocab=1,
        n_tensors=1,
        tensor_bytes=1,
    )


def check(template: str, conversation: list[tuple[str, str]], spelled: str) -> None:
    """`spelled` has what was said in `«»`, and the template's own text as it is."""
    learned = learn(header(template), "<s>", "</s>")
    texts: list[str] = []

    def controls(text: str) -> list[int]:
        texts.append(text)
        return []

    def plain(text: str) -> list[int]:
        texts.append(f"«{text}»")
        return []

    messages = in_turns(ChatMessage(role, text) for role, text in conversation)  # type: ignore[arg-type]
    assert learned.knows(messages)
    learned.spell(messages, controls, plain)
    assert "".join(texts) == spelled


def test_chatml() -> None:
    check(CHATML, [(SYSTEM, "be kind"), (ASK, " a ")],
          "<|im_start|>system\n«be kind»<|im_end|>\n<|im_start|>user\n« a »<|im_end|>\n"
          "<|im_start|>assistant\n")  # fmt: skip


def test_gemma_has_no_system_and_strips_what_is_said() -> None:
    check(GEMMA, [(SYSTEM, "be kind"), (ASK, " a "), (SAY, "b"), (ASK, "c")],
          "<s><start_of_turn>user\n«be kind\n\n a»<end_of_turn>\n"
          "<start_of_turn>model\n«b»<end_of_turn>\n"
          "<start_of_turn>user\n«c»<end_of_turn>\n<start_of_turn>model\n")  # fmt: skip


def test_mistral() -> None:
    check(MISTRAL, [(ASK, "a"), (SAY, "b"), (ASK, "c")],
          "<s>[INST] «a» [/INST]«b»</s> [INST] «c» [/INST]")  # fmt: skip


def test_llama_3() -> None:
    check(LLAMA_3, [(SYSTEM, "be kind"), (ASK, "a")],
          "<s><|start_header_id|>system<|end_header_id|>\n\n«be kind»<|eot_id|>"
          "<|start_header_id|>user<|end_header_id|>\n\n«a»<|eot_id|>"
          "<|start_header_id|>assistant<|end_header_id|>\n\n")  # fmt: skip


def test_qwen_3_does_not_think_aloud() -> None:
    check(QWEN_3, [(ASK, "a")],
          "<|im_start|>user\n«a»<|im_end|>\n"
          "<|im_start|>assistant\n<think>\n\n</think>\n\n")  # fmt: skip


@pytest.mark.parametrize(
    ("template", "end"),
    [
        (CHATML, "<|im_end|>"),
        (GEMMA, "<end_of_turn>"),
        (MISTRAL, "</s>"),
        (LLAMA_3, "<|eot_id|>"),
        (QWEN_3, "<|im_end|>"),
    ],
)
def test_it_is_known_what_ends_an_answer(template: str, end: str) -> None:
    assert learn(header(template), "<s>", "</s>").end == end


def test_a_conversation_longer_than_it_was_asked_for_is_not_known() -> None:
    learned = learn(header(CHATML), "", "")
    turns = [ChatMessage(SAY if n % 2 else ASK, "x") for n in range(2 * MAX_QUESTIONS + 1)]  # type: ignore[arg-type]
    assert learned.knows(tuple(turns[2:]))
    assert not learned.knows(tuple(turns))


def test_a_conversation_that_does_not_end_with_a_question_is_not_known() -> None:
    learned = learn(header(CHATML), "", "")
    system, question = ChatMessage("system", "z"), ChatMessage("user", "x")
    answer = ChatMessage("assistant", "y")
    assert not learned.knows((question, answer))
    assert not learned.knows((system,))
    assert not learned.knows((system, question, answer))


def test_a_model_without_a_template_is_not_for_chat() -> None:
    with pytest.raises(EngineError, match="not for chat"):
        learn(header(None), "", "")


def test_nothing_of_this_process_is_open_to_a_template(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SECRET", "s3cret")
    with pytest.raises(EngineError, match="chat template"):
        learn(header("{{ self.__init__.__globals__ }}{{ SECRET }}"), "", "")
