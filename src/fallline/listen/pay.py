"""Pay: what momentum earns, as a function of beta, from the autocorrelation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..theory.stability import regret_limit
from .column import BETAS
from .estimate import Estimate, Pay
from .replicate import Replicates
from .signal import peak

DEPTH = torch.linspace(0, 2.3, 70, dtype=torch.float64)  # beta = 1 - 10^-depth: 0 ... .995
GRID = 1 - 10**-DEPTH
TINY = 1e-300

Lags = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]  # columns -> r [..., lags + 1], b and rho of what lies beyond


def pays(r: Tensor, b: Tensor, rho: Tensor, beta: Tensor) -> Tensor:
    """sqrt(1 - beta^2) (sum_{k <= L} beta^k r_k + b (beta rho)^{L + 1} / (1 - beta rho)): [..., L + 1] -> [..., betas].

    The fit b rho^k stands for the lags that were not heard.

    >>> pays(torch.tensor([2.0, 1.0]).double(), *torch.tensor([2.0, 0.5]).double(), torch.tensor([0.0, 0.6]).double())
    tensor([2.0000, 2.2857], dtype=torch.float64)
    """
    k = torch.arange(r.shape[-1], dtype=r.dtype)
    pole = beta * rho[..., None]
    beyond = b[..., None] * pole ** r.shape[-1] / (1 - pole)
    return (1 - beta.square()).sqrt() * (r @ (beta ** k[:, None]) + beyond)


def linear(reps: Replicates, same: Lags, clean: Lags, beta: float | None) -> Pay:
    """Of a metric in which the direction is linear in the gradients: Euclid and diagonal."""

    def paid(lags: Lags, betas: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda x: pays(*lags(x), betas)

    one = reps.estimate(lambda x: same(x)[0][..., 0]).value or TINY
    return Pay(
        same=reps.curve(GRID, lambda x: paid(same, GRID)(x) / one),
        clean=reps.curve(GRID, lambda x: paid(clean, GRID)(x) / one),
        best=reps.estimate(lambda x: 1 - 10 ** -peak(DEPTH, paid(same, GRID)(x))),
        best_clean=reps.estimate(lambda x: 1 - 10 ** -peak(DEPTH, paid(clean, GRID)(x))),
        margin=_margin(reps, paid(same, GRID), paid(same, _at(beta)), beta),
        margin_clean=_margin(reps, paid(clean, GRID), paid(clean, _at(beta)), beta),
        limit=_limit(reps, same),
    )


def sign(reps: Replicates, same: slice, held: slice, beta: float | None) -> Pay:
    """Of the sign metric, from what the signs of a few momenta earned."""
    betas = torch.tensor(BETAS, dtype=torch.float64)
    depth = -(1 - betas).log10()
    at = torch.full((1,), 0.0 if beta is None else min(beta, BETAS[-1]), dtype=torch.float64)
    one = float(reps.mean[same][0]) or TINY

    def paid(columns: slice) -> Callable[[Tensor], Tensor]:
        return lambda x: x[..., columns] / one

    def now(columns: slice) -> Callable[[Tensor], Tensor]:
        right = int(torch.searchsorted(betas, at).clamp(1, len(betas) - 1))
        share = float((at - betas[right - 1]) / (betas[right] - betas[right - 1]))
        return lambda x: paid(columns)(x)[..., right - 1 : right + 1] @ betas.new_tensor([[1 - share], [share]])

    return Pay(
        same=reps.curve(betas, paid(same)),
        clean=reps.curve(betas, paid(held)),
        best=reps.estimate(lambda x: 1 - 10 ** -peak(depth, paid(same)(x))),
        best_clean=reps.estimate(lambda x: 1 - 10 ** -peak(depth, paid(held)(x))),
        margin=_margin(reps, paid(same), now(same), beta),
        margin_clean=_margin(reps, paid(held), now(held), beta),
        limit=None,
    )


def _margin(
    reps: Replicates, everywhere: Callable[[Tensor], Tensor], now: Callable[[Tensor], Tensor], beta: float | None
) -> Estimate | None:
    """How much more the best momentum of the means earns than the one in use, as a share of what that earns.

    The best is held fixed in the replicates: a maximum of noisy numbers would always lead.
    """
    if beta is None:
        return None
    best = int(everywhere(reps.mean).argmax())
    return reps.estimate(lambda x: everywhere(x)[..., best] / now(x)[..., 0].clamp(min=TINY) - 1)


def _limit(reps: Replicates, lags: Lags) -> float:
    """2 |r - r*| over the best pay, at the level of the intervals: filters of unit energy meet r in the l2 norm."""
    r, drawn = lags(reps.mean), lags(reps.drawn)
    distance = (drawn[0] - r[0]).square().sum(-1).sqrt().quantile(reps.level)
    return regret_limit(1.0, float(distance)) / max(float(pays(*r, GRID).max()), TINY)


def _at(beta: float | None) -> Tensor:
    return torch.tensor([0.0 if beta is None else min(beta, 0.9999)], dtype=torch.float64)
