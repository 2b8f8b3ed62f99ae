"""What wrong statistics cost a stateless optimizer: the support is Lipschitz, and the regret at most twice as large.

    |support(S) - support(S')| <= radius ||S - S'||_2,        radius = max { tr Q : Q in K } = support(I)
    regret = support(S) - tr(Q*(S') S)  <= 2 radius ||S - S'||_2

||.||_2, the largest |eigenvalue|, is the dual of the trace norm that the radius is measured in; on PSD operators the
trace norm is tr Q, so every region's radius is its own support at I. Proof: |tr(Q (S - S'))| <= tr Q ||S - S'||_2 for
every Q of K, and a maximum of functions moves no more than the functions; the regret pays it once for S -> S' and once
for S' -> S. Source: arXiv 2512.06370v3 has such a bound (its wording is not public); our derivation.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .region import Region, eigen, pairing


def radius(region: Region, n: int) -> Tensor:
    """max tr Q over the region's operators on n coordinates, inf for an unbounded one.

    >>> from fallline.theory import Spectral
    >>> radius(Spectral(lam=1.0, tau=2.5), 4).item()
    2.5
    """
    return region.support(torch.eye(n, dtype=torch.float64))


def distance(S: Tensor, other: Tensor) -> Tensor:
    """||S - S'||_2."""
    return eigen(S - other)[0].abs().amax()


def shift_bound(region: Region, S: Tensor, other: Tensor) -> Tensor:
    """radius ||S - S'||_2, the most that the learning power can move. Attained by S' = S + t I where Q* has radius."""
    return radius(region, len(S)) * distance(S, other)


def regret(region: Region, S: Tensor, other: Tensor) -> Tensor:
    """support(S) - tr(Q*(S') S): what is lost by choosing with S' while S is true."""
    return region.support(S) - pairing(region.optimum(other), S)


def regret_bound(region: Region, S: Tensor, other: Tensor) -> Tensor:
    """2 radius ||S - S'||_2."""
    return 2 * shift_bound(region, S, other)


def spread_bound(region: Region, S: Tensor, other: Tensor) -> Tensor:
    """radius (e_max - e_min) for the eigenvalues e of S - S' and 0: at most the regret bound, and as low as half of it.

    support(S) - support(S') <= radius e_max and tr(Q*(S') (S' - S)) <= -radius e_min: Q is PSD, so each side of the
    error is paid once.
    """
    e, _ = eigen(S - other)
    return radius(region, len(S)) * (e[-1].clamp_min(0) - e[0].clamp_max(0))
