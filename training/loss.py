"""How surprised a model is by samples, with what the product copies for it.

Where the answer can be copied, the model need not know it: it learns as much from a token as it is
likelier that the model says it than that it is copied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from training.found import COUNT, SHARE, SURENESS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.model import Decoder

# So many rows of logits are in memory at a time; more do not fit into a processor's cache.
_LOGIT_ROWS = 512


def loss(
    model: Decoder,
    tokens: Tensor,
    weights: Tensor,
    lengths: Sequence[int],
    dtype: torch.dtype,
    copies: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Nats, summed by weight, and of each token; a weight is its target's, and 0 skips it.

    `tokens` are samples, one behind the other; `copies` are what `taken` takes, for each of them.
    """
    stream = model.stream(tokens, lengths, dtype)
    targets = tokens.roll(-1)
    ahead = weights.roll(-1)
    ends = torch.tensor(lengths, device=tokens.device).cumsum(0) - 1
    ahead[ends] = 0
    rows = ahead.nonzero()[:, 0]
    gate, found = copies or (None, None)
    found = found if found is None else found.roll(-1, 0)[rows]
    nats: Tensor = _Nats.apply(
        stream[rows].to(dtype), model.token_embd.weight, targets[rows], ahead[rows], gate, found
    )
    each = torch.zeros_like(ahead).index_put((rows,), nats.detach())
    return (nats * ahead[rows]).sum(), each.roll(1)


def taken(gate: Tensor, found: Tensor) -> tuple[Tensor, Tensor]:
    """Which part of the probability the model keeps, and how likely it is that the token is copied.

    `gate` has the weights of a `CopyGate`, then its biases; `found` is [tokens, lengths, facts].
    """
    weights, biases = gate[:SHARE], gate[SHARE:]
    parts = torch.sigmoid(found[..., :SHARE] @ weights + biases) * (found[..., COUNT] > 0)
    kept, copied = torch.ones_like(parts[:, 0]), torch.zeros_like(parts[:, 0])
    for part, share in zip(parts.unbind(1), found[..., SHARE].unbind(1), strict=True):
        kept, copied = kept * (1 - part), copied * (1 - part) + part * share
    return kept, copied


class _Nats(torch.autograd.Function):
    """Cross entropy without keeping logits: a piece at a time, its gradient at once.

    The gradient that comes back must be the rows' weights times one number, as from `loss`.
    """

    @staticmethod
    def forward(  # type: ignore[no-untyped-def]
        ctx, x: Tensor, matrix: Tensor, targets: Tensor, weights: Tensor,
        gate: Tensor | None, found: Tensor | None,
    ) -> Tensor:  # fmt: skip
        matrix_16 = matrix.to(x.dtype)
        nats = torch.empty(len(x), device=x.device)
        dx = torch.empty_like(x)
        dmatrix = torch.zeros_like(matrix)
        for start in range(0, len(x), _LOGIT_ROWS):
            rows = slice(start, start + _LOGIT_ROWS)
            logits = F.linear(x[rows], matrix_16).float()
            target = targets[rows, None]
            sums = logits.logsumexp(1, keepdim=True)
            nats[rows] = (sums - logits.gather(1, target))[:, 0]
            shares = weights[rows]
            if gate is not None and found is not None:
                sureness = (logits.amax(1) - sums[:, 0]).exp()
                said, told = _with_copies(nats[rows], sureness, gate, found[rows])
                nats[rows] = -told.log()
                shares = shares * said / told
            if torch.is_grad_enabled() or ctx.needs_input_grad[0]:
                gradient = logits.sub_(sums).exp_()
                gradient.scatter_add_(1, target, -torch.ones_like(sums))
                gradient.mul_(shares[:, None])
                gradient_16 = gradient.to(x.dtype)
                dx[rows] = gradient_16 @ matrix_16
                dmatrix += (gradient_16.T @ x[rows]).float()
        ctx.save_for_backward(dx, dmatrix, weights)
        return nats

    @staticmethod
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
        dx, dmatrix, weights = ctx.saved_tensors
        factor = gradient[0] / weights[0]
        return dx * factor.to(dx.dtype), dmatrix * factor, None, None, None, None


def _with_copies(
    nats: Tensor, sureness: Tensor, gate: Tensor, found: Tensor
) -> tuple[Tensor, Tensor]:
    """How likely it is that the model says a token, and that it is said at all."""
    found = found.clone()
    found[..., SURENESS] = sureness[:, None]
    kept, copied = taken(gate, found)
    said = kept * (-nats).exp()
    return said, (said + copied).clamp_min(1e-9)
