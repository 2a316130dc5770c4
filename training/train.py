"""The training loop: on this machine's processors or on one GPU, for as many minutes as are given.

The learning rate follows the clock: a short rise, level, then straight down to nothing when the
time is over, so that a run ends with a model that is as good as the time allows, also where other
programs take part of the machine.

Invariant: what was learned up to the last checkpoint survives whatever happens to the process.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn import functional as F

from training import samples
from training.found import SHARE, found
from training.loss import loss as loss_of
from training.model import Decoder, Shape
from training.muon import Muon

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from multiprocessing.sharedctypes import Synchronized
    from pathlib import Path

    Batch = list[tuple[np.ndarray, np.ndarray]]

# By role (`samples.NOTHING` to `samples.MIDDLE`): what is asked of the model counts most.
ROLE_WEIGHTS = (0.0, 1.0, 1.0, 6.0)
_ROLE_NAMES = ("", "context", "prefix", "middle")
_BATCH_TOKENS = 2_048  # at once; on a processor more leave its cache
_CHECKPOINT = "checkpoint.pt"
_CHECKPOINT_S = 120.0
_MEASURE_S = 600.0
_LOG_STEPS = 10
_N_HELD_OUT = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run; its minutes count what earlier processes of it have used."""

    shards: Path  # the folder with train-*.npz and held-out.npz
    out: Path  # checkpoint.pt and log.jsonl
    start: Path | None  # a GGUF file to go on from; None for random weights
    shape: Shape | None  # where there is no file
    minutes: float
    step_tokens: int = 16_384
    muon_rate: float = 0.02
    adam_rate: float = 3e-3
    rise: float = 0.03  # these are parts of the time
    level: float = 0.5
    n_processes: int = 2
    seed: int = 0


def train(plan: Plan) -> None:
    """Run the plan to its end, from its checkpoint where there is one."""
    plan.out.mkdir(parents=True, exist_ok=True)
    if torch.cuda.is_available():
        _work(0, 1, plan, mp.Value("q", 0), torch.bfloat16)
        return
    rendezvous = plan.out / "rendezvous"
    rendezvous.unlink(missing_ok=True)
    ticket = mp.get_context("spawn").Value("q", 0)
    work = (plan.n_processes, plan, ticket, _fastest_type())
    mp.spawn(_work, work, nprocs=plan.n_processes)


def _fastest_type() -> torch.dtype:
    """What this processor multiplies matrices in: without instructions for it, bf16 takes eight
    times as long as float32, and with them a half or less.
    """
    times_s = {
        dtype: min(_multiply_s(torch.randn(512, 512, dtype=dtype)) for _ in range(5))
        for dtype in (torch.float32, torch.bfloat16)
    }
    return min(times_s, key=times_s.__getitem__)


def _multiply_s(x: torch.Tensor) -> float:
    began_s = time.perf_counter()
    F.linear(x, x)
    return time.perf_counter() - began_s


def rate_at(part: float, plan: Plan) -> float:
    """The learning rate, as a part of the highest, when `part` of the time is used."""
    return max(0.0, min(1.0, part / plan.rise, (1 - part) / (1 - plan.level)))


