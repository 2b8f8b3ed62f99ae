"""The Frobenius ball: the operator follows the second moment itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor

from .region import Projecting, composed, eigen, ratio, turned, within


@final
@dataclass(frozen=True)
class Frobenius(Projecting):
    """All directions share one budget of squares.

        K = { Q >= 0 : ||Q||_F <= sqrt(B) },    support(S) = sqrt(B) ||S_+||_F,    Q* = sqrt(B) S_+ / ||S_+||_F

    S_+: the PSD part of S, which is S for a second moment. With one gradient, S = g g^T, the update is sqrt(B) g: SGD.
    Source: arXiv 2512.06370, Corollary 2 (wording not public; our derivation: Cauchy-Schwarz).

    >>> import torch
    >>> Frobenius(25.0).optimum(torch.diag(torch.tensor([3.0, 4.0])).double()).tolist()
    [[3.0, 0.0], [0.0, 4.0]]
    """

    B: float = 1.0

    def gauge(self, Q: Tensor) -> Tensor:
        """||Q||_F / sqrt(B)."""
        return within(Q, Q.norm() / self.B**0.5)

    def support(self, S: Tensor) -> Tensor:
        """sqrt(B) times the length of the positive eigenvalues."""
        return self.B**0.5 * eigen(S)[0].clamp_min(0).norm()

    def polar_gauge(self, S: Tensor) -> Tensor:
        """The polar is a ball minus the cone: sqrt(B) min { ||S + N||_F : N >= 0 }, where N = S_- is nearest."""
        N = turned(-S, lambda s: s.clamp_min(0))
        return self.B**0.5 * (S + N).norm()

    def optimum(self, S: Tensor) -> Tensor:
        """sqrt(B) S_+ / ||S_+||_F."""
        s, U = eigen(S)
        q = s.clamp_min(0)
        return composed(self.B**0.5 * ratio(q, q.norm()), U)

    def project(self, Q: Tensor) -> Tensor:
        """The PSD part, shortened to sqrt(B)."""
        q = turned(Q, lambda s: s.clamp_min(0))
        return q * (self.B**0.5 / q.norm().clamp_min(self.B**0.5))
