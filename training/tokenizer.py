"""The vocabulary: byte-level BPE that llama.cpp reproduces exactly (its `pre` is `starcoder`).

Digits stand alone, then GPT-2's pattern splits words from signs and blanks. The pattern keeps a
line end together with blanks only, so no piece joins code of two lines.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gguf import GGUFReader, TokenType
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from training.pieces import SPECIAL

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def train(texts: Iterable[str], n_pieces: int) -> Tokenizer:
    """A vocabulary of `n_pieces`, the special ones first."""
    tokenizer = Tokenizer(models.BPE())
    _dress(tokenizer)
    trainer = trainers.BpeTrainer(
        vocab_size=n_pieces,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _plain(tokenizer)


def read_gguf(path: Path) -> Tokenizer:
    """The vocabulary of a model that `training.export` wrote."""
    fields = GGUFReader(path).fields
    pieces = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(each.split(" ")) for each in fields["tokenizer.ggml.merges"].contents()]
    tokenizer = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, merges))
    _dress(tokenizer)
    tokenizer.add_special_tokens(list(SPECIAL))
    return _plain(tokenizer)


def pieces_of(tokenizer: Tokenizer) -> tuple[list[str], list[int]]:
    """Each piece and its kind, as a GGUF file has them."""
    pieces = sorted(tokenizer.get_vocab(), key=tokenizer.token_to_id)
    kinds = [TokenType.CONTROL if piece in SPECIAL else TokenType.NORMAL for piece in pieces]
    return pieces, [int(kind) for kind in kinds]


def bytes_of(tokenizer: Tokenizer) -> list[bytes]:
    """What each piece stands for; nothing for the special ones."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    # GPT-2 writes every byte as a character that can be seen.
    bytes_by_character = {chr(byte): byte for byte in printable}
    bytes_by_character |= {chr(256 + place): byte for place, byte in enumerate(others)}
    return [
        b"" if piece in SPECIAL else bytes(bytes_by_character[each] for each in piece)
        for piece in pieces_of(tokenizer)[0]
    ]


def merges_of(tokenizer: Tokenizer) -> list[str]:
    """The pairs that are joined, in their order."""
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return [each if isinstance(each, str) else " ".join(each) for each in merges]


def _dress(tokenizer: Tokenizer) -> None:
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()


def _plain(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.encode_special_tokens = True  # text is text, whatever it looks like
    return tokenizer
