"""Says how one model file is asked to fill in the middle, by its own words or by its family.

Invariant: a file's own words stand over the table, and no text of a user becomes a control token:
in a spelling, what is literal is kept apart from what is a token.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from tabby_lsp.domain import EngineError
from tabby_lsp.models.cursor import ModelFileError, shown
from tabby_lsp.models.fim_table import FAMILIES, STARTER

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tabby_lsp.models.fim_table import FimFamily, Layout
    from tabby_lsp.models.gguf import Header

# A stretch of a prompt: token ids, and literal text, which is filled in with `str.format` and then
# tokenized without special tokens.
Spelling = tuple[int | str, ...]

_OWN_LAYOUT = "tabby_lsp.fim_layout"
_OWN_LANGUAGES = "tabby_lsp.languages"
_OWN_COPY_GATE = "tabby_lsp.copy_gate"
_LAYOUTS: dict[str, Layout] = {"psm": "psm", "spm_v1": "spm_v1", "spm_v2": "spm_v2"}
# The second names are those that llama.cpp wrote before October 2024.
_ID_KEYS = {
    "pre": ("tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id"),
    "suf": ("tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.suffix_token_id"),
    "mid": ("tokenizer.ggml.fim_mid_token_id", "tokenizer.ggml.middle_token_id"),
    "pad": ("tokenizer.ggml.fim_pad_token_id",),
    "rep": ("tokenizer.ggml.fim_rep_token_id",),
    "sep": ("tokenizer.ggml.fim_sep_token_id",),
}
_NAME_KEYS = ("general.name", "general.basename", "general.base_model.0.name", "tokenizer.ggml.pre")
_TOKENIZER = "tokenizer.ggml.model"
_MOST_COPIED = 0.98  # the model is always heard
_LARGEST_WEIGHT = 20.0
_SENTENCEPIECE_BOS = 1  # llama.cpp's default for this tokenizer


class NotForCompletion(EngineError):
    """The model was not trained to fill in the middle, or it is not known how."""


@dataclass(frozen=True, slots=True)
class CopyGate:
    """How much of what a small model says is taken from where its last tokens stood before.

    Logistic in four facts; `training.copying` finds the weights.
    """

    weights: tuple[float, float, float, float]  # of those facts, in the order of `left`
    biases: tuple[float, ...]  # for one token that is the same, for two, and so on

    @property
    def n_lengths(self) -> int:
        return len(self.biases)

    def left(
        self, lengths: range, n_found: int, agreement: float, sureness: float, *, is_typed: bool
    ) -> float:
        """Of the probability, what stays when each of these lengths has taken its part.

        So many tokens are the same at `n_found` places, at a share of which, `agreement`, one
        token follows; `sureness` is the probability of the model's likeliest. Some of what
        comes next `is_typed` already.
        """
        count, agree, sure, typed = self.weights
        value = count * math.log1p(n_found) + agree * agreement + sure * sureness
        if is_typed:
            value += typed
        odds_against, against = math.exp(-value), _odds_against(self.biases)
        left = 1.0
        for n_same in lengths:
            part = 1 / (1 + odds_against * against[n_same - 1])
            left *= 1 - (part if part < _MOST_COPIED else _MOST_COPIED)
        return left


@lru_cache
def _odds_against(biases: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(math.exp(-bias) for bias in biases)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fim:
    """How one model is asked for the middle, in its own token ids.

    A prompt is `bos`, `repository`, one `snippet` for each, `path_before`, then the layout's parts;
    `path_in_prefix` begins the prefix, and so do, before it, the snippets if `snippets_in_prefix`.
    A spelling is () where the family has no such thing.
    """

    family: str
    layout: Layout
    prefix: int
    suffix: int
    middle: int | None  # None: the answer follows the prefix at once
    bos: tuple[int, ...] = ()
    repository: Spelling = ()  # with `{repository}`
    snippet: Spelling = ()  # with `{path}` and `{text}`, whose last line ends in a newline
    snippets_in_prefix: bool = False
    path_before: Spelling = ()  # with `{path}`
    path_in_prefix: Spelling = ()  # with `{path}`
    end_tokens: frozenset[int]  # end an answer, besides those that llama.cpp knows to
    languages: tuple[str, ...] = ()  # LSP language ids; () where the file does not say
    copy_gate: CopyGate | None = None  # None: the model copies by itself


def fim_of(header: Header) -> Fim:
    """How to ask the model in this file.

    Raises NotForCompletion for a model without fill-in-the-middle, ModelFileError when the file
    contradicts itself.
    """
    if _OWN_LAYOUT in header.metadata:
        return _by_its_own_words(header)
    for family in FAMILIES:
        if _fits(family, header):
            return _by_its_family(family, header)
    raise NotForCompletion(
        f"{header.path} ({shown(header.name)}) is not for completion: it has no way to fill in the"
        ' middle of a text; set `model` in config.toml to one that has, such as "starter"'
    )


def families_named(name: str) -> tuple[FimFamily, ...]:
    """The rows of the table with this name, in any case; raises EngineError where there is none."""
    found = [row for row in (*FAMILIES, STARTER) if row.name.lower() == name.strip().lower()]
    if not found:
        names = ", ".join(sorted({row.name for row in (*FAMILIES, STARTER)}))
        raise EngineError(
            f"There is no family {shown(name)}: set `family` in config.toml to one of {names}."
        )
    return tuple(found)


def family_of_tokens(tokens: Collection[str]) -> FimFamily | None:
    """The family of a model of which nothing but its control tokens is known.

    None where there is none, or where it takes more to tell it from others with the same tokens.
    """
    for row in FAMILIES:
        if all(token in tokens for token in needed_tokens(row)):
            is_certain = not (row.architectures or row.tokenizers or row.words)
            return row if is_certain else None
    return None


def needed_tokens(family: FimFamily) -> tuple[str, ...]:
    """The control tokens without which a model is not of this family."""
    middle = () if family.middle is None else (family.middle,)
    return (family.prefix, family.suffix, *middle, *family.requires)


def fim_of_family(
    family: FimFamily,
    ids: Mapping[str, int],
    bos: tuple[int, ...] = (),
    languages: tuple[str, ...] = (),
) -> Fim:
    """How to ask a model of this family, whose control tokens have these ids.

    `ids` has the tokens that a layout needs; what else it lacks is left out of the prompt.
    """
    return Fim(
        family=family.name,
        layout=family.layout,
        prefix=ids[family.prefix],
        suffix=ids[family.suffix],
        middle=None if family.middle is None else ids[family.middle],
        bos=bos,
        repository=_spelling(family.repository, family, ids),
        snippet=_spelling(family.snippet, family, ids),
        snippets_in_prefix=family.snippets_in_prefix,
        path_before=_spelling(family.path_before, family, ids),
        path_in_prefix=_spelling(family.path_in_prefix, family, ids),
        end_tokens=frozenset(ids[text] for text in family.tokens if text in ids),
        languages=languages,
    )


def _by_its_own_words(header: Header) -> Fim:
    layout = _LAYOUTS.get(header.text(_OWN_LAYOUT) or "")
    if layout is None:
        raise ModelFileError(
            f"{header.path} has {_OWN_LAYOUT} = {shown(header.metadata[_OWN_LAYOUT])}, which is no"
            f" layout ({', '.join(_LAYOUTS)}); update tabby-lsp or get another GGUF of the model"
        )
    ids = {part: _own_id(header, keys) for part, keys in _ID_KEYS.items()}
    prefix, suffix, middle, file_sep = (ids[key] for key in ("pre", "suf", "mid", "sep"))
    if prefix is None or suffix is None or (middle is None and layout != "spm_v1"):
        raise ModelFileError(
            f"{header.path} has {_OWN_LAYOUT} and does not name the tokens for it"
            " (tokenizer.ggml.fim_pre_token_id, ..._suf_..., ..._mid_...); get another GGUF of it"
        )
    return Fim(
        family=_OWN_LAYOUT,
        layout=layout,
        prefix=prefix,
        suffix=suffix,
        middle=middle,
        bos=_bos(header, needs_bos=False),
        snippet=() if file_sep is None else (file_sep, "{path}\n{text}"),
        path_before=() if file_sep is None else (file_sep, "{path}\n"),
        end_tokens=frozenset(token for token in ids.values() if token is not None),
        languages=_languages(header),
        copy_gate=_copy_gate(header),
    )


def _copy_gate(header: Header) -> CopyGate | None:
    """Four weights, then up to eight biases."""
    numbers = header.metadata.get(_OWN_COPY_GATE, ())
    own = numbers if isinstance(numbers, tuple) else (numbers,)
    sound = [n for n in own if isinstance(n, float) and abs(n) < _LARGEST_WEIGHT]
    if not own:
        return None
    if len(sound) < len(own) or not 5 <= len(own) <= 12:
        raise ModelFileError(
            f"{header.path} has a {_OWN_COPY_GATE} that is not 5 to 12 numbers below"
            f" {_LARGEST_WEIGHT:g}; update tabby-lsp or get another GGUF of the model"
        )
    count, agreement, sureness, typed, *biases = sound
    return CopyGate((count, agreement, sureness, typed), tuple(biases))


def _own_id(header: Header, keys: tuple[str, ...]) -> int | None:
    for key in keys:
        token = header.integer(key)
        if token is not None and not 0 <= token < header.n_vocab:
            raise ModelFileError(
                f"{header.path} has {key} = {token} and only {header.n_vocab} tokens;"
                " get another GGUF of the model"
            )
        if token is not None:
            return token
    return None


def _by_its_family(family: FimFamily, header: Header) -> Fim:
    bos = _bos(header, needs_bos=family.needs_bos)
    return fim_of_family(family, header.special_tokens, bos, _languages(header))


def _fits(family: FimFamily, header: Header) -> bool:
    names = " ".join(header.text(key) or "" for key in _NAME_KEYS).lower()
    return (
        all(text in header.special_tokens for text in needed_tokens(family))
        and header.architecture in (family.architectures or (header.architecture,))
        and (not family.tokenizers or header.text(_TOKENIZER) in family.tokenizers)
        and (not family.words or any(word in names for word in family.words))
    )


def _spelling(spelled: str, family: FimFamily, ids: Mapping[str, int]) -> Spelling:
    """Token ids for the control tokens in `spelled`; () where the vocabulary lacks one."""
    controls = "|".join(map(re.escape, family.tokens))
    parts = [part for part in re.split(f"({controls})", spelled) if part]
    if any(part in family.tokens and part not in ids for part in parts):
        return ()
    return tuple(ids[part] if part in family.tokens else part for part in parts)


def _bos(header: Header, *, needs_bos: bool) -> tuple[int, ...]:
    """What must stand first: by the file's word, else llama.cpp's rule, else the family's."""
    is_sentencepiece = header.text(_TOKENIZER) == "llama"
    adds_bos = header.metadata.get("tokenizer.ggml.add_bos_token")
    if not isinstance(adds_bos, bool):
        adds_bos = is_sentencepiece or needs_bos
    token = header.integer("tokenizer.ggml.bos_token_id")
    if token is None and is_sentencepiece:
        token = _SENTENCEPIECE_BOS
    return (token,) if adds_bos and token is not None and 0 <= token < header.n_vocab else ()


def _languages(header: Header) -> tuple[str, ...]:
    languages = header.metadata.get(_OWN_LANGUAGES, ())
    if not isinstance(languages, tuple):
        return ()
    return tuple(language for language in languages if isinstance(language, str))
