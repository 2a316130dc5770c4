"""The network: a decoder as llama.cpp has it, in as few lines as it takes.

Invariant: the parameters are called as their tensors in a GGUF file are, so that reading and
writing one is a loop; and nothing is in here that llama.cpp would not compute in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.attention import attend

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the network looks like; `qk_norm` makes it llama.cpp's `qwen3`, else it is `llama`."""

    n_vocab: int
    n_layers: int = 6
    width: int = 256
    n_heads: int = 4
    n_kv_heads: int = 2
    head_size: int = 64
    feed_forward: int = 704
    qk_norm: bool = False
    n_ctx: int = 1024
    rope_base: float = 10_000.0
    norm_eps: float = 1e-5


class Norm(nn.Module):
    """RMSNorm; adds in float32, and answers in what matrices are multiplied in."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self._eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), self._eps)


class Matrix(nn.Module):
    """A matrix kept in float32 and multiplied in the type of what it is multiplied with."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_out, n_in))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype))


class Block(nn.Module):
    """Attention, then the feed-forward network, each added to the stream."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        n_q, n_kv = shape.n_heads * shape.head_size, shape.n_kv_heads * shape.head_size
        self.attn_norm = Norm(shape.width, shape.norm_eps)
        self.attn_q = Matrix(shape.width, n_q)
        self.attn_k = Matrix(shape.width, n_kv)
        self.attn_v = Matrix(shape.width, n_kv)
        self.attn_output = Matrix(n_q, shape.width)
        if shape.qk_norm:
            self.attn_q_norm = Norm(shape.head_size, shape.norm_eps)
            self.attn_k_norm = Norm(shape.head_size, shape.norm_eps)
        self.ffn_norm = Norm(shape.width, shape.norm_eps)
        self.ffn_gate = Matrix(shape.width, shape.feed_forward)
        self.ffn_up = Matrix(shape.width, shape.feed_forward)
        self.ffn_down = Matrix(shape.feed_forward, shape.width)

    def forward(
        self, x: Tensor, turns: Turns, lengths: Sequence[int], dtype: torch.dtype
    ) -> Tensor:
        x = x + self._attend(self.attn_norm(x).to(dtype), turns, lengths)
        y = self.ffn_norm(x).to(dtype)
        return x + self.ffn_down(F.silu(self.ffn_gate(y)) * self.ffn_up(y))

    def _attend(self, y: Tensor, turns: Turns, lengths: Sequence[int]) -> Tensor:
        shape = self.shape
        q = self.attn_q(y).view(-1, shape.n_heads, shape.head_size)
        k = self.attn_k(y).view(-1, shape.n_kv_heads, shape.head_size)
        v = self.attn_v(y).view(-1, shape.n_kv_heads, shape.head_size)
        if shape.qk_norm:
            q, k = self.attn_q_norm(q), self.attn_k_norm(k)
        q, k = turns(q), turns(k)
        n_shared = shape.n_heads // shape.n_kv_heads
        k, v = k.repeat_interleave(n_shared, 1), v.repeat_interleave(n_shared, 1)
        # Each sample sees itself alone: as many small attentions as there are samples, and no mask.
        parts = [
            attend(*(each.transpose(0, 1) for each in qkv)).transpose(0, 1)
            for qkv in zip(*(each.split(list(lengths)) for each in (q, k, v)), strict=True)
        ]
        joined = torch.cat(parts)
        return self.attn_output(joined.reshape(len(y), -1))


class Turns:
    """Rotary positions: pairs of neighbours in `llama`, of halves in `qwen3`."""

    def __init__(self, shape: Shape, lengths: Sequence[int], device: torch.device) -> None:
        positions = torch.cat([torch.arange(n, device=device) for n in lengths])
        half = torch.arange(0, shape.head_size, 2, device=device) / shape.head_size
        angles = torch.outer(positions, shape.rope_base**-half)[:, None]
        self._cos, self._sin = angles.cos(), angles.sin()
        self._is_halves = shape.qk_norm

    def __call__(self, x: Tensor) -> Tensor:
        """Heads of shape [tokens, heads, head size], turned."""
        cos, sin = self._cos.to(x.dtype), self._sin.to(x.dtype)
        if self._is_halves:
            a, b = x.chunk(2, -1)
            return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)
        a, b = x[..., 0::2], x[..., 1::2]
        return torch.stack([a * cos - b * sin, b * cos + a * sin], -1).flatten(-2)


class Decoder(nn.Module):
    """Tokens in, logits out; the embedding is the output matrix too."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.token_embd = Matrix(shape.width, shape.n_vocab)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.n_layers))
        self.output_norm = Norm(shape.width, shape.norm_eps)

    def start(self, generator: torch.Generator) -> None:
        """Random weights; what adds to the stream begins at zero, so that depth costs nothing."""
        for name, parameter in self.named_parameters():
            if name.endswith(("attn_output.weight", "ffn_down.weight")):
                nn.init.zeros_(parameter)
            elif parameter.dim() == 2:
                std = 0.02 if name.startswith("token_embd") else parameter.shape[1] ** -0.5
                nn.init.normal_(parameter, std=std, generator=generator)

    def stream(self, tokens: Tensor, lengths: Sequence[int], dtype: torch.dtype) -> Tensor:
        """What the last layer says, [tokens, width]; `tokens` are samples, one behind the other."""
        x = F.embedding(tokens, self.token_embd.weight)
        turns = Turns(self.shape, lengths, tokens.device)
        for block in self.blk:
            x = block(x, turns, lengths, dtype)
        return self.output_norm(x)

    def logits(self, tokens: Tensor) -> Tensor:
        """[tokens, vocabulary], in float32, of one sample."""
        return self.token_embd(self.stream(tokens, [len(tokens)], torch.float32))
