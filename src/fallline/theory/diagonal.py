"""Operators that scale coordinates: the family of AdaGrad, RMSprop, Adam and sign descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from .region import ROUNDING, Projecting, ratio, within


@final
@dataclass(frozen=True, eq=False)
class Diagonal(Projecting):
    """One learning rate per coordinate, at a cost.

        K = { diag(q) : q >= 0, sum_j c_j q_j^2 <= B },    support(S) = sqrt(B sum_j S_jj^2 / c_j),    q_j ~ S_jj / c_j

    c: [n], positive; 0 is allowed where S_jj = 0. See `costs` for those that give back known optimizers.
    Source: arXiv 2512.06370, Corollary 2 (wording not public; our derivation: Cauchy-Schwarz).

    >>> S = torch.diag(torch.tensor([4.0, 1.0])).double()
    >>> Diagonal(costs(S, 0.5), B=3.0).optimum(S).diagonal().tolist()  # 1 / sqrt(S_jj): AdaGrad
    [0.5, 1.0]
    """

    c: Tensor
    B: float = 1.0

    def gauge(self, Q: Tensor) -> Tensor:
        """sqrt(sum_j c_j q_j^2 / B); inf off the diagonal."""
        t = (self.c * Q.diagonal() ** 2).sum().div(self.B).sqrt()
        aside = (Q - Q.diagonal().diag_embed()).abs().amax() > ROUNDING * Q.abs().amax()
        return torch.full_like(t, torch.inf) if aside else within(Q, t)

    def support(self, S: Tensor) -> Tensor:
        """sqrt(B) times the length of (S_jj)_+ / sqrt(c_j)."""
        return self.B**0.5 * ratio(S.diagonal().clamp_min(0), self.c.sqrt()).norm()

    def polar_gauge(self, S: Tensor) -> Tensor:
        """min over mu > 0 of mu B + sum_j (S_jj)_+^2 / (4 mu c_j), Lagrange's bound, at its best mu."""
        s = S.diagonal().clamp_min(0)
        worth = ratio(s * s, self.c).sum()
        mu = (worth / self.B).sqrt() / 2
        return mu * self.B + ratio(worth, 4 * mu)

    def optimum(self, S: Tensor) -> Tensor:
        """q_j = sqrt(B) (S_jj)_+ / c_j, over the length of (S_jj)_+ / sqrt(c_j)."""
        s = S.diagonal().clamp_min(0)
        return torch.diag(self.B**0.5 * ratio(ratio(s, self.c), ratio(s, self.c.sqrt()).norm()))

    def project(self, Q: Tensor) -> Tensor:
        """q_j / (1 + mu c_j) for the least mu >= 0 that keeps the budget: Newton from the left never overshoots."""
        q, mu = Q.diagonal().clamp_min(0), torch.zeros((), dtype=torch.float64)
        for _ in range(60):
            x = q / (1 + mu * self.c)
            excess = (self.c * x**2).sum() - self.B
            if excess <= 1e-14 * self.B:
                break
            mu = mu + excess / (2 * self.c**2 * x**2 / (1 + mu * self.c)).sum()
        return torch.diag(x)


def costs(S: Tensor, r: float = 0.5) -> Tensor:
    """Costs under which the best diagonal operator is S_jj^-r: c_j = S_jj^(1 + r).

    Because q_j ~ S_jj / c_j, every stateless diagonal optimizer q_j = S_jj^-r is optimal for these costs and no others
    (up to a factor). With S_jj the gradient's second moment of coordinate j:

    - r = 0:   c_j = S_jj, the data region on the diagonal: q = const, SGD.
    - r = 1/2: c_j = S_jj^(3/2): q_j = 1 / sqrt(S_jj). S_jj summed over steps: AdaGrad. Averaged (beta2): RMSprop, which
      is Adam with beta1 = 0. Of this gradient alone, S = g g^T: q_j g_j = g_j / |g_j|, sign descent.
    - r = 1:   c_j = S_jj^2: q_j = 1 / S_jj, the inverse diagonal of the empirical Fisher matrix.

    So a cost is a choice, and any optimizer of this form is optimal for *some* cost: the theorem says which one it is
    that an optimizer minimises, not that it is a good one. Source: our derivation (the paper's costs are not public).
    """
    return S.diagonal().double() ** (1 + r)
