"""Fits a model's copy gate: how much of what it says comes from where its last tokens stood before.

Twelve weights, found on places that the model is asked about as the product asks. The places are of
packages that it may have learned from: so few tokens of each are seen so seldom that this does not
show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from tabby_lsp.engines.llama.copying import Copying
from tabby_lsp.engines.llama.healing import Vocabulary
from tabby_lsp.engines.llama.sampling import scores_of
from tabby_lsp.engines.llama.standing import BREAK
from tabby_lsp.models.families import CopyGate
from training.found import N_FACTS, SHARE
from training.loss import taken
from training.pieces import END, N_SPECIAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from tokenizers import Tokenizer

    from training.model import Decoder
    from training.samples import Asked

# Asks for the counts of all lengths; its own weights are never used.
ANY_GATE = CopyGate((0.0, 0.0, 0.0, 0.0), (0.0,) * 8)
_START = -2.5  # a twelfth is copied
_LARGEST = 19.0  # the product takes none of 20
# Keeps weights small that hardly matter; times the square of their distance from the start.
_REGRET = 2e-3


def fit(
    model: Decoder, tokenizer: Tokenizer, pieces: Sequence[bytes], asked: Iterable[Asked]
) -> CopyGate:
    """The gate with which the answers at these places are the least surprise."""
    vocabulary = Vocabulary(pieces)
    steps = [step for each in asked for step in _steps(model, tokenizer, vocabulary, each)]
    said = torch.tensor([step[0] for step in steps], dtype=torch.float64)
    found = torch.tensor(np.array([step[1] for step in steps]), dtype=torch.float64)
    weights = torch.zeros(SHARE + ANY_GATE.n_lengths, dtype=torch.float64)
    weights[SHARE:] = _START
    start = weights.clone()
    weights.requires_grad_()
    optimizer = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def surprise() -> float:
        optimizer.zero_grad()
        loss = _nats(weights, said, found) + _REGRET * ((weights - start) ** 2).mean()
        loss.backward()
        return loss.item()

    optimizer.step(surprise)
    found_weights = weights.detach().clamp(-_LARGEST, _LARGEST)
    count, agreement, sureness, typed, *biases = found_weights.tolist()
    return CopyGate((count, agreement, sureness, typed), tuple(biases))


def _nats(weights: torch.Tensor, said: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    """Mean nats a token, with what is copied; as `Copying.mixed` has it."""
    kept, copied = taken(weights, found)
    return -torch.log(said * kept + copied + 1e-9).mean()


def _steps(
    model: Decoder, tokenizer: Tokenizer, vocabulary: Vocabulary, asked: Asked
) -> Iterator[tuple[float, NDArray[np.float64]]]:
    """For each token of an answer: its probability, and what is found for each length.

    That is the facts of `CopyGate.left`, and the share of the places where this token follows.
    """
    source = copy_source(ANY_GATE, tokenizer, asked)
    left = asked.typed.encode()
    for token, logits in answer_logits(model, asked):
        is_typed = bool(left)
        if is_typed:
            logits = vocabulary.only_fitting(logits, left)
        right = right_tokens(token, vocabulary.pieces)
        probabilities = scores_of(logits)
        probabilities /= probabilities.sum()
        found = np.zeros((ANY_GATE.n_lengths, N_FACTS))
        for n_same, counts in source.followers(probabilities).items():
            n_found = sum(counts.values())
            share = sum(counts.get(each, 0) for each in right) / n_found
            agreement = max(counts.values()) / n_found
            facts = np.log1p(n_found), agreement, probabilities.max(), float(is_typed)
            found[n_same - 1] = (*facts, share)
        yield float(probabilities[right].sum()), found
        left = left[len(vocabulary.pieces[token]) :]
        source.hear(token)


@torch.no_grad()
def answer_logits(model: Decoder, asked: Asked) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Each token of the answer, and what the model says where it stands."""
    prompt = asked.prompt
    tokens = torch.tensor([*prompt, *asked.answer])
    stream = model.stream(tokens, [len(tokens)], torch.float32)[len(prompt) - 1 : -1]
    return zip(asked.answer, model.token_embd(stream).numpy(), strict=True)


def copy_source(gate: CopyGate, tokenizer: Tokenizer, asked: Asked) -> Copying:
    """Where the product would look for what to copy."""
    texts = tokenizer.encode_batch([*asked.elsewhere], add_special_tokens=False)
    elsewhere = [token for text in texts for token in (*text.ids, BREAK)]
    return Copying(gate, elsewhere, asked.open_tokens)


def right_tokens(token: int, pieces: Sequence[bytes]) -> list[int]:
    """The token; where the answer ends, all that end it, a line end among them."""
    if token != END:
        return [token]
    return [*range(N_SPECIAL), *(n for n, piece in enumerate(pieces) if ends_line(piece))]


def ends_line(piece: bytes) -> bool:
    """Whether the rest of a line is over with this."""
    return piece.lstrip(b" ").startswith(b"\n")
