"""What diagonal and sign metrics should say of a stream, by brute simulation that shares no code with the ear.

Each coordinate of a stream is like every other but for its scale, so that many of scale 1 are simulated, each with the
second moment that a run of this length has: it has been running for n steps only and knows its own gradients.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.stream import TRIED, Stream
from fallline.listen.column import BETAS

COORDINATES = 20000
FAR = 8  # windows of lags: what the ear extrapolates is heard here
BLOCK, DECAY = 8, 0.99  # the ear's: products are weighed by the second moment after each block of steps


@dataclass(frozen=True)
class Oracle:
    """r [FAR window + 1], and head, its noiseless part at lag 0, by the diagonal metric; same, held [betas] by the sign
    metric over E|g|; diagonal, sign: power of the families at TRIED, of coordinates of one scale."""

    r: Tensor
    head: float
    same: Tensor
    held: Tensor
    diagonal: float
    sign: float


def simulated(stream: Stream, steps: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Gradients and the signal in them, [steps, COORDINATES]."""
    g = torch.Generator().manual_seed(seed)
    s, keep = [torch.randn(COORDINATES, generator=g)], math.sqrt(1 - stream.rho**2)
    for _ in range(steps - 1):
        s.append(stream.rho * s[-1] + keep * torch.randn(COORDINATES, generator=g))
    signal = math.sqrt(stream.b) * torch.stack(s)
    noise = torch.randn(steps, COORDINATES, generator=g)
    if stream.tail:
        chi = sum(torch.randn(steps, COORDINATES, generator=g).square() for _ in range(stream.tail))
        noise *= ((stream.tail - 2) / torch.as_tensor(chi)).sqrt()
    level = stream.levels(steps)[:, None]
    return level * (math.sqrt(stream.a) * noise + signal), level * signal


def oracle(stream: Stream, steps: int, window: int) -> Oracle:
    """By the definitions in `fallline.listen.column`, step by step."""
    g, s = simulated(stream, steps)
    v, lags, far = torch.zeros(COORDINATES), torch.arange(window + 1), min(steps // 2, FAR * window)
    products, counts = torch.zeros(2, far + 1).double()
    head, blocks, powers = 0.0, 0, torch.zeros(5).double()
    same, held = torch.zeros(2, len(BETAS)).double()
    taps = torch.tensor(BETAS)[:, None] ** lags
    for end in range(BLOCK, steps + 1, BLOCK):
        for n in range(end - BLOCK, end):
            v = DECAY * v + (1 - DECAY) * g[n].square()
        d = (v / (1 - DECAY**end)).rsqrt()
        for n in range(end - BLOCK, end):
            past = g[max(0, n - far) : n + 1].flip(0)
            products[: len(past)] += (past @ (g[n] * d)).double()
            counts[: len(past)] += COORDINATES
            head += float((s[n].square() * d).sum())
        past, blocks = g[max(0, end - 1 - window) : end].flip(0), blocks + 1
        x, old = past[0], past[1:]
        both = (taps[:, : len(past)] @ past).sign(), (taps[:, : len(old)] @ old).sign()
        same += (both[0] @ x).double() / COORDINATES
        held += (both[1] @ x).double() / COORDINATES
        m = (TRIED ** lags[: len(old)].float()) @ old
        powers += torch.stack(
            [(x * m * d).sum(), (m * d).square().sum(), (x * m.sign()).sum(), *([x.square().sum()] * 2)]
        )
    gd, dd, gs, gg, _ = powers.tolist()
    return Oracle(
        products / counts,
        head / float(counts[0]),
        same / same[0],
        held / same[0],
        gd / math.sqrt(dd * gg),
        gs / math.sqrt(COORDINATES * blocks * gg),
    )
