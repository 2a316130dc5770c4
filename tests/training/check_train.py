"""The loop learns, goes on where it was stopped, and computes what plain torch would.

Needs torch, which `make test` does not ask for: `make test-training` runs this.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tabby_lsp.engines.llama.copying import Copying
from tabby_lsp.engines.llama.standing import BREAK
from training import samples
from training.attention import attend
from training.copying import ANY_GATE
from training.found import AGREEMENT, COUNT, SHARE, SURENESS, found
from training.loss import loss, taken
from training.model import Decoder, Shape
from training.muon import orthogonal
from training.pieces import N_SPECIAL
from training.recipe import SHAPES, n_parameters, shape_for
from training.samples import CONTEXT, MIDDLE, PREFIX, Sample
from training.train import Plan, load, rate_at, train

if TYPE_CHECKING:
    from pathlib import Path

SMALL = Shape(n_vocab=64, n_layers=2, width=64, n_heads=2, n_kv_heads=1, head_size=32,
              feed_forward=128)  # fmt: skip


def model(shape: Shape = SMALL) -> Decoder:
    decoder = Decoder(shape)
    decoder.start(torch.Generator().manual_seed(1))
    return decoder


@pytest.mark.parametrize("n", [1, 191, 192, 193, 500])
def test_attention_and_its_gradients_are_torchs(n: int) -> None:
    torch.manual_seed(n)
    q, k, v = (torch.randn(2, n, 32, requires_grad=True) for _ in range(3))
    gradient = torch.randn(2, n, 32)
    ours = torch.autograd.grad(attend(q, k, v), (q, k, v), gradient)
    plain = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    theirs = torch.autograd.grad(plain, (q, k, v), gradient)
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a, b, atol=1e-4)


def test_the_loss_and_its_gradients_are_cross_entropys_of_each_sample_alone() -> None:
    decoder = model()
    tokens = torch.randint(0, 64, (700,))
    weights = torch.randint(0, 4, (700,)).float()
    lengths = [300, 1, 399]
    surprise, nats = loss(decoder, tokens, weights, lengths, torch.float32)
    surprise.backward()
    ours = [parameter.grad.clone() for parameter in decoder.parameters()]
    decoder.zero_grad()
    plain = torch.zeros(())
    for part, weight in zip(tokens.split(lengths), weights.split(lengths), strict=True):
        if len(part) > 1:
            each = F.cross_entropy(decoder.logits(part)[:-1], part[1:], reduction="none")
            plain = plain + (each * weight[1:]).sum()
    plain.backward()
    assert surprise.item() == pytest.approx(plain.item(), rel=1e-4)
    assert (nats[weights == 0] == 0).all()
    for a, parameter in zip(ours, decoder.parameters(), strict=True):
        assert torch.allclose(a, parameter.grad, atol=1e-3, rtol=1e-3)


def test_less_is_learned_from_what_is_copied() -> None:
    decoder = model()
    tokens = torch.randint(0, 64, (90,))
    weights = torch.randint(1, 4, (90,)).float()
    facts = torch.rand(90, 2, 5)
    facts[..., COUNT] *= torch.rand(90, 2) > 0.5  # nothing found
    facts[..., SURENESS] = 0
    gate = torch.tensor([0.3, 1.0, -2.0, 0.5, -1.0, 0.2])
    surprise, nats = loss(decoder, tokens, weights, [90], torch.float32, (gate, facts))
    surprise.backward()
    ours = [parameter.grad.clone() for parameter in decoder.parameters()]
    decoder.zero_grad()
    every = decoder.logits(tokens)[:-1].softmax(1)
    facts = facts[1:].clone()
    facts[..., SURENESS] = every.detach().amax(1)[:, None]
    kept, copied = taken(gate, facts)
    each = -(kept * every.gather(1, tokens[1:, None])[:, 0] + copied).log()
    plain = (each * weights[1:]).sum()
    plain.backward()
    assert surprise.item() == pytest.approx(plain.item(), rel=1e-4)
    assert torch.allclose(nats[1:], each, atol=1e-4)
    for a, parameter in zip(ours, decoder.parameters(), strict=True):
        assert torch.allclose(a, parameter.grad, atol=1e-3, rtol=1e-3)


def test_what_is_found_for_all_tokens_is_what_the_product_finds_for_each() -> None:
    random = np.random.default_rng(1)
    ids = random.integers(N_SPECIAL - 1, N_SPECIAL + 5, 200).astype(np.uint16)
    roles = np.repeat([CONTEXT, PREFIX, MIDDLE], [100, 60, 40]).astype(np.uint8)
    facts = found(ids, roles, ANY_GATE.n_lengths)
    texts = [BREAK if token < N_SPECIAL else int(token) for token in ids]
    for place in range(1, 200):
        copying = Copying(ANY_GATE, [], texts[: min(place, 160)])
        for token in texts[160:place]:
            copying.hear(token)
        expected = np.zeros((ANY_GATE.n_lengths, 3))
        for n_same, counts in copying.followers(np.ones(64)).items():
            n_found = sum(counts.values())
            share = counts.get(int(ids[place]), 0) / n_found
            expected[n_same - 1] = np.log1p(n_found), max(counts.values()) / n_found, share
        assert np.allclose(facts[place][:, [COUNT, AGREEMENT, SHARE]], expected)


def test_no_sample_sees_another() -> None:
    decoder = model()
    first, second = torch.randint(0, 64, (2, 50))
    with torch.no_grad():
        alone = decoder.stream(second, [50], torch.float32)
        together = decoder.stream(torch.cat([first, second]), [50, 50], torch.float32)[50:]
    assert torch.allclose(alone, together, atol=1e-5)


def test_an_orthogonal_matrix_has_singular_values_about_one() -> None:
    values = torch.linalg.svdvals(orthogonal(torch.randn(48, 160, generator=torch.Generator())))
    assert 0.5 < values.min() < values.max() < 1.4


def test_the_rate_rises_stays_and_ends_at_nothing(tmp_path: Path) -> None:
    plan = Plan(shards=tmp_path, out=tmp_path, start=None, shape=SMALL, minutes=1)
    assert [rate_at(part, plan) for part in (0, 0.1, 0.5, 0.75, 1, 1.2)] == [0, 1, 1, 0.5, 0, 0]


def test_it_learns_and_goes_on_where_it_was(tmp_path: Path) -> None:
    words = [*range(10, 60)]
    roles = [CONTEXT] * 10 + [PREFIX] * 30 + [MIDDLE] * 10
    samples.write([Sample(words, roles)] * 300, samples.shard(tmp_path, 0))
    samples.write([Sample(words, roles)] * 6, samples.held_out(tmp_path))
    plan = Plan(
        shards=tmp_path, out=tmp_path / "run", start=None, shape=SMALL, minutes=0.1,
        step_tokens=2_048, n_processes=2,
    )  # fmt: skip
    train(plan)
    _, saved = load(plan)
    train(replace(plan, minutes=0.25))
    _, again = load(plan)
    log = [json.loads(line) for line in (plan.out / "log.jsonl").read_text().splitlines()]
    losses = [entry["held_out"]["middle"] for entry in log if "held_out" in entry]
    assert again["step"] > saved["step"] > 0
    assert again["n_tokens"] > saved["n_tokens"]
    # A busy machine takes few steps in this time.
    assert losses[-1] < losses[0]


def test_more_time_is_for_a_larger_model() -> None:
    chosen = [n_parameters(shape_for(minutes, 2.4e10)) for minutes in (1, 10, 60, 600, 60_000)]
    assert chosen == sorted(chosen)
    assert chosen[0] == n_parameters(SHAPES[0])
    assert chosen[-1] == n_parameters(SHAPES[-1])
    assert n_parameters(SMALL) == pytest.approx(
        sum(p.numel() for p in model().parameters()), rel=0.01
    )
