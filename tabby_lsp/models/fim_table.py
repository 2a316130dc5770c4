"""How each family of models spells fill-in-the-middle: one row of data for each.

Invariant: data only; what it means for one file is said in families.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

# Prefix, suffix and middle in the order in which the model reads them:
# psm `[PRE]p[SUF]s[MID]`, spm_v1 `[SUF]s[PRE]p[MID]`, spm_v2 `[PRE][SUF]s[MID]p`, where the middle
# runs on from the prefix. The names are those of arXiv 2207.14255.
Layout = Literal["psm", "spm_v1", "spm_v2"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FimFamily:
    """One row of the table; in spellings the texts of `tokens` stand for the tokens themselves."""

    name: str
    layout: Layout
    prefix: str
    suffix: str
    middle: str | None
    others: tuple[str, ...] = ()  # control tokens besides; where a file has them they end an answer
    repository: str = ""
    snippet: str = ""
    snippets_in_prefix: bool = False
    path_before: str = ""
    path_in_prefix: str = ""
    needs_bos: bool = False  # asked where the file does not say
    # What tells the family from others with the same three tokens; () means any.
    requires: tuple[str, ...] = ()  # tokens that are all there
    architectures: tuple[str, ...] = ()  # llama.cpp's word for the network is one of them
    tokenizers: tuple[str, ...] = ()  # llama.cpp's word for the tokenizer is one of them
    words: tuple[str, ...] = ()  # one of them is part of the model's name or its pre-tokenizer's

    @property
    def tokens(self) -> tuple[str, ...]:
        """Every control token of the family."""
        middle = () if self.middle is None else (self.middle,)
        return (self.prefix, self.suffix, *middle, *self.others)


_STARCODER = FimFamily(
    # BigCode's Megatron-LM: half PSM, half SPM v2, the metadata inside the transformed text.
    name="StarCoder",
    layout="psm",
    prefix="<fim_prefix>",
    suffix="<fim_suffix>",
    middle="<fim_middle>",
    others=("<fim_pad>", "<filename>", "<reponame>", "<gh_stars>"),
    path_in_prefix="<filename>{path}\n",
    architectures=("starcoder", "refact"),
)
_CODELLAMA = FimFamily(
    # github.com/meta-llama/codellama, infilling_prompt_tokens.
    name="CodeLlama",
    layout="psm",
    prefix="▁<PRE>",
    suffix="▁<SUF>",
    middle="▁<MID>",
    others=("▁<EOT>",),
    needs_bos=True,
)
_QWEN = FimFamily(
    # Qwen2.5-Coder technical report (arXiv 2409.12186), figures 3 and 4.
    name="Qwen2.5-Coder",
    layout="psm",
    prefix="<|fim_prefix|>",
    suffix="<|fim_suffix|>",
    middle="<|fim_middle|>",
    others=("<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<|im_start|>"),
    repository="<|repo_name|>{repository}\n",
    snippet="<|file_sep|>{path}\n{text}",
    path_before="<|file_sep|>{path}\n",
    requires=("<|repo_name|>", "<|file_sep|>"),
)

# The first row that fits is taken, so the narrower ones stand first.
FAMILIES: tuple[FimFamily, ...] = (
    FimFamily(
        # arXiv 2506.03524; files as Zed's Zeta 2, a Seed-Coder, was trained with them.
        name="Seed-Coder",
        layout="spm_v1",
        prefix="<[fim-prefix]>",
        suffix="<[fim-suffix]>",
        middle="<[fim-middle]>",
        others=("<filename>",),
        snippet="<filename>{path}\n{text}\n",
        snippets_in_prefix=True,
        path_in_prefix="<filename>{path}\n",
    ),
    FimFamily(
        # V1 and V2-Lite: github.com/deepseek-ai/DeepSeek-Coder, insertion and repository level.
        name="DeepSeek-Coder",
        layout="psm",
        prefix="<｜fim▁begin｜>",  # noqa: RUF001
        suffix="<｜fim▁hole｜>",  # noqa: RUF001
        middle="<｜fim▁end｜>",  # noqa: RUF001
        snippet="#{path}\n{text}",
        snippets_in_prefix=True,
        path_in_prefix="#{path}\n",
        needs_bos=True,
    ),
    _CODELLAMA,
    replace(_CODELLAMA, prefix="<PRE>", suffix="<SUF>", middle="<MID>", others=("<EOT>",)),
    FimFamily(
        # arXiv 2406.11409, figure 2: the path stands as plain text before the prefix token.
        name="CodeGemma",
        layout="psm",
        prefix="<|fim_prefix|>",
        suffix="<|fim_suffix|>",
        middle="<|fim_middle|>",
        others=("<|file_separator|>", "<end_of_turn>"),
        snippet="{path}\n{text}<|file_separator|>",
        path_before="{path}\n",
        needs_bos=True,
        requires=("<|file_separator|>",),
    ),
    _QWEN,
    replace(
        # Granite 4 and others with Qwen's three tokens and no files.
        _QWEN,
        name="Qwen's names",
        repository="",
        snippet="",
        path_before="",
        requires=(),
    ),
    FimFamily(
        # GLM-4.5 and CodeGeeX4, without the chat frame that CodeGeeX4's guide puts round it.
        name="GLM",
        layout="spm_v1",
        prefix="<|code_prefix|>",
        suffix="<|code_suffix|>",
        middle="<|code_middle|>",
        others=("<|user|>", "<|assistant|>"),
    ),
    replace(
        # CodeQwen1.5 has StarCoder's names.
        _STARCODER,
        name="CodeQwen1.5",
        path_in_prefix="",
        architectures=("qwen2",),
        others=("<fim_pad>", "<file_sep>", "<repo_name>", "<reponame>"),
    ),
    FimFamily(
        # arXiv 2402.19173, section 5.1: the path stands after the prefix token.
        name="StarCoder2",
        layout="psm",
        prefix="<fim_prefix>",
        suffix="<fim_suffix>",
        middle="<fim_middle>",
        # llama.cpp does not take <file_sep> for an end: bigcode-project/starcoder2 issue 10.
        others=("<fim_pad>", "<repo_name>", "<file_sep>"),
        repository="<repo_name>{repository}",
        snippet="<file_sep>{path}\n{text}",
        path_before="<file_sep>",
        path_in_prefix="{path}\n",
        requires=("<file_sep>",),
    ),
    replace(
        # arXiv 2405.04324; llama.cpp calls the small ones `llama`, the large ones `starcoder`, and
        # the tokenizer of all `refact`.
        _STARCODER,
        name="Granite",
        path_in_prefix="",
        words=("granite", "refact"),
        architectures=("llama", "starcoder", "granite", "granitemoe", "granitehybrid"),
    ),
    FimFamily(
        # huggingface.co/JetBrains/Mellum-4b-base, "with additional files as context".
        name="Mellum",
        layout="spm_v1",
        prefix="<fim_prefix>",
        suffix="<fim_suffix>",
        middle="<fim_middle>",
        others=("<fim_pad>", "<filename>", "<reponame>"),
        snippet="<filename>{path}\n{text}",
        path_before="<filename>{path}\n",
        requires=("<filename>",),
        architectures=("llama",),
    ),
    _STARCODER,
    replace(
        # StableCode and whoever else took the names.
        _STARCODER,
        name="StarCoder's names",
        path_in_prefix="",
        architectures=(),
    ),
    replace(
        _STARCODER,
        name="SantaCoder",
        prefix="<fim-prefix>",
        suffix="<fim-suffix>",
        middle="<fim-middle>",
        others=("<fim-pad>",),
        path_in_prefix="",
        architectures=(),
    ),
    FimFamily(
        # mistral_common's encode_fim; files as Continue writes them. Later Mistral models have the
        # same two tokens in another tokenizer (`gpt2`) and were not trained with them.
        name="Codestral",
        layout="spm_v1",
        prefix="[PREFIX]",
        suffix="[SUFFIX]",
        middle=None,
        others=("[MIDDLE]",),
        snippet="+++++ {path}\n{text}\n",
        snippets_in_prefix=True,
        path_in_prefix="+++++ {path}\n",
        needs_bos=True,
        architectures=("llama",),
        tokenizers=("llama",),
    ),
)

# The model that comes with the product names its layout in its file, so that no row has to fit it;
# a server that runs it can only be told the row's name.
STARTER = FimFamily(
    name="starter",
    layout="spm_v2",
    prefix="<fim_prefix>",
    suffix="<fim_suffix>",
    middle="<fim_middle>",
    others=("<fim_pad>", "<repo_name>", "<file_sep>"),
    snippet="<file_sep>{path}\n{text}",
    path_before="<file_sep>{path}\n",
)

# Control tokens beside fill-in-the-middle that many tokenizers read out of a text.
OTHER_CONTROLS = (
    "<s>",
    "</s>",
    "<unk>",
    "<pad>",
    "<bos>",
    "<eos>",
    "<mask>",
    "<start_of_turn>",
    "<end_of_turn>",
    "[INST]",
    "[/INST]",
)
