"""Replicate: what the sums might have been, had other steps and other coordinates been heard."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import final

import torch
from torch import Tensor

from .estimate import Curve, Estimate
from .neighbour import NEWS, Memory, together

MANY = 400  # replicates
EPS = 1e-9
LEAST = 4  # stretches; with fewer nothing is known of how they vary


@final
@dataclass(frozen=True)
class Replicates:
    """rows [1 + MANY, C]: means per step of C columns, and below them their replicates; `level` of intervals, whose
    ends follow Student's law with `freedom` degrees of freedom.

    What is made of the sums is made of all rows at once: a statistic y [1 + MANY], its value on top.
    """

    rows: Tensor
    level: float
    freedom: int = 1

    @property
    def mean(self) -> Tensor:
        """What was heard, [C]."""
        return self.rows[0]

    @property
    def drawn(self) -> Tensor:
        """What might have been, [MANY, C]."""
        return self.rows[1:]

    def estimate(self, f: Callable[[Tensor], Tensor]) -> Estimate:
        """Of a function of the columns: [..., C] -> [...]."""
        return self.told(f(self.rows))

    def told(self, y: Tensor, least: float = -math.inf, most: float = math.inf) -> Estimate:
        """A statistic y [1 + MANY]. Its value and the ends of its interval are moved to where it can lie at all.

        Were the replicates moved instead, their spread would be that of a value already moved, moved once more, and
        the interval would miss a true value at the edge.
        """
        value, *drawn = y.tolist()
        low, high = -math.inf, math.inf
        if not any(map(math.isnan, drawn)):
            drawn.sort()
            low, high = (min(max(drawn[i], least), most) for i in (self._rank, -1 - self._rank))
        return Estimate(min(max(value, least), most), low, high, self.level, self.freedom)

    def curve(self, x: Tensor, y: Tensor, least: float = -math.inf, most: float = math.inf) -> Curve:
        """A function at the points x, y [1 + MANY, points], and where it can lie."""
        lost, n = y[1:].isnan().any(0), len(y) - 1
        low, high = (y[1:].kthvalue(k, 0).values.clamp(least, most) for k in (self._rank + 1, n - self._rank))
        low, high = torch.where(lost, -math.inf, low), torch.where(lost, math.inf, high)
        told = [tuple(one.tolist()) for one in (x, y[0].clamp(least, most), low, high)]
        return Curve(told[0], told[1], told[2], told[3], self.level, self.freedom)

    @property
    def _rank(self) -> int:
        """How many replicates lie outside on each side: quantiles with the nearest rank, so that infinity stays."""
        return max(0, int((1 - self.level) / 2 * (len(self.rows) + EPS)) - 1)


def replicates(
    sums: Tensor, counts: Tensor, deviations: Tensor, level: float, memory: Memory = NEWS, seed: int = 0
) -> Replicates:
    """A multiplier bootstrap over stretches of steps and over runs of coordinates.

        mean = sum_b s_b / sum_b c_b,   e_b = (s_b - mean c_b) / sum c sqrt(B / (B - h)),   d_r = deviation_r / sum c
        mean* = mean + sqrt(short nu / chi^2_nu) sum_b eta_b e_b + sum_r xi_r d_r

    xi are normal; eta_b = (xi_b + ... + xi_{b+h-1}) / sqrt h lets h neighbours vary together (Shao 2010, dependent
    wild bootstrap), and chi^2 makes of the normal law Student's: h, nu and short are those of `neighbour.together`.
    sums, counts [B, C], steps in the first column of counts; deviations [R, C], of a run's sum from those of its
    tensor. Fewer than four stretches, or less than half a memory: all replicates are NaN, the intervals infinite.
    """
    total, b = counts.sum(0), len(sums)
    mean = sums.sum(0) / total
    near = together(b, float(counts[:, 0].mean()), memory) if b >= LEAST else None
    if near is None or math.isinf(near.short):
        return Replicates(torch.cat([mean[None], mean.new_full((MANY, len(mean)), math.nan)]), level)
    drawn = mean + math.sqrt(near.short) * luck(b, near.many, near.freedom, seed) @ ((sums - mean * counts) / total)
    uneven = deviations[deviations[:, 0] != 0]  # of tensors that are heard whole nothing is left
    if len(uneven):
        g = torch.Generator().manual_seed(seed + 1)
        drawn += torch.randn(MANY, len(uneven), generator=g, dtype=mean.dtype) @ (uneven / total)
    return Replicates(torch.cat([mean[None], drawn]), level, near.freedom)


@lru_cache(maxsize=16)
def luck(b: int, h: int, nu: int, seed: int) -> Tensor:
    """sqrt(nu / chi^2_nu) eta sqrt(B / (B - h)) of all stretches, [MANY, B]."""
    g = torch.Generator().manual_seed(seed)
    eta = torch.randn(MANY, b + h - 1, generator=g, dtype=torch.float64).unfold(1, h, 1).sum(2) / math.sqrt(h)
    chi = torch.randn(MANY, nu, generator=g, dtype=torch.float64).square().mean(1, keepdim=True)
    return eta / chi.sqrt() * math.sqrt(b / (b - h))


def deviations(runs: Tensor, owner: Tensor, share: Tensor) -> Tensor:
    """How far each run's sums lie from the mean of its tensor's runs, so that sum_r xi_r d_r has their sum's variance.

        d_r = (y_r - mean y) sqrt(n / (n - 1) (1 - share)),    share: how much of the tensor is heard

    runs [R, C], owner [R], share [T]; of tensors that are heard whole nothing is left.
    """
    t = len(share)
    n = torch.zeros(t, dtype=runs.dtype).index_add_(0, owner, torch.ones(len(owner), dtype=runs.dtype))
    mean = torch.zeros(t, runs.shape[1], dtype=runs.dtype).index_add_(0, owner, runs) / n.clamp(min=1)[:, None]
    scale = (n / (n - 1).clamp(min=1) * (1 - share).clamp(min=0)).sqrt()
    return (runs - mean[owner]) * scale[owner][:, None]
