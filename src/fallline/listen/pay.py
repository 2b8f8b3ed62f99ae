"""Pay: what momentum earns, as a function of beta, from the autocorrelation."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from ..theory.stability import regret_limit
from .column import BETAS
from .estimate import Estimate, Pay
from .replicate import Replicates
from .signal import Lags, peak

DEPTH = torch.linspace(0, 2.3, 70, dtype=torch.float64)  # beta = 1 - 10^-depth: 0 ... .995
GRID = 1 - 10**-DEPTH
TRIED = torch.tensor(BETAS, dtype=torch.float64)  # for the sign metric
MOST = 0.9999  # momentum of which pay is told
TAIL = 0.1  # standard deviation of the logarithm of what the fit says of lags that were not heard: few fall like it
TINY = 1e-300


def pays(r: Tensor, b: Tensor, rho: Tensor, beta: Tensor) -> Tensor:
    """sqrt(1 - beta^2) (sum_{k <= L} beta^k r_k + b (beta rho)^{L + 1} / (1 - beta rho)): [..., L + 1] -> [..., betas].

    The fit b rho^k, [...], stands for the lags that were not heard.

    >>> pays(torch.tensor([2.0, 1.0]).double(), *torch.tensor([2.0, 0.5]).double(), torch.tensor([0.0, 0.6]).double())
    tensor([2.0000, 2.2857], dtype=torch.float64)
    """
    k = torch.arange(r.shape[-1], dtype=r.dtype)
    last = (b * rho ** r.shape[-1])[..., None] * beta ** r.shape[-1]
    beyond = last / (1 - beta * rho[..., None])
    return (1 - beta.square()).sqrt() * (r @ (beta ** k[:, None]) + beyond)


def linear(reps: Replicates, lags: Lags, head: Tensor, beta: float | None) -> Pay:
    """Of a metric in which the direction is linear in the gradients: Euclid and diagonal. head: r_0 without noise."""
    at = torch.tensor([0.0 if beta is None else min(beta, MOST)], dtype=torch.float64)
    betas = torch.cat([GRID, at])
    same = pays(lags.r, lags.b * _doubt(len(lags.b)), lags.rho, betas)
    clean = same + (1 - betas.square()).sqrt() * (head - lags.r[:, 0])[:, None]  # only lag 0 differs
    return told(reps, GRID, same, clean, float(lags.r[0, 0]), beta, _limit(reps, lags, same))


def _doubt(rows: int) -> Tensor:
    """How many times what the fit says of lags that were not heard each replicate has of them, [1 + MANY]."""
    luck = torch.randn(rows, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return torch.cat([luck.new_ones(1), (TAIL * luck[1:]).exp()])


def sign(reps: Replicates, same: slice, held: slice, beta: float | None) -> Pay:
    """Of the sign metric, from what the signs of a few momenta earned; between them pay is a straight line."""
    at = 0.0 if beta is None else min(beta, BETAS[-1])
    right = next(i for i in range(1, len(BETAS)) if BETAS[i] >= at)
    share = (at - BETAS[right - 1]) / (BETAS[right] - BETAS[right - 1])

    def paid(columns: slice) -> Tensor:
        y = reps.rows[:, columns]
        return torch.cat([y, (1 - share) * y[:, right - 1, None] + share * y[:, right, None]], 1)

    return told(reps, TRIED, paid(same), paid(held), float(reps.mean[same][0]), beta, None)


def told(
    reps: Replicates, betas: Tensor, same: Tensor, clean: Tensor, one: float, beta: float | None, limit: float | None
) -> Pay:
    """From pay at all betas and, in the last column, at the momentum in use: [1 + MANY, betas + 1]."""
    depth = -(1 - betas).log10()
    bests = [reps.told(1 - 10 ** -peak(depth, y[:, :-1])) for y in (same, clean)]
    margins = [margin(reps, y[:, :-1], y[:, -1]) if beta is not None else None for y in (same, clean)]
    curves = [reps.curve(betas, y[:, :-1] / (one or TINY)) for y in (same, clean)]
    return Pay(curves[0], curves[1], bests[0], bests[1], margins[0], margins[1], limit)


def margin(reps: Replicates, pay: Tensor, now: Tensor) -> Estimate:
    """How much more the best momentum of the means earns than the one in use, as a share of what that earns.

    The low end has the best of the means in all replicates, for a maximum of noisy numbers would always lead; the high
    end has the best of each, for another one may be the best in truth, even where the means favour the one in use.
    Infinite where the momentum in use earns nothing, or less, and the best one more than that.
    """

    def over(best: Tensor) -> Estimate:
        none = torch.where(best > now, math.inf, 0.0)
        return reps.told(torch.where(now > 0, best / now.clamp(min=TINY) - 1, none))

    return replace(over(pay[:, int(pay[0].argmax())]), high=over(pay.amax(1)).high)


def _limit(reps: Replicates, lags: Lags, same: Tensor) -> float:
    """2 |r - r*| over the best pay, at the level of the intervals: filters of unit energy meet r in the l2 norm."""
    distance = (lags.r[1:] - lags.r[0]).square().sum(-1).sqrt().quantile(reps.level)
    return regret_limit(1.0, float(distance)) / max(float(same[0].max()), TINY)
