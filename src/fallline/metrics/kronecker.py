"""Preconditioners made of Gram matrices: rows and columns of a matrix cost what the gradients' Gram matrices say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.field import Field, inner, total
from ..core.memory import Memory
from ..core.part import Preconditioner
from .root import inverse_root
from .side import TwoSided, check_learning, due, gram_, rows, square


@final
@dataclass(frozen=True)
class Kronecker(TwoSided):
    """A direction costs what gradients usually measure along its rows and along its columns (Shampoo, ASGO).

        L <- b L + (1 - b) G G^T,    R <- b R + (1 - b) G^T G,    direction(U) = L^(-q) U R^(-q),    q = exponent / 2

    D = L^q (x) R^q. sides: "both", or "short": the shorter side alone, with all of `exponent`; so has a side whose
    other is longer than `largest`. beta: decay of the averages, which are unbiased; 1 sums. every: steps between roots,
    the first step included; it reads the clock, for which the host waits on CUDA. eps: floor of the eigenvalues,
    relative to the largest. Memory: `left`, `right` and their roots: 2 (m^2 + n^2). Without averages (beta = 0, u = g)
    it is the polar factor. Reference: Gupta et al., arXiv 1802.09568.

    >>> print(Kronecker(0.95, every=10))
    Kronecker(0.95, every=10)
    """

    beta: float = 0.95
    exponent: float = 0.5
    sides: str = "both"
    every: int = 1
    eps: float = 1e-6
    largest: int = 10000

    def __post_init__(self) -> None:
        check_learning(self.beta, self.every, self.largest, summed=True)
        if not (self.exponent > 0 and self.eps > 0) or self.sides not in ("both", "short"):
            raise ValueError(f"Invalid {self!r}: exponent and eps are positive, and sides is 'both' or 'short'.")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """Gram matrices and their inverse roots, which are 0: nothing moves before a gradient was seen."""
        return gram_memory(p, self.largest, self.sides)

    def observe(self, g: Field, mem: Memory, t: Tensor) -> None:
        """L and R, and every few steps their roots."""
        n, weight = int(t), 1.0 if self.beta == 1 else 1 - self.beta
        for x, left, right, *roots in rows(g, mem, *GRAMS):
            gram_(left, x, self.beta, weight)
            gram_(right, x.mT, self.beta, weight)
            if due(n, self.every):
                sides = sum(a.shape[-1] == k for a, k in zip((left, right), x.shape[-2:], strict=True))
                mass = 1.0 if self.beta == 1 else 1 - self.beta**n
                roots_(roots, (left, right), x, mass, self.exponent / max(1, sides), self.eps)


GRAMS = ("left", "right", "left_root", "right_root")


def gram_memory(p: Tensor, largest: int, sides: str = "both") -> dict[str, Tensor]:
    """`left` and `right`, where they are learned, and their roots; all 0."""
    m, n = p.shape[-2:]
    learned = {
        "left": m <= largest and (m <= n or sides == "both"),
        "right": n <= largest and (n < m or sides == "both"),
    }
    made = {side: square(p, k, learned[side]) for side, k in (("left", m), ("right", n))}
    return made | {f"{side}_root": torch.zeros_like(a) for side, a in made.items()}


def roots_(roots: list[Tensor], grams: tuple[Tensor, ...], x: Tensor, mass: float, q: float, eps: float) -> None:
    """roots <- (grams / mass)^(-q), on the sides that are learned."""
    for root, a, k in zip(roots, grams, x.shape[-2:], strict=True):
        if a.shape[-1] == k:
            root.copy_(inverse_root(a / mass, 1 / q, eps))


@final
@dataclass(frozen=True)
class SideMoment(Preconditioner):
    """A row costs what its gradients usually measure: the diagonal of the shorter side's Gram matrix (DASGO).

        v_i <- b v_i + (1 - b) sum_j G_ij^2    direction(U)_ij = U_ij / (sqrt(v_i / (1 - b^n)) + eps)    m <= n

    Columns instead of rows where m > n. beta = 0 normalises every row. Memory: `v`, `[..., m, 1]` or `[..., 1, n]`.
    eps > 0 in units of the gradient. Reference: DASGO in An et al., arXiv 2503.20762.

    >>> print(SideMoment(0.8))
    SideMoment(0.8)
    """

    beta: float = 0.8
    eps: float = 1e-10
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_learning(self.beta, 1, 1)
        if not self.eps > 0:
            raise ValueError(f"Invalid epsilon value: {self.eps}")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The squared lengths of rows or columns."""
        return {"v": torch.zeros_like(p[..., :1] if p.shape[-2] <= p.shape[-1] else p[..., :1, :])}

    def observe(self, g: Field, mem: Memory, t: Tensor) -> None:
        """v <- beta v + (1 - beta) sum of squares."""
        for x, v in rows(g, mem, "v"):
            v.mul_(self.beta).add_(x.square().sum_to_size(v.shape), alpha=1 - self.beta)

    def _cost(self, mem: Memory, t: Tensor) -> Field:
        return mem.v.div(1 - self.beta**t).sqrt().add(self.eps)

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """u / D."""
        return u / self._cost(mem, t)

    def inner(self, a: Field, b: Field, mem: Memory, t: Tensor) -> Tensor:
        """<a, D b>."""
        return inner(a, b * self._cost(mem, t))

    def trace(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """sum_ij 1 / D_i."""
        return total(g.mul(0.0).add(1.0) / self._cost(mem, t))
