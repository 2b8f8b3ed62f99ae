"""Replicate: what the sums might have been, had other steps and other coordinates been heard."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from .estimate import Curve, Estimate

MANY = 400  # replicates
LEAST = 4  # stretches; with fewer nothing is known of how they vary


class Replicates(NamedTuple):
    """Means per step of C columns [C], and replicates of them [MANY, C]; `level` of intervals."""

    mean: Tensor
    drawn: Tensor
    level: float

    def estimate(self, f: Callable[[Tensor], Tensor]) -> Estimate:
        """f of the means: [..., C] -> [...]; its interval from f of the replicates."""
        value, low, high = self._bars(f)
        return Estimate(float(value), float(low), float(high), self.level)

    def curve(self, x: Tensor, f: Callable[[Tensor], Tensor]) -> Curve:
        """The same of a function at the points x: [..., C] -> [..., points]."""
        value, low, high = self._bars(f)
        return Curve(tuple(x.tolist()), tuple(value.tolist()), tuple(low.tolist()), tuple(high.tolist()), self.level)

    def _bars(self, f: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        value, drawn = f(self.mean), f(self.drawn)
        lost = drawn.isnan().any(0)
        low, high = (_quantile(drawn.where(~drawn.isnan(), math.inf), (1 + side * self.level) / 2) for side in (-1, 1))
        return value, torch.where(lost, -math.inf, low), torch.where(lost, math.inf, high)


def _quantile(x: Tensor, q: float) -> Tensor:
    """Of rows, with the nearest rank, so that infinity stays what it is."""
    rank = min(max(round(q * (len(x) - 1)), 0), len(x) - 1)
    return x.sort(0).values[rank]


def replicates(sums: Tensor, counts: Tensor, deviations: Tensor, level: float, seed: int = 0) -> Replicates:
    """A multiplier bootstrap over stretches of steps and over runs of coordinates.

        mean = sum_b s_b / sum_b c_b,   e_b = (s_b - mean c_b) / sum c sqrt(B / (B - h)),   d_r = deviation_r / sum c
        mean* = mean + sqrt(nu / chi^2_nu) sum_b eta_b e_b + sum_r xi_r d_r,    nu = floor(3 B / (2 h))

    xi are normal; eta_b = (xi_b + ... + xi_{b+h-1}) / sqrt h, h = 4 (3 where B < 12, 2 where B < 8), lets neighbours
    vary together (Shao 2010, dependent wild bootstrap), and chi^2 makes of the normal law Student's, with the degrees
    of freedom of a triangular spectral window. sums, counts [B, C]; deviations [R, C], of a run's sum
    from those of its tensor. Fewer than four stretches: all replicates are NaN, the intervals infinite.
    """
    g = torch.Generator().manual_seed(seed)
    total, b = counts.sum(0), len(sums)
    mean = sums.sum(0) / total
    if b < LEAST:
        return Replicates(mean, mean.new_full((MANY, len(mean)), math.nan), level)
    h = 4 if b >= 12 else 3 if b >= 8 else 2
    e = (sums - mean * counts) / total * math.sqrt(b / (b - h))
    eta = torch.randn(MANY, b + h - 1, generator=g, dtype=e.dtype).unfold(1, h, 1).sum(2) / math.sqrt(h)
    chi = torch.randn(MANY, 3 * b // (2 * h), generator=g, dtype=e.dtype).square().mean(1, keepdim=True)
    drawn = mean + (eta / chi.sqrt()) @ e
    if len(deviations):
        drawn += torch.randn(MANY, len(deviations), generator=g, dtype=e.dtype) @ (deviations / total)
    return Replicates(mean, drawn, level)


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
