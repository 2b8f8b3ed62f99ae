"""The capped spectral region: water-filling over eigenvectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from .region import TINY, Projecting, composed, eigen, turned, within


@final
@dataclass(frozen=True)
class Spectral(Projecting):
    """No direction may have more than lam, and all together no more than tau.

        K = { 0 <= Q <= lam I, tr Q <= tau },    support(S) = sum_i q_i s_i,    Q* = U diag(q) U^T

    q fills the eigenvectors of S = U diag(s) U^T from the largest s down, lam each, until tau is used up. Equal
    eigenvalues share what is left (any split is optimal; this one turns with S), and s <= 0 gets nothing.
    Source: arXiv 2512.06370, Corollary 2 (wording not public; our derivation: a linear program over eigenvalues).

    >>> Spectral(lam=1.0, tau=1.5).optimum(torch.diag(torch.tensor([3.0, 2.0, 1.0])).double()).diagonal().tolist()
    [1.0, 0.5, 0.0]
    """

    lam: float = 1.0
    tau: float = torch.inf

    def gauge(self, Q: Tensor) -> Tensor:
        """max(largest eigenvalue / lam, trace / tau)."""
        return within(Q, torch.maximum(eigen(Q)[0][-1] / self.lam, Q.double().trace() / self.tau).clamp_min(0))

    def support(self, S: Tensor) -> Tensor:
        """sum of s_i over the filled eigenvectors, the last one in part."""
        s = eigen(S)[0].flip(0).clamp_min(0)
        return (self._room(torch.arange(len(s), dtype=s.dtype)) * s).sum()

    def polar_gauge(self, S: Tensor) -> Tensor:
        """min { lam tr Y + tau z : Y + z I >= S, Y >= 0, z >= 0 }: for z at 0 or an eigenvalue, Y = (S - z I)_+."""
        s = eigen(S)[0].clamp_min(0)
        z = torch.cat([s.new_zeros(1), s])
        price = torch.where(z > 0, self.tau * z, 0.0) + self.lam * (s - z[:, None]).clamp_min(0).sum(1)
        return price.min()

    def optimum(self, S: Tensor) -> Tensor:
        """Water-filling."""
        s, U = eigen(S)
        tie = (s - s[:, None]).abs() <= len(s) * TINY * s.abs().amax()  # row i: who is level with i
        above = ((s > s[:, None]) & ~tie).sum(1)
        level = tie.sum(1)
        last = self._room(above.to(s.dtype), level.to(s.dtype))
        return composed(torch.where(s > 0, last / level, 0.0), U)

    def project(self, Q: Tensor) -> Tensor:
        """Eigenvalues clamp(s - z, 0, lam) for the least z >= 0 that keeps the trace."""
        return turned(Q, lambda s: (s - self._water(s)).clamp(0, self.lam))

    def _room(self, above: Tensor, level: Tensor | float = 1.0) -> Tensor:
        """What `level` directions get when `above` others were filled before them."""
        return torch.minimum(self.lam * torch.as_tensor(level), (self.tau - self.lam * above).clamp_min(0))

    def _water(self, s: Tensor) -> Tensor:
        """z >= 0 with sum clamp(s - z, 0, lam) = tau, on the line between two corners; 0 if nothing spills over."""
        z = torch.cat([s.new_zeros(1), s, s - self.lam]).clamp_min(0).sort().values
        used = (s - z[:, None]).clamp(0, self.lam).sum(1)
        k = int((used > self.tau).sum())
        if k == 0:
            return z[0]
        return z[k - 1] + (used[k - 1] - self.tau) / (used[k - 1] - used[k]) * (z[k] - z[k - 1])
