"""How wrong a choice can be when the statistics are: the support is Lipschitz, and K candidates need n samples.

The abstract of arXiv 2512.06370 (v3) says that a stability bound holds under perturbed statistics; its wording is not
public, and what follows is our derivation. Bounds on probability are textbook (Hoeffding, Bernstein, Cantelli) with a
union over the losers.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def support_limit(radius: float, distance: float) -> float:
    """|support(R) - support(R')| <= radius |R - R'|_dual.

    radius: the largest norm of a member of the family, in the norm whose dual measures R - R'. Proof: support(R) =
    <Q*, R> = <Q*, R'> + <Q*, R - R'> <= support(R') + |Q*| |R - R'|_dual, and the same with R and R' exchanged.
    """
    return radius * distance


def regret_limit(radius: float, distance: float) -> float:
    """support(R) - <Q', R> <= 2 radius |R - R'|_dual, for Q' the optimum at the wrong statistics R'.

    Proof: <Q* - Q', R> <= <Q* - Q', R - R'>, since Q' is best at R'; and |Q* - Q'| <= 2 radius. Tight in general.
    """
    return 2 * radius * distance


def round_limit(radius: float, distance: float, size: float) -> float:
    """In the ball of an inner product the regret is of second order: <= radius |R - R'|^2 / |R|, where size = |R|.

    Proof: it is radius |R| (1 - cos t), t the angle of R and R'; up to 90 degrees 1 - cos t <= sin^2 t, and |R| sin t
    is the distance of R from the ray of R'. Beyond, |R - R'| >= |R| and the regret is at most 2 radius |R|: hence the
    smaller of the two bounds, once |R - R'| is as large as |R|, is `regret_limit`.
    """
    return min(regret_limit(radius, distance), radius * distance**2 / size if distance < size else math.inf)


def gaps(x: Tensor) -> tuple[Tensor, Tensor]:
    """Of samples of K pays [n, K]: how far the best mean leads each other one, and the variance of that difference.

        Delta_k = mean(x_best - x_k),    s_k^2 = var(x_best - x_k);    both [K], 0 for the best

    Pays of one step share their noise, so that differences vary less than the pays themselves.
    """
    lead = x.gather(1, x.mean(0).argmax().expand(len(x), 1)) - x
    return lead.mean(0), lead.var(0)


def gaussian(delta: Tensor, s: Tensor, n: float) -> float:
    """P(wrong) <= sum over losers of exp(-n Delta_k^2 / (2 s_k^2)): sub-Gaussian differences, s_k their scale; or 1.

    delta, s: [losers]. Hoeffding's bound is this with s_k = half the length of the interval they lie in.
    """
    return _union(torch.exp(-n * delta**2 / (2 * s**2)))


def bernstein(delta: Tensor, s: Tensor, M: float, n: float) -> float:
    """P(wrong) <= sum of exp(-n Delta_k^2 / (2 s_k^2 + 2 M Delta_k / 3)): differences within M of their mean; or 1."""
    return _union(torch.exp(-n * delta**2 / (2 * s**2 + 2 * M * delta / 3)))


def cantelli(delta: Tensor, s: Tensor, n: float) -> float:
    """P(wrong) <= sum of s_k^2 / (s_k^2 + n Delta_k^2): whatever the distribution, only its variance; or 1.

    >>> cantelli(torch.tensor([1.0]), torch.tensor([1.0]), 9)
    0.1
    """
    return _union(s**2 / (s**2 + n * delta**2))


def samples(delta: Tensor, s: Tensor, risk: float = 0.05) -> int:
    """Steps that the sub-Gaussian bound asks for: n = 2 max(s_k^2 / Delta_k^2) ln(losers / risk), rounded up.

    Enough for the union, since each loser then has at most risk / losers.
    """
    worst = float((s**2 / delta**2).max())
    return math.ceil(2 * worst * math.log(len(delta) / risk))


def effective(n: float, decay: float) -> float:
    """How many plain samples an exponential average of n independent ones is worth: (sum of taps)^2 / (sum of squares).

        (1 - s^n)(1 + s) / ((1 + s^n)(1 - s))    ->    n for s -> 0 ... n = 1;   (1 + s)/(1 - s) for n -> infinity

    >>> round(effective(1000, 0.9), 6)
    19.0
    """
    return (1 - decay**n) * (1 + decay) / ((1 + decay**n) * (1 - decay))


def correlated(n: float, rho: Tensor) -> float:
    """How many independent samples n correlated ones are worth, rho [lags >= 1] their autocorrelations.

    n / (1 + 2 sum_k (1 - k / n) rho_k)      exactly the ratio of the variances of the mean
    """
    k = torch.arange(1, len(rho) + 1, dtype=torch.float64)
    return n / float(1 + 2 * ((1 - k / n).clamp(min=0) * rho).sum())


def agreement(led: float, n: float, k: int, decay: float = 0.0, hysteresis: int = 1) -> float:
    """Could a lead of votes be luck? Of n steps the chosen of k candidates won led more than the next one.

        P(lead >= led | a tie) <= (k - 1) exp(-m (led / n)^2 / 2),    m = n (1 - decay) / (1 + decay) / (2^{h + 1} - 3)

    Hoeffding for votes in {-1, 0, 1} of mean zero, for an advantage named beforehand; k - 1 covers the rivals. Votes by
    an average of decay s are correlated; m treats them as n (1 - s) / (1 + s) independent ones, which is right for
    the average itself and (arcsine law) cautious for its sign. With hysteresis h a tied challenger wins with chance
    1 / (2^{h + 1} - 2) a step, and a chain that turns with chance p remembers like (1 - p) / p samples. Both are
    estimates, no theorems: `tests/theory/test_stability.py` simulates them. The same
    formula, in `fallline.core.evidence`, finds the report's word.

    >>> round(agreement(30, 30, 2), 8), round(agreement(10, 30, 2), 2)
    (3.1e-07, 0.19)
    """
    m = n * (1 - decay) / (1 + decay) / (2 ** (hysteresis + 1) - 3)
    return min(1.0, (k - 1) * math.exp(-m * (led / n) ** 2 / 2))


def _union(chances: Tensor) -> float:
    return min(1.0, float(chances.double().sum()))
