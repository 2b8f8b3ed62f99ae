"""Any ball of updates as a region of operators: the bridge to "Old Optimizer, New Norm" (arXiv 2409.20325)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from .region import Region, pairing, within


@final
@dataclass(frozen=True, eq=False)
class Ball(Region):
    """The update Q g of one gradient must stay in a ball of some norm.

        K = { Q >= 0 : ||Q g|| <= rho },    support(g g^T) = rho ||g||_*,    Q* = rho d d^T / <g, d>

    d = argmax { <g, d> : ||d|| <= 1 } is the norm's dual map, <g, d> = ||g||_*. Q* g = rho d: steepest descent under a
    norm, of any shape, *is* the best PSD operator of this region, which is the bridge. With the spectral norm it is
    Muon, with the max norm sign descent; with the Euclidean norm K is Data(g g^T, rho^2). The price: K belongs to one
    gradient, and only S = c g g^T has a finite support. norm, direction: callables on g's own shape; S acts on vec(g).
    Source: our derivation.

    >>> g = torch.tensor([3.0, -4.0]).double()
    >>> largest = Ball(g, norm=lambda w: w.abs().amax(), dual=lambda g: g.abs().sum(), direction=torch.sign)
    >>> largest.optimum(torch.outer(g, g)) @ g
    tensor([ 1., -1.], dtype=torch.float64)
    """

    g: Tensor
    norm: Callable[[Tensor], Tensor]
    dual: Callable[[Tensor], Tensor]
    direction: Callable[[Tensor], Tensor]
    rho: float = 1.0

    def gauge(self, Q: Tensor) -> Tensor:
        """||Q g|| / rho."""
        return within(Q, self.norm((Q @ self.g.flatten()).view_as(self.g)).squeeze() / self.rho)

    def support(self, S: Tensor) -> Tensor:
        """c rho <g, d> for S = c g g^T, by the dual map; inf for every other PSD S."""
        d = self.direction(self.g)
        return self._of(S) * self.rho * (self.g * d).sum() / self.norm(d).squeeze()

    def polar_gauge(self, S: Tensor) -> Tensor:
        """c rho ||g||_*, by the dual norm."""
        return self._of(S) * self.rho * self.dual(self.g).squeeze()

    def optimum(self, S: Tensor) -> Tensor:
        """rho d d^T / <g, d>."""
        if self._of(S).isinf():
            raise ValueError("a ball's region is made for its gradient g, and this S is not a multiple of g g^T")
        d = self.direction(self.g).flatten() / self.norm(self.direction(self.g)).squeeze()
        return torch.outer(d, d) * (self.rho / (self.g.flatten() @ d)) * (self._of(S) > 0)

    def _of(self, S: Tensor) -> Tensor:
        """c with S = c g g^T, or inf."""
        own = torch.outer(self.g.flatten(), self.g.flatten()).double()
        c = pairing(own, S) / pairing(own, own)
        return c if (S - c * own).norm() <= 1e-9 * S.norm() else torch.full_like(c, torch.inf)
