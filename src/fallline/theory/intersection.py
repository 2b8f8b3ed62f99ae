"""Several trust regions at once, solved with a certificate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from .region import Projecting, Region, pairing


@final
@dataclass(frozen=True)
class Intersection(Region):
    """Q must be in every one of the regions.

        gauge(Q) = max_i gauge_i(Q),    support(S) = min { sum_i support_i(S_i) : sum_i S_i = S }

    There is no closed form. Projections alternate (ADMM) until two sides meet: `optimum` is in all regions and earns
    `support`; the split S_1 + S_2 + ... = S proves that none earns more than `polar_gauge`. gap is how far apart they
    may be, relative. Any split is a valid proof, and any member a valid bid, however early one stops.
    Source: infimal convolution (Rockafellar, Convex Analysis, section 16); our derivation.

    >>> from fallline.theory import Frobenius, Spectral
    >>> both = Intersection((Frobenius(2.0), Spectral(1.0)))
    >>> both.optimum(torch.diag(torch.tensor([9.0, 3.0])).double()).diagonal()  # Frobenius alone: 1.34, .45
    tensor([1.0000, 1.0000], dtype=torch.float64)
    """

    parts: tuple[Projecting, ...]
    gap: float = 1e-8
    most: int = 5000

    def gauge(self, Q: Tensor) -> Tensor:
        """max_i gauge_i(Q)."""
        return torch.stack([part.gauge(Q) for part in self.parts]).amax()

    def support(self, S: Tensor) -> Tensor:
        """What the best member found earns: from below, by at most gap."""
        return pairing(self._met(S)[0], S)

    def polar_gauge(self, S: Tensor) -> Tensor:
        """sum_i support_i(S_i) of the best split found: from above, by at most gap."""
        return self._bound(self._met(S)[1])

    def optimum(self, S: Tensor) -> Tensor:
        """The best member found."""
        return self._met(S)[0]

    def _bound(self, split: list[Tensor]) -> Tensor:
        return torch.stack([part.support(s) for part, s in zip(self.parts, split, strict=True)]).sum()

    def _met(self, S: Tensor) -> tuple[Tensor, list[Tensor]]:
        """A member and a split that agree up to gap. X_i: projections, Z: their consensus, Y_i: prices."""
        S = S.double()
        if not S.any():
            return torch.zeros_like(S), [S for _ in self.parts]
        scale = self.parts[0].optimum(S).norm().clamp_min(1e-300) / S.norm()
        Z, Y = torch.zeros_like(S), [-S * scale / len(self.parts)] * len(self.parts)
        for n in range(self.most):
            X = [part.project(Z - y) for part, y in zip(self.parts, Y, strict=True)]
            Z = torch.stack([x + y for x, y in zip(X, Y, strict=True)]).mean(0) + S * scale / len(self.parts)
            Y = [y + x - Z for x, y in zip(X, Y, strict=True)]
            if n % 20 == 19:
                Q, split = self._inside(X, S), [-y / scale for y in Y]
                if self._bound(split) - pairing(Q, S) <= self.gap * self._bound(split):
                    return Q, split
        raise RuntimeError(f"after {self.most} rounds the two sides are more than {self.gap} apart; raise most or gap")

    def _inside(self, X: list[Tensor], S: Tensor) -> Tensor:
        """The projections, each shortened until it is in all regions: the one of them that earns most."""
        bids = [x / self.gauge(x).clamp_min(1.0) for x in X]
        return max(bids, key=lambda Q: float(pairing(Q, S)))
