"""Signal: what of a gradient's power lasts longer than its own batch."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .neighbour import Memory
from .replicate import Replicates

_FAR = 1 - 10 ** torch.linspace(-3, -0.1549, 80, dtype=torch.float64).flip(0)  # .3 ... .999
_NEAR = -torch.linspace(0.3, 0.95, 27, dtype=torch.float64).flip(0)
PERSISTENCES = torch.cat([_NEAR, _FAR])  # below .3 lags say next to nothing of lag 0
TINY = 1e-300
FAR, BETA = 5.0, 0.999  # of a buffer: how many times what it remembers is summed up, for momenta up to this one


class Lags(NamedTuple):
    """r [1 + MANY, lags + 1] of a metric, and the fit b rho^k of lags >= 1, [1 + MANY] each."""

    r: Tensor
    b: Tensor
    rho: Tensor


def lags(reps: Replicates, at: slice, counts: Tensor) -> Lags:
    """Of all replicates; of lags longer than the run r = 0. counts [C]: of how many pairs of steps each is a mean.

    Lags weigh as many pairs as they have. Weights of 1 / variance would favour those whose variance, known from a
    dozen stretches, has come out too small by chance: the fit varies more, and its intervals are too short.
    """
    r = reps.rows[:, at].nan_to_num()
    return Lags(r, *fit(r, counts[at][1:] / counts[at][1:].mean().clamp(min=1)))


def fit(r: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """b and rho of r_k = b rho^k at lags k >= 1, least squares: r [..., lags + 1], weight [lags] -> [...], [...].

        b(rho) = <r, rho^k>_w / |rho^k|_w^2,    rho maximises <r, rho^k>_w^2 / |rho^k|_w^2

    b may come out below 0 or above r_0, where no power can lie: who tells of it cuts the interval there, not the
    replicates. What falls in two time scales is extrapolated by one.

    >>> from fallline.theory import noisy
    >>> b, rho = fit(noisy(1.0, 0.5, 0.9, 33), torch.ones(32))
    >>> round(float(b), 3), round(float(rho), 3)
    (0.5, 0.9)
    """
    basis = powers(PERSISTENCES, r.shape[-1] - 1)  # [P, lags]
    norm = (basis.square() * weight).sum(1)
    b = (r[..., 1:] * weight) @ basis.T / norm
    won = b.square() * norm  # of either sign: the best of many positive ones would be found in noise, too
    rho = _peak(PERSISTENCES, won)
    fine = powers(rho, r.shape[-1] - 1)
    b = (r[..., 1:] * weight * fine).sum(-1) / (fine.square() * weight).sum(-1).clamp(min=TINY)
    return b, rho


def powers(rho: Tensor, lags: int) -> Tensor:
    """rho^k of lags k = 1 ... L, [...] -> [..., L]; products are far cheaper than powers."""
    return rho[..., None].expand(*rho.shape, lags).cumprod(-1)


def memory(r: Tensor, m: Tensor | None = None) -> Memory:
    """How long products of normal numbers remember theirs, in steps: with c_k = r_k m_k / (r_0 m_0), and fits beyond L,

        1 + 2 sum_k c_k,    sum_k k c_k / (1/2 + sum_k c_k)

    The first is in how many steps there is one's worth of news; the second, how far what is remembered lies back. r
    and m: autocorrelations of the factors, [L + 1] each; of gradients with gradients m is r.

    >>> from fallline.theory import noisy
    >>> ["%.2f %.2f" % memory(noisy(1.0, b, 0.9, 33)) for b in (0.0, 1.0)]
    ['1.00 0.00', '3.13 3.58']
    """
    pair = [x.nan_to_num() for x in (r, r if m is None else m)]
    (b, rho), (d, sigma) = (fit(x, torch.ones_like(x[1:])) for x in pair)
    (c, one), length = ((x[1:] / x[0].clamp(min=TINY)).clamp(-1, 1) for x in pair), len(r)  # no lag is above lag 0
    c, k, q = c * one, torch.arange(1, length, dtype=r.dtype), rho * sigma
    ends = (b * rho**length, d * sigma**length)
    last, lost = ((x / y[0].clamp(min=TINY)).clamp(-1, 1) for x, y in zip(ends, pair, strict=True))
    last = last * lost
    total = c.sum() + last / (1 - q)
    ages = (k * c).sum() + last * (length / (1 - q) + q / (1 - q).square())
    return Memory(float(1 + 2 * total), float(ages / (0.5 + total)))


def buffered(r: Tensor, beta: float) -> Tensor:
    """The autocorrelation, at the same lags and but for a factor, of sum_j beta^j g_{n-j}: sum_j beta^|j| r_{k-j}.

    >>> from fallline.theory import noisy
    >>> [round(float(x), 3) for x in buffered(noisy(1.0, 0.0, 0.0, 5), 0.5)]
    [1.0, 0.5, 0.25, 0.125, 0.062]
    """
    if not beta:
        return r
    r, far = r.nan_to_num(), math.ceil(FAR / (1 - min(beta, BETA)))
    b, rho = fit(r, torch.ones_like(r[1:]))
    known, k = torch.cat([r, b * powers(rho, len(r) + far)[len(r) - 1 :]]), torch.arange(far + 1)
    taps = torch.cat([beta ** k[1:].flip(0).to(r.dtype), beta ** k.to(r.dtype)])
    both = torch.cat([known[1 : far + 1].flip(0), known])  # lags -far ... L + far
    return nn.functional.conv1d(both[None, None], taps[None, None])[0, 0, : len(r)]


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
