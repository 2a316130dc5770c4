"""Each family of models is told by its file, and asked in its own tokens and its own order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tabby_lsp.models.families import CopyGate, Fim, NotForCompletion, fim_of
from tabby_lsp.models.gguf import ModelFileError, read_header
from tests.models.model_files import STARTER, write_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

CODE = ("def", "Ġreturn", "(", ")", "<", "[", "\n")
GPT2 = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.bos_token_id": 0}
SENTENCEPIECE = {"tokenizer.ggml.model": "llama", "tokenizer.ggml.bos_token_id": 0}
STARCODER = ("<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>")
QWEN = ("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>")
OWN_IDS = {
    f"tokenizer.ggml.fim_{part}_token_id": token
    for token, part in enumerate(("pre", "mid", "suf", "pad", "rep", "sep"), start=1)
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


def fim(
    path: Path,
    special: Sequence[str],
    architecture: str = "llama",
    metadata: Mapping[str, object] = GPT2,
) -> Fim:
    """What is made of a file with these special tokens, from id 1 on, and some code."""
    tokens = ["<first>", *special, *CODE]
    write_model(path, architecture=architecture, tokens=tokens, metadata=metadata)
    return fim_of(read_header(path))


def test_the_starter_is_asked_suffix_first_by_its_own_word() -> None:
    found = fim_of(read_header(STARTER))

    assert found.copy_gate is not None
    assert replace(found, copy_gate=None) == Fim(
        family="tabby_lsp.fim_layout",
        layout="spm_v2",
        prefix=1,
        suffix=3,
        middle=2,
        snippet=(6, "{path}\n{text}"),
        path_before=(6, "{path}\n"),
        end_tokens=frozenset({1, 2, 3, 4, 5, 6}),
        languages=("python",),
    )


@pytest.mark.parametrize("architecture", ["qwen2", "qwen3moe"])
def test_qwen_coder(path: Path, architecture: str) -> None:
    assert fim(path, (*QWEN, "<|repo_name|>", "<|file_sep|>"), architecture) == Fim(
        family="Qwen2.5-Coder",
        layout="psm",
        prefix=1,
        suffix=3,
        middle=2,
        repository=(5, "{repository}\n"),
        snippet=(6, "{path}\n{text}"),
        path_before=(6, "{path}\n"),
        end_tokens=frozenset({1, 2, 3, 4, 5, 6}),
    )


def test_starcoder(path: Path) -> None:
    """TinyStarCoder is the same."""
    assert fim(path, (*STARCODER, "<filename>", "<reponame>"), "starcoder") == Fim(
        family="StarCoder",
        layout="psm",
        prefix=1,
        suffix=3,
        middle=2,
        path_in_prefix=(5, "{path}\n"),
        end_tokens=frozenset({1, 2, 3, 4, 5, 6}),
    )


def test_starcoder2(path: Path) -> None:
    assert fim(path, (*STARCODER, "<repo_name>", "<file_sep>"), "starcoder2") == Fim(
        family="StarCoder2",
        layout="psm",
        prefix=1,
        suffix=3,
        middle=2,
        repository=(5, "{repository}"),
        snippet=(6, "{path}\n{text}"),
        path_before=(6,),
        path_in_prefix=("{path}\n",),
        end_tokens=frozenset({1, 2, 3, 4, 5, 6}),
    )


@pytest.mark.parametrize(
    "special", [("▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>"), ("<PRE>", "<SUF>", "<MID>", "<EOT>")]
)
def test_codellama(path: Path, special: Sequence[str]) -> None:
    assert fim(path, special, metadata=SENTENCEPIECE) == Fim(
        family="CodeLlama",
        layout="psm",
        prefix=1,
        suffix=2,
        middle=3,
        bos=(0,),
        end_tokens=frozenset({1, 2, 3, 4}),
    )


def test_deepseek_coder(path: Path) -> None:
    special = ("<｜fim▁hole｜>", "<｜fim▁begin｜>", "<｜fim▁end｜>")  # noqa: RUF001
    assert fim(path, special) == Fim(
        family="DeepSeek-Coder",
        layout="psm",
        prefix=2,
        suffix=1,
        middle=3,
        bos=(0,),
        snippet=("#{path}\n{text}",),
        snippets_in_prefix=True,
        path_in_prefix=("#{path}\n",),
        end_tokens=frozenset({1, 2, 3}),
    )


def test_codegemma(path: Path) -> None:
    special = (*QWEN[:3], "<|file_separator|>")
    assert fim(path, special, "gemma", SENTENCEPIECE) == Fim(
        family="CodeGemma",
        layout="psm",
        prefix=1,
        suffix=3,
        middle=2,
        bos=(0,),
        snippet=("{path}\n{text}", 4),
        path_before=("{path}\n",),
        end_tokens=frozenset({1, 2, 3, 4}),
    )


def test_codestral(path: Path) -> None:
    assert fim(path, ("[SUFFIX]", "[PREFIX]", "[MIDDLE]"), metadata=SENTENCEPIECE) == Fim(
        family="Codestral",
        layout="spm_v1",
        prefix=2,
        suffix=1,
        middle=None,
        bos=(0,),
        snippet=("+++++ {path}\n{text}\n",),
        snippets_in_prefix=True,
        path_in_prefix=("+++++ {path}\n",),
        end_tokens=frozenset({1, 2, 3}),
    )


@pytest.mark.parametrize(
    ("architecture", "says_so"),
    [
        ("llama", {"tokenizer.ggml.pre": "refact"}),
        ("llama", {"general.name": "Granite 8b Code Base"}),
        ("starcoder", {"tokenizer.ggml.pre": "refact"}),
    ],
)
def test_granite_code(path: Path, architecture: str, says_so: Mapping[str, object]) -> None:
    special = (*STARCODER, "<filename>", "<reponame>")
    assert fim(path, special, architecture, {**GPT2, **says_so}) == Fim(
        family="Granite",
        layout="psm",
        prefix=1,
        suffix=3,
        middle=2,
        end_tokens=frozenset({1, 2, 3, 4, 5, 6}),
    )


def test_mellum(path: Path) -> None:
    """Its tokens are StarCoder's; what tells them apart is the architecture."""
    assert fim(path, (*STARCODER, "<filename>", "<reponame>"), "llama") == Fim(
        family="Mellum",
        layout="spm_v1",
        prefix=1,
        suffix=3,
        middle=2,
        snippet=(5, "{path}\n{text}"),
        path_before=(5, "{path}\n"),
        end_tokens=frozenset({1, 2, 3, 4, 5, 6}),
    )


