"""A larger model that says what a smaller one says, so that training goes on and not anew.

Invariant: the larger one's logits are the smaller one's, whatever it is asked.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from training.model import Decoder


def widened(model: Decoder, feed_forward: int, seed: int) -> Decoder:
    """It with so many units in each feed-forward network; the new ones are not listened to yet.

    They begin with random inputs and an output of zero, so the first step teaches them.
    """
    old = model.shape.feed_forward
    if feed_forward < old:
        raise ValueError(f"grow: {feed_forward} units are fewer than the {old} there are")
    larger = Decoder(replace(model.shape, feed_forward=feed_forward))
    larger.start(torch.Generator().manual_seed(seed))
    weights = larger.state_dict()
    for name, learned in model.state_dict().items():
        n_out, *n_in = learned.shape
        weights[name][(slice(n_out), *map(slice, n_in))] = learned
    return larger
