"""What a stateless optimizer may be: a trust region of operators, and the best operator in it.

An update is u = Q g with Q positive semidefinite (PSD), and S = E[g g^T] is the gradient's second moment. The expected
drop of the loss per unit of lr is <Q, S> = tr(Q S). So choosing Q from a trust region K is

    support(S) = max { tr(Q S) : Q in K }   ("learning power"),    optimum(S) = a Q that attains it.

Theorem 1 of arXiv 2512.06370 (its wording is not public; our derivation, in docs/theory/regions.md):

    support = conjugate of K's indicator = gauge of K's polar,    and optimum(S) is a subgradient of it at S.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

TINY = 1e-12  # relative to the largest eigenvalue: below it a number is a rounding error
ROUNDING = 1e-9  # by how much an operator may miss the cone or the boundary and still count as inside


class Region(ABC):
    """A convex set K of PSD operators that holds 0: gauge(Q) = the least t >= 0 with Q in t K.

    Q and S: [n, n], symmetric, float64. All values are 0-d float64, and inf where there is no such t, or no bound.
    """

    @abstractmethod
    def gauge(self, Q: Tensor) -> Tensor:
        """min { t >= 0 : Q in t K }: 1 on the far boundary, inf where no t is enough."""

    @abstractmethod
    def support(self, S: Tensor) -> Tensor:
        """max { tr(Q S) : Q in K }, by its closed form."""

    @abstractmethod
    def polar_gauge(self, S: Tensor) -> Tensor:
        """min { t >= 0 : tr(Q S) <= t for all Q in K }, from the polar's side: the least bound that can be proved."""

    @abstractmethod
    def optimum(self, S: Tensor) -> Tensor:
        """A Q of K with tr(Q S) = support(S)."""

    def power(self, S: Tensor) -> Tensor:
        """tr(Q* S): what the optimum earns."""
        return pairing(self.optimum(S), S)

    def contains(self, Q: Tensor) -> bool:
        """Whether Q is in K, up to rounding."""
        return bool(self.gauge(Q) <= 1 + ROUNDING)


class Projecting(Region):
    """A region that also knows the nearest of its members, which is what intersections are computed with."""

    @abstractmethod
    def project(self, Q: Tensor) -> Tensor:
        """argmin { ||X - Q||_F : X in K } for symmetric Q."""


def pairing(Q: Tensor, S: Tensor) -> Tensor:
    """tr(Q S) of symmetric matrices."""
    return (Q * S).sum()


def eigen(S: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, ascending, and eigenvectors of a symmetric matrix; those below rounding are 0."""
    if S.ndim != 2 or S.shape[0] != S.shape[1]:
        raise ValueError(f"an operator is one square matrix, and this has shape {tuple(S.shape)}")
    s, U = torch.linalg.eigh((S.double() + S.double().mT) / 2)
    return torch.where(s.abs() > TINY * s.abs().amax(), s, 0.0), U


def composed(q: Tensor, U: Tensor) -> Tensor:
    """U diag(q) U^T."""
    return (U * q) @ U.mT


def turned(S: Tensor, f: Callable[[Tensor], Tensor]) -> Tensor:
    """U f(s) U^T for S = U diag(s) U^T: a function of the eigenvalues alone."""
    s, U = eigen(S)
    return composed(f(s), U)


def rooted(S: Tensor, p: float) -> Tensor:
    """S^p of a PSD matrix on its range, 0 outside: rooted(S, -1/2) is a pseudo-inverse root.

    >>> rooted(torch.diag(torch.tensor([4.0, 0.0])).double(), -0.5).tolist()
    [[0.5, 0.0], [0.0, 0.0]]
    """
    return turned(S, lambda s: torch.where(s > 0, s, 1.0) ** p * (s > 0))


def in_cone(Q: Tensor) -> bool:
    """Whether Q is PSD, up to rounding."""
    q, _ = eigen(Q)
    return bool(q[0] >= -ROUNDING * q.abs().amax())


def within(Q: Tensor, t: Tensor) -> Tensor:
    """t for PSD operators, inf for the others."""
    return t if in_cone(Q) else torch.full_like(t, torch.inf)


def ratio(a: Tensor, b: Tensor) -> Tensor:
    """a / b with 0 / 0 = 0."""
    return torch.where(a == 0, 0.0, a / b)
