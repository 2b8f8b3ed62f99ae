"""Kronecker-factored operators, one factor for rows and one for columns: the family of Shampoo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from .region import ROUNDING, Region, eigen, in_cone, ratio


@final
@dataclass(frozen=True, eq=False)
class Kronecker(Region):
    """An update L G R of an m x n gradient G: Q = L x R, vec row by row.

        K = { L x R : L, R >= 0, tr(L A L) tr(R C R) <= B },    tr(Q S) = E tr(L G R G^T)

    A [m, m], C [n, n]: costs. The optimum is the top singular pair of S, rearranged so that L x R is of rank one and
    divided by the costs: L solves (A L + L A) / 2 ~ E[G R G^T], R solves (C R + R C) / 2 ~ E[G^T L G], both PSD.
    For S = A0 x C0 and costs A0^(1+r), C0^(1+r): L ~ A0^-r, R ~ C0^-r. r = 1/4 is Shampoo, r = 1/2 its stronger root,
    which is then S^-1/2. For one gradient and costs G G^T, G^T G Shampoo's (L, R) = (A^-1/4, C^-1/4), whose update is
    the polar factor, is one optimum, but SGD is another (test_shampoo). K is no convex set, and gauge is inf off the
    family; its convex hull has the same support. Source: Shampoo, arXiv 1802.09568; the family is our derivation.

    >>> I, S = torch.eye(2).double(), torch.diag(torch.tensor([4.0, 2.0, 2.0, 1.0])).double()
    >>> Kronecker(I, I, B=25.0).optimum(S).diagonal().tolist()  # (2, 1) x (2, 1) is S itself
    [4.0, 2.0, 2.0, 1.0]
    """

    A: Tensor
    C: Tensor
    B: float = 1.0

    def gauge(self, Q: Tensor) -> Tensor:
        """sqrt(tr(L A L) tr(R C R) / B) for Q = L x R, inf for other Q."""
        arranged = self._arranged(Q) * self._weight().sqrt()
        values = torch.linalg.svdvals(arranged)
        inside = in_cone(Q) and values[1:].sum() <= ROUNDING * values[0]
        return values[0] / self.B**0.5 if inside else values.new_tensor(torch.inf)

    def support(self, S: Tensor) -> Tensor:
        """sqrt(B) times the largest singular value of S rearranged over the costs."""
        T = self._paid(S)
        return self.B**0.5 * torch.linalg.matrix_norm(T, 2) if T.isfinite().all() else T.abs().amax()

    def polar_gauge(self, S: Tensor) -> Tensor:
        """S / t is in the polar while t^2 I - B T^T T is PSD, T as in support: the largest eigenvalue of B T^T T."""
        T = self._paid(S)
        if not T.isfinite().all():
            return T.abs().amax()
        return (self.B * torch.linalg.eigvalsh(T.mT @ T)[-1]).clamp_min(0).sqrt()

    def optimum(self, S: Tensor) -> Tensor:
        """Where alternating L and R ends that starts at R = I: the start's share in the top singular vectors."""
        T, w = self._paid(S), self._weight()
        if not T.any():
            return torch.zeros_like(S.double())
        if not T.isfinite().all():
            raise ValueError("S has power where the costs A or C are 0: no operator is the best, the best is inf")
        U, s, Vt = torch.linalg.svd(T, full_matrices=False)
        top = (s >= (1 - 1e-9) * s[0]).to(s.dtype)
        share = top * (Vt @ (torch.eye(len(self.C), dtype=s.dtype).flatten() * w.sum(0).sqrt()))
        rank_one = torch.outer(U @ share, share @ Vt) / share.square().sum()
        return self._back(torch.where(w > 0, self.B**0.5 * rank_one / w.sqrt(), 0.0))

    def _weight(self) -> Tensor:
        """The cost of each entry, (a_i + a_k)(c_j + c_l) / 4, in the costs' own bases."""
        a, c = eigen(self.A)[0], eigen(self.C)[0]
        return torch.outer(((a[:, None] + a) / 2).flatten(), ((c[:, None] + c) / 2).flatten())

    def _paid(self, S: Tensor) -> Tensor:
        """S rearranged, over the root of the costs: inf where power costs nothing, 0 where there is none."""
        x, w = self._arranged(S), self._weight()
        return ratio(torch.where((w == 0) & (x.abs() <= 1e-9 * S.norm()), 0.0, x), w.sqrt())

    def _bases(self) -> Tensor:
        return torch.kron(eigen(self.A)[1], eigen(self.C)[1])

    def _arranged(self, X: Tensor) -> Tensor:
        """[(i, j), (k, l)] -> [(i, k), (j, l)] in the costs' bases: L x R becomes vec(L) vec(R)^T."""
        (m, n), V = (len(self.A), len(self.C)), self._bases()
        return (V.mT @ X.double() @ V).reshape(m, n, m, n).transpose(1, 2).reshape(m * m, n * n)

    def _back(self, x: Tensor) -> Tensor:
        (m, n), V = (len(self.A), len(self.C)), self._bases()
        return V @ x.reshape(m, m, n, n).transpose(1, 2).reshape(m * n, m * n) @ V.mT