def test_seed_coder(path: Path) -> None:
    special = ("<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>", "<filename>")
    assert fim(path, special) == Fim(
        family="Seed-Coder",
        layout="spm_v1",
        prefix=1,
        suffix=2,
        middle=3,
        snippet=(4, "{path}\n{text}\n"),
        snippets_in_prefix=True,
        path_in_prefix=(4, "{path}\n"),
        end_tokens=frozenset({1, 2, 3, 4}),
    )


@pytest.mark.parametrize(
    ("family", "layout", "architecture", "special"),
    [
        ("CodeQwen1.5", "psm", "qwen2", (*STARCODER, "<file_sep>")),
        ("StarCoder", "psm", "refact", STARCODER),
        ("StarCoder's names", "psm", "stablelm", (*STARCODER, "<filename>")),
        ("StarCoder's names", "psm", "llama", STARCODER),
        ("SantaCoder", "psm", "starcoder", ("<fim-prefix>", "<fim-middle>", "<fim-suffix>")),
        ("Qwen's names", "psm", "granite", QWEN),
        ("GLM", "spm_v1", "glm4", ("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>")),
    ],
)
def test_their_relatives_are_asked_with_one_file(
    path: Path, family: str, layout: str, architecture: str, special: Sequence[str]
) -> None:
    found = fim(path, special, architecture)
    assert (found.family, found.layout) == (family, layout)
    assert (found.repository, found.snippet) == ((), ())
    assert (found.path_before, found.path_in_prefix) == ((), ())


def test_a_family_without_its_file_token_is_asked_with_one_file(path: Path) -> None:
    found = fim(path, ("<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>"))
    assert (found.snippet, found.path_in_prefix) == ((), ())


@pytest.mark.parametrize(
    ("special", "architecture", "metadata"),
    [
        ((), "llama", GPT2),
        (("<|im_start|>", "<|im_end|>"), "qwen2", GPT2),
        (("<fim_prefix>", "<fim_suffix>"), "llama", GPT2),
        # Mistral Nemo and its kind: the tokens are there, the training is not.
        (("[PREFIX]", "[SUFFIX]", "[MIDDLE]"), "llama", GPT2),
        # Plain Gemma: old converters wrote CodeGemma's ids into every Gemma.
        (("<unused1>", "<unused2>", "<unused3>"), "gemma", {**SENTENCEPIECE, **OWN_IDS}),
    ],
)
def test_a_model_without_a_middle_is_refused(
    path: Path, special: Sequence[str], architecture: str, metadata: Mapping[str, object]
) -> None:
    metadata = {**metadata, "general.name": "Some Chat", "tokenizer.ggml.fim_sep_token_id": 0}
    with pytest.raises(NotForCompletion) as caught:
        fim(path, special, architecture, metadata)
    for phrase in (str(path), "'Some Chat'", "starter", "config.toml"):
        assert phrase in str(caught.value)