def _work(
    rank: int, n_ranks: int, plan: Plan, ticket: Synchronized[int], dtype: torch.dtype
) -> None:
    device = _prepare(rank, n_ranks, plan)
    model, saved = load(plan)
    model.to(device)
    gate = _gate(plan, device)
    matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and n.startswith("blk")]
    others = [p for n, p in model.named_parameters() if p.dim() != 2 or not n.startswith("blk")]
    muon = Muon(matrices, plan.muon_rate)
    adam = torch.optim.AdamW(others, plan.adam_rate, betas=(0.9, 0.95), weight_decay=0.0)
    n_tokens = used_s = 0.0
    first = 0
    if saved:
        muon.load_state_dict(saved["muon"])
        adam.load_state_dict(saved["adam"])
        first, used_s, n_tokens = saved["step"], saved["used_s"], saved["n_tokens"]
    began_s = time.monotonic() - used_s
    saved_s = measured_s = used_s
    n_batches = max(1, plan.step_tokens // _BATCH_TOKENS)
    steps = _steps(plan, first, n_batches)
    tally = np.zeros((2, len(_ROLE_NAMES)))
    parent = os.getppid()
    for step in count(first):
        if os.getppid() != parent:
            sys.exit("train: the program that began this is gone; what it saved is there")
        batches = next(steps)
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        mine = np.zeros((2, len(_ROLE_NAMES)))
        n_mine = 0
        while (place := _take(ticket, (step - first) * n_batches, n_batches)) is not None:
            sums, n = _learn(model, gate, batches[place], dtype)
            mine += sums
            n_mine += n
        used_s, mine, n_step = _share(model, mine, n_mine, time.monotonic() - began_s, n_ranks)
        tally, n_tokens = tally + mine, n_tokens + n_step
        rate = rate_at(used_s / (60 * plan.minutes), plan)
        muon.param_groups[0]["lr"] = plan.muon_rate * rate
        adam.param_groups[0]["lr"] = plan.adam_rate * rate
        muon.step()
        adam.step()
        is_over = used_s >= 60 * plan.minutes
        if rank:
            if is_over:
                break
            continue
        if step % _LOG_STEPS == _LOG_STEPS - 1 or is_over:
            _log(plan, step, n_tokens, used_s, rate, tally)
            tally = np.zeros_like(tally)
        if is_over or used_s - saved_s > _CHECKPOINT_S:
            _save(plan, model, muon, adam, step + 1, used_s, n_tokens)
            saved_s = used_s
        if is_over or used_s - measured_s > _MEASURE_S or step == first:
            _measure(plan, step, model, gate, dtype)
            measured_s = used_s
        if is_over:
            break


def _prepare(rank: int, n_ranks: int, plan: Plan) -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    settle()
    if n_ranks > 1:
        address = (plan.out / "rendezvous").absolute().as_uri()
        dist.init_process_group("gloo", init_method=address, rank=rank, world_size=n_ranks)
    return torch.device("cpu")


def settle() -> None:
    """Have this process compute on one processor as fast as it can."""
    if sys.platform == "linux":
        # Keep memory that was given back: to ask the system for it again takes most of the time.
        libc = ctypes.CDLL(None)
        for option, value in ((-3, 32 << 20), (-1, 2**31 - 1), (-2, 256 << 20)):
            libc.mallopt(option, value)
    # Threads that wait for each other lose more than they gain where others are at work too.
    torch.set_num_threads(1)


def load(plan: Plan) -> tuple[Decoder, Mapping[str, Any]]:
    """The model of the last checkpoint, or the one to begin with; and the checkpoint, if any."""
    if (plan.out / _CHECKPOINT).exists():
        return load_checkpoint(plan.out)
    if plan.start:
        from training.export import read_gguf

        return read_gguf(plan.start), {}
    assert plan.shape is not None
    model = Decoder(plan.shape)
    model.start(torch.Generator().manual_seed(plan.seed))
    return model, {}


def _gate(plan: Plan, device: torch.device) -> torch.Tensor | None:
    """The copy gate of the model to go on from, as `training.loss` has it."""
    if plan.start is None:
        return None
    from training.export import read_gate

    gate = read_gate(plan.start)
    return gate and torch.tensor([*gate.weights, *gate.biases], device=device)


def load_checkpoint(out: Path) -> tuple[Decoder, Mapping[str, Any]]:
    """The model of a run, and all that the run needs to go on."""
    saved = torch.load(out / _CHECKPOINT, map_location="cpu", weights_only=True)
    model = Decoder(Shape(**saved["shape"]))
    model.load_state_dict(saved["model"])
    return model, saved


def _steps(plan: Plan, first: int, n_batches: int) -> Iterator[list[Batch]]:
    """The batches of each step, from step `first` on; every process sees the same."""
    batches = _batches(plan)
    for step in count():
        taken = [next(batches) for _ in range(n_batches)]
        if step >= first:
            yield taken


def _batches(plan: Plan) -> Iterator[Batch]:
    batch: Batch = []
    n_tokens = 0
    if not samples.shard(plan.shards, 0).exists():
        raise FileNotFoundError(f"{plan.shards} has no samples; make them with `samples`")
    for epoch in count():
        # Shards that were written meanwhile are read in their turn.
        for number in count():
            path = samples.shard(plan.shards, number)
            if not path.exists():
                break
            shard = list(samples.read(path))
            for index in np.random.default_rng((plan.seed, epoch, number)).permutation(len(shard)):
                batch.append(shard[index])
                n_tokens += len(shard[index][0])
                if n_tokens >= _BATCH_TOKENS:
                    yield batch
                    batch, n_tokens = [], 0


def _take(ticket: Synchronized[int], first: int, n: int) -> int | None:
    """The next batch of this step that no process has; so a slow one holds nobody up for long."""
    with ticket.get_lock():
        place = ticket.value - first
        if place >= n:
            return None
        ticket.value += 1
        return place


def _learn(
    model: Decoder, gate: torch.Tensor | None, batch: Batch, dtype: torch.dtype
) -> tuple[np.ndarray, int]:
    loss, nats, roles = _nats(model, gate, batch, dtype)
    loss.backward()
    return _by_role(nats, roles), len(roles)


def _nats(
    model: Decoder, gate: torch.Tensor | None, batch: Batch, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    device = model.token_embd.weight.device
    tokens = torch.from_numpy(np.concatenate([t for t, _ in batch]).astype(np.int64)).to(device)
    roles = torch.from_numpy(np.concatenate([r for _, r in batch]).astype(np.int64)).to(device)
    weights = torch.tensor(ROLE_WEIGHTS, device=device)[roles]
    copies = None
    if gate is not None:
        n_lengths = len(gate) - SHARE
        facts = np.concatenate([found(t, r, n_lengths) for t, r in batch])
        copies = gate, torch.from_numpy(facts).to(device)
    loss, nats = loss_of(model, tokens, weights, [len(t) for t, _ in batch], dtype, copies)
    return loss, nats, roles


def _by_role(nats: torch.Tensor, roles: torch.Tensor) -> np.ndarray:
    sums = torch.bincount(roles, nats, len(_ROLE_NAMES))
    counts = torch.bincount(roles, (nats > 0).float(), len(_ROLE_NAMES))
    return torch.stack([sums, counts]).cpu().numpy()


def _share(
    model: Decoder, tally: np.ndarray, n_tokens: int, used_s: float, n_ranks: int
) -> tuple[float, np.ndarray, int]:
    """Add up gradients and counts of all processes; the first one's clock holds."""
    if n_ranks > 1:
        is_first = dist.get_rank() == 0
        facts = torch.tensor([used_s if is_first else 0.0, float(n_tokens), *tally.ravel()])
        flat = torch.cat([facts, *(p.grad.ravel() for p in model.parameters())])
        dist.all_reduce(flat)
        used_s, n_tokens = flat[0].item(), round(flat[1].item())
        tally = flat[2 : len(facts)].numpy().reshape(tally.shape).copy()
        start = len(facts)
        for parameter in model.parameters():
            end = start + parameter.numel()
            parameter.grad.copy_(flat[start:end].view_as(parameter))
            start = end
    n_targets = float(tally[1] @ np.array(ROLE_WEIGHTS))
    for parameter in model.parameters():
        parameter.grad /= n_targets
    return used_s, tally, n_tokens


def _log(
    plan: Plan, step: int, n_tokens: float, used_s: float, rate: float, tally: np.ndarray
) -> None:
    losses = _losses(tally)
    _write(
        plan,
        {
            "step": step + 1,
            "tokens": int(n_tokens),
            "used_s": round(used_s),
            "rate": round(rate, 3),
            **losses,
        },
    )


@torch.no_grad()
def _measure(
    plan: Plan, step: int, model: Decoder, gate: torch.Tensor | None, dtype: torch.dtype
) -> None:
    path = samples.held_out(plan.shards)
    if not path.exists():
        return
    tally = np.zeros((2, len(_ROLE_NAMES)))
    held_out = list(samples.read(path))[:_N_HELD_OUT]
    for start in range(0, len(held_out), 6):
        _, nats, roles = _nats(model, gate, held_out[start : start + 6], dtype)
        tally += _by_role(nats, roles)
    _write(plan, {"step": step + 1, "held_out": _losses(tally)})


def _losses(tally: np.ndarray) -> dict[str, float]:
    """Nats a token for each role."""
    return {
        name: round(float(nats / n), 4)
        for name, nats, n in zip(_ROLE_NAMES, *tally, strict=True)
        if name and n
    }


def _write(plan: Plan, entry: dict[str, object]) -> None:
    line = json.dumps(entry)
    with (plan.out / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(line + "\n")
    sys.stderr.write(line + "\n")


def _save(
    plan: Plan,
    model: Decoder,
    muon: torch.optim.Optimizer,
    adam: torch.optim.Optimizer,
    step: int,
    used_s: float,
    n_tokens: float,
) -> None:
    part = plan.out / "checkpoint.part"
    torch.save(
        {
            "shape": asdict(model.shape), "model": model.state_dict(), "muon": muon.state_dict(),
            "adam": adam.state_dict(), "step": step, "used_s": used_s, "n_tokens": n_tokens,
        },
        part,
    )  # fmt: skip
    os.replace(part, plan.out / _CHECKPOINT)
