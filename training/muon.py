"""The optimizer: Muon for the matrices of the blocks, AdamW for all else.

Muon is momentum whose matrix is made nearly orthogonal by a few Newton-Schulz steps, so that every
direction learns at one pace (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable

# The quintic of modded-nanogpt: five steps bring singular values near to 1.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_N_STEPS = 5


class Muon(torch.optim.Optimizer):
    """For parameters of two dimensions."""

    def __init__(self, parameters: Iterable[Tensor], lr: float, momentum: float = 0.95) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Nesterov momentum, made orthogonal, and scaled so that wide and tall learn alike."""
        for group in self.param_groups:
            for parameter in group["params"]:
                momentum = self.state[parameter].setdefault(
                    "momentum_buffer", torch.zeros_like(parameter)
                )
                momentum.lerp_(parameter.grad, 1 - group["momentum"])
                update = orthogonal(parameter.grad.lerp(momentum, group["momentum"]))
                n_out, n_in = parameter.shape
                parameter.add_(update, alpha=-group["lr"] * max(1.0, n_out / n_in) ** 0.5)


def orthogonal(matrix: Tensor) -> Tensor:
    """The nearest matrix, roughly, whose singular values are all about 1."""
    x = matrix.to(torch.bfloat16)
    is_tall = x.shape[0] > x.shape[1]
    x = x.T if is_tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(_N_STEPS):
        gram = x @ x.T
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    return (x.T if is_tall else x).to(matrix.dtype)