@pytest.mark.parametrize("layout", ["psm", "spm_v1", "spm_v2"])
def test_a_files_own_word_stands_over_its_family(path: Path, layout: str) -> None:
    special = ("<a>", "<b>", "<c>", *STARCODER, "<repo_name>", "<file_sep>")
    metadata = {**GPT2, **OWN_IDS, "tabby_lsp.fim_layout": layout, "tabby_lsp.languages": ["c"]}
    found = fim(path, special, "starcoder2", metadata)
    assert (found.layout, found.prefix, found.middle, found.suffix) == (layout, 1, 2, 3)
    assert found.snippet == (6, "{path}\n{text}")
    assert found.languages == ("c",)


def test_a_file_says_how_much_its_model_is_to_copy(path: Path) -> None:
    numbers = [0.25, 2.0, -1.5, 0.5, -3.0, -2.0]
    own = {**GPT2, **OWN_IDS, "tabby_lsp.fim_layout": "psm"}

    assert fim(path, (), metadata=own).copy_gate is None
    assert fim(path, (), metadata={**own, "tabby_lsp.copy_gate": numbers}).copy_gate == CopyGate(
        (0.25, 2.0, -1.5, 0.5), (-3.0, -2.0)
    )


def test_the_gate_never_closes_the_models_mouth() -> None:
    gate = CopyGate((20.0, 20.0, 20.0, 20.0), (20.0,))

    assert 1 - gate.left(range(1, 2), 10**9, 1.0, 1.0, is_typed=True) == 0.98
    closed = CopyGate((-20.0, -20.0, -20.0, -20.0), (-20.0,))
    assert 0.0 <= 1 - closed.left(range(1, 2), 10**9, 1.0, 1.0, is_typed=True) < 1e-99


def test_the_former_names_of_the_ids_are_known(path: Path) -> None:
    ids = {
        f"tokenizer.ggml.{name}_token_id": i
        for i, name in enumerate(("prefix", "suffix", "middle"))
    }
    found = fim(path, (), metadata={**GPT2, **ids, "tabby_lsp.fim_layout": "psm"})
    assert (found.prefix, found.suffix, found.middle) == (0, 1, 2)
    assert (found.snippet, found.path_before) == ((), ())


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        ({"tabby_lsp.fim_layout": "spm_v3"}, "'spm_v3'"),
        ({"tabby_lsp.fim_layout": 2}, "2, which is no layout"),
        ({"tokenizer.ggml.fim_pre_token_id": 999}, "fim_pre_token_id = 999"),
        ({"tokenizer.ggml.fim_mid_token_id": "two"}, "does not name the tokens"),
        ({"tabby_lsp.copy_gate": 1.0}, "copy_gate"),
        ({"tabby_lsp.copy_gate": [1.0] * 4}, "copy_gate"),
        ({"tabby_lsp.copy_gate": [1.0] * 13}, "copy_gate"),
        ({"tabby_lsp.copy_gate": ["a"] * 8}, "copy_gate"),
        ({"tabby_lsp.copy_gate": [20.5] * 8}, "copy_gate"),
        ({"tabby_lsp.copy_gate": [float("nan")] * 8}, "copy_gate"),
    ],
)
def test_an_own_word_that_makes_no_sense_is_refused(
    path: Path, change: Mapping[str, object], phrase: str
) -> None:
    metadata = {**GPT2, **OWN_IDS, "tabby_lsp.fim_layout": "psm", **change}
    with pytest.raises(ModelFileError, match=phrase) as caught:
        fim(path, (), metadata=metadata)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("metadata", "bos"),
    [
        ({"tokenizer.ggml.add_bos_token": False}, ()),
        ({"tokenizer.ggml.add_bos_token": True}, (0,)),
        ({"tokenizer.ggml.bos_token_id": 999}, ()),
    ],
)
def test_the_file_says_whether_something_stands_first(
    path: Path, metadata: Mapping[str, object], bos: tuple[int, ...]
) -> None:
    special = ("▁<PRE>", "▁<SUF>", "▁<MID>")
    assert fim(path, special, metadata={**SENTENCEPIECE, **metadata}).bos == bos


def test_sentencepiece_has_a_beginning_of_its_own(path: Path) -> None:
    only_model = {"tokenizer.ggml.model": "llama"}
    assert fim(path, ("▁<PRE>", "▁<SUF>", "▁<MID>"), metadata=only_model).bos == (1,)
