"""Newton-Schulz: the polar factor by products alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from .coefficient import Triple, check, triples
from .factor import Polar, lying, shifted
from .start import FrobeniusStart, Start

FROBENIUS = FrobeniusStart()


@final
@dataclass(frozen=True)
class NewtonSchulz(Polar):
    """A composition of odd polynomials that lifts every singular value to 1, or near it.

        X <- a X + (b A + c A^2) X,    A = X X^T,    from X scaled by `start`

    coefficients: a name of `polar.SETS` or triples (a, b, c); steps: how many, the last one repeated. safety >= 1: what
    singular values may exceed 1 by, through rounding ("polar-express" in bfloat16: 1.01 to 1.05). dtype: of the
    products, None for the matrix's own. pile: see `Polar.piles`.
    Muon's own five steps end between .68 and 1.13 for singular values in [.01, 1] of norm(X), and never at 1.
    Products: steps (4 r^2 L + 2 r^3) flops for r x L. Reference: K. Jordan 2024; arXiv 2505.16932.

    >>> NewtonSchulz("you-6")(torch.diag(torch.tensor([3.0, 1.0])))
    tensor([[1.00, 0.00],
            [0.00, 1.00]])
    """

    coefficients: str | tuple[Triple, ...] = "keller"
    start: Start = FROBENIUS
    steps: int | None = None
    safety: float = 1.0
    dtype: torch.dtype | None = None
    pile: bool = True

    def __post_init__(self) -> None:
        check(self.coefficients, self.steps, self.safety)

    @property
    def piles(self) -> bool:
        """As told."""
        return self.pile

    def __call__(self, x: Tensor) -> Tensor:
        return lying(self._wide, x)

    def _wide(self, x: Tensor) -> Tensor:
        y, gram, square = self.start(x, self.dtype or x.dtype)
        for k, (a, b, c) in enumerate(triples(self.coefficients, self.steps, self.safety)):
            gram = y @ y.mT if k else gram
            y = fused(y, even(gram, square if k == 0 else None, b, c), y, a, 1.0)
        return y


@final
@dataclass(frozen=True)
class GramNewtonSchulz(Polar):
    """The same polynomials, composed on the small side: Q_K ... Q_1 X with Q_k = a I + b R + c R^2, R <- Q_k R Q_k.

    Equal to `NewtonSchulz` in exact arithmetic, cheaper for L >= 2 r: long products only for R = X X^T and in the end.
    rebuild: after so many steps X <- Q X, and R anew from it; in bfloat16 R grows negative eigenvalues without (2 or 3
    there; None in float32 and wider). Flops: 4 r^2 L + 8 r^3 a step, and 4 r^2 L for each rebuilding.
    Reference: Dao-AILab, gram-newton-schulz 2025.
    """

    coefficients: str | tuple[Triple, ...] = "keller"
    start: Start = FROBENIUS
    steps: int | None = None
    safety: float = 1.0
    dtype: torch.dtype | None = None
    rebuild: int | None = None

    def __post_init__(self) -> None:
        check(self.coefficients, self.steps, self.safety)
        if not (self.rebuild is None or self.rebuild >= 1):
            raise ValueError(f"rebuild = {self.rebuild} must be 1 step or more, or None for never.")

    def __call__(self, x: Tensor) -> Tensor:
        return lying(self._wide, x)

    def _wide(self, x: Tensor) -> Tensor:
        y, gram, square = self.start(x, self.dtype or x.dtype)
        course, every = triples(self.coefficients, self.steps, self.safety), self.rebuild
        for first in range(0, len(course), every or len(course)):
            gram = y @ y.mT if first else gram
            y = _composed(gram, None if first else square, course[first : first + (every or len(course))]) @ y
        return y


def _composed(gram: Tensor, square: Tensor | None, course: tuple[Triple, ...]) -> Tensor:
    """Q_K ... Q_1 of some steps."""
    q = None
    for k, (a, b, c) in enumerate(course):
        z = even(gram, None if k else square, b, c)
        if k + 1 < len(course):
            rz = fused(gram, gram, z, a, 1.0)
            gram = fused(rz, z, rz, a, 1.0)
        q = shifted(z, a) if q is None else fused(q, q, z, a, 1.0)
    assert q is not None
    return q


def even(gram: Tensor, square: Tensor | None, b: float, c: float) -> Tensor:
    """b A + c A^2, never A itself."""
    if c == 0.0:
        return gram * b
    return fused(gram, gram, gram, b, c) if square is None else gram * b + square * c


def fused(x: Tensor, a: Tensor, b: Tensor, beta: float, alpha: float) -> Tensor:
    """beta X + alpha A B, without a temporary."""
    if x.dim() == 2:
        return torch.addmm(x, a, b, beta=beta, alpha=alpha)
    flat = [one.flatten(0, -3) for one in (x, a, b)]
    return torch.baddbmm(*flat, beta=beta, alpha=alpha).view(x.shape)
