"""The region whose unit of length is the data: SGD, and with other powers of it full-matrix AdaGrad."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from .region import TINY, Region, eigen, in_cone, pairing, ratio, within


@final
@dataclass(frozen=True, eq=False)
class Data(Region):
    """A Lyapunov region: with M = S its budget is the expected squared length of the update, E|Q g|^2 = tr(Q S Q).

        K = { Q >= 0 : tr(Q M Q) <= B },    support(S) = sqrt(B <S, X>),    Q* = sqrt(B / <S, X>) X

    where X solves Lyapunov's equation (M X + X M) / 2 = S, and is PSD because X = 2 int_0^inf e^{-Mt} S e^{-Mt} dt.
    M = S: Q* = sqrt(B / tr S) on the range of S, SGD with its learning rate. M = S^(1+r): Q* ~ S^-r, for r = 1/2
    full-matrix AdaGrad. K is not bounded where M is 0; the support is inf where S is not 0 there. S must be PSD.
    Source: arXiv 2512.06370, Corollary 2 (wording not public; our derivation).

    >>> S = torch.diag(torch.tensor([3.0, 1.0, 0.0])).double()
    >>> Data(S).optimum(S).diagonal().tolist()
    [0.5, 0.5, 0.0]
    """

    M: Tensor
    B: float = 1.0

    def gauge(self, Q: Tensor) -> Tensor:
        """sqrt(tr(Q M Q) / B)."""
        return within(Q, (pairing(Q @ self.M, Q).clamp_min(0) / self.B).sqrt())

    def support(self, S: Tensor) -> Tensor:
        """sqrt(B <S, X>), in the basis where M is diagonal: <S, X> = sum_ij 2 S_ij^2 / (m_i + m_j)."""
        S_, w, _ = self._seen(S)
        return (self.B * ratio(S_**2, w).sum()).sqrt()

    def polar_gauge(self, S: Tensor) -> Tensor:
        """The polar of an ellipsoid is the inverse ellipsoid: Lyapunov's equation solved as one linear system."""
        I = torch.eye(len(self.M), dtype=torch.float64)
        system = (torch.kron(self.M, I) + torch.kron(I, self.M)) / 2
        x = torch.linalg.pinv(system, rtol=TINY * 10, hermitian=True) @ S.flatten()
        left = (system @ x - S.flatten()).norm()
        return (self.B * (x @ S.flatten())).clamp_min(0).sqrt() if left <= 1e-6 * S.norm() else left * torch.inf

    def optimum(self, S: Tensor) -> Tensor:
        """sqrt(B / <S, X>) X."""
        S_, w, V = self._seen(S)
        X = ratio(S_, w)
        if not X.isfinite().all():
            raise ValueError("S has power where the region's metric M is 0: no operator is the best, the best is inf")
        earned = pairing(S_, X)
        return V @ X @ V.mT * (self.B / earned).sqrt() if earned > 0 else torch.zeros_like(S_)

    def _seen(self, S: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """S in M's basis, the weights (m_i + m_j) / 2, the basis. What is 0 up to rounding is 0."""
        if not in_cone(S):
            raise ValueError("a data region has a closed form for PSD S only, and this S has a negative eigenvalue")
        m, V = eigen(self.M)
        S_ = V.mT @ S.double() @ V
        w = (m[:, None] + m) / 2
        return torch.where((w == 0) & (S_.abs() <= 1e-9 * S.norm()), 0.0, S_), w, V
