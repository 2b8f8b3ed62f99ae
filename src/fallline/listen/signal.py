"""Signal: what of a gradient's power lasts longer than its own batch."""

from __future__ import annotations

import torch
from torch import Tensor

_FAR = 1 - 10 ** torch.linspace(-3, -0.1549, 80, dtype=torch.float64).flip(0)  # .3 ... .999
_NEAR = -torch.linspace(0.3, 0.95, 27, dtype=torch.float64).flip(0)
PERSISTENCES = torch.cat([_NEAR, _FAR])  # below .3 lags say next to nothing of lag 0
TINY = 1e-300


def fit(r: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """b and rho of r_k = b rho^k at lags k >= 1, least squares: r [..., lags + 1], weight [lags] -> [...], [...].

        b(rho) = <r, rho^k>_w / |rho^k|_w^2,    rho maximises <r, rho^k>_w^2 / |rho^k|_w^2

    0 <= b <= r_0: a signal's power is no more than all power. What falls in two time scales is extrapolated by one.

    >>> from fallline.theory import noisy
    >>> b, rho = fit(noisy(1.0, 0.5, 0.9, 33), torch.ones(32))
    >>> round(float(b), 3), round(float(rho), 3)
    (0.5, 0.9)
    """
    k = torch.arange(1, r.shape[-1], dtype=r.dtype)
    basis = PERSISTENCES[:, None] ** k  # [P, lags]
    norm = (basis.square() * weight).sum(1)
    b = (r[..., 1:] * weight) @ basis.T / norm
    won = b.square() * norm  # of either sign: the best of many positive ones would be found in noise, too
    rho = _peak(PERSISTENCES, won)
    fine = rho[..., None] ** k
    b = (r[..., 1:] * weight * fine).sum(-1) / (fine.square() * weight).sum(-1).clamp(min=TINY)
    return torch.minimum(b.clamp(min=0), r[..., 0]), rho


def weights(drawn: Tensor) -> Tensor:
    """1 / variance of each lag >= 1 over replicates [M, lags + 1], of mean 1; 0 where nothing is known."""
    variance = drawn[:, 1:].var(0).nan_to_num()
    w = torch.where(variance > 0, 1 / variance, 0.0)
    return w / w.mean() if bool((w > 0).any()) else torch.ones_like(w)


def _peak(x: Tensor, y: Tensor) -> Tensor:
    """Where y [..., P] is largest on the grid x [P], between the points by a parabola through three."""
    i = y.argmax(-1).clamp(1, len(x) - 2)
    left, mid, right = (y.gather(-1, (i + d)[..., None])[..., 0] for d in (-1, 0, 1))
    bend = 2 * mid - left - right
    shift = torch.where(bend > 0, (right - left) / (2 * bend.clamp(min=TINY)), torch.sign(right - left))
    shift = shift.clamp(-1, 1)
    return x[i] + torch.where(shift > 0, shift * (x[i + 1] - x[i]), shift * (x[i] - x[i - 1]))


def peak(x: Tensor, y: Tensor) -> Tensor:
    """The place of the largest y, [..., points] -> [...]; at an end where y is largest there."""
    inner, i = _peak(x, y), y.argmax(-1)
    return torch.where(i == 0, x[0], torch.where(i == len(x) - 1, x[-1], inner))
