"""The eigenbasis of the gradients' Gram matrices, and what is measured in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.field import Field, each, inner, total
from ..core.memory import Memory
from ..core.part import Preconditioner
from .side import between, check_learning, eigh, gram_, rows, square

BASIS = ("left", "right", "left_basis", "right_basis")


@final
@dataclass(frozen=True)
class RotatedMoment(Preconditioner):
    """A second moment in the eigenbasis of the Gram matrices: Adam where Shampoo would stretch (SOAP).

        L <- b L + (1 - b) G G^T = Q_L diag Q_L^T    V <- b V + (1 - b) (Q_L^T G Q_R)^2    D = (sqrt(V) + eps) / c_n
        R <- b R + (1 - b) G^T G = Q_R diag Q_R^T    direction(U) = Q_L [(Q_L^T U Q_R) / D] Q_R^T

    c_n^2 = 1 - b^(n-1): the first gradient only sets the basis, and until V has seen one every direction is infinitely
    dear. G is measured in a basis that has not seen it yet. After `every` steps the basis makes one step of orthogonal
    iteration (a product and a QR), and V moves along with the order of its axes, but is not turned. Sides longer
    than `largest` keep their axes. Where the first gradient has no rank the axes are LAPACK's choice, which rounding
    moves: there two machines part. It reads the clock, for which the host waits on CUDA. Memory: `v`, like the
    parameter, `left`, `right` and their bases: mn + 2 (m^2 + n^2). Reference: Vyas et al., arXiv 2409.11321.

    >>> print(RotatedMoment(0.95))
    RotatedMoment(0.95)
    """

    beta: float = 0.95
    eps: float = 1e-8
    every: int = 10
    largest: int = 10000
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_learning(self.beta, self.every, self.largest)
        if not self.eps > 0:
            raise ValueError(f"Invalid epsilon value: {self.eps}; what was never seen needs a price.")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """Squares, Gram matrices, and the axes as they are for bases."""
        return {"v": torch.zeros_like(p), **basis_memory(p, self.largest)}

    def observe(self, g: Field, mem: Memory, t: Tensor) -> None:
        """First the basis of all gradients before, then the squares in it, then L and R."""
        n = int(t)
        for x, v, *basis in rows(g, mem, "v", *BASIS):
            turn_(v, *basis, n=n, every=self.every)
            if n > 1:
                v.mul_(self.beta).add_(into(x, *basis).square(), alpha=1 - self.beta)
            learn_(x, *basis, beta=self.beta)

    def _cost(self, mem: Memory, t: Tensor) -> Field:
        return mem.v.sqrt().add(self.eps).div((1 - self.beta ** (t - 1)).sqrt())

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """Q_L [(Q_L^T U Q_R) / D] Q_R^T."""
        return turned(turned(u, mem) / self._cost(mem, t), mem, back=True)

    def inner(self, a: Field, b: Field, mem: Memory, t: Tensor) -> Tensor:
        """<a, D b> in the basis."""
        return inner(turned(a, mem), turned(b, mem) * self._cost(mem, t))

    def trace(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """sum of 1 / D."""
        return total(self._cost(mem, t).reciprocal())


def basis_memory(p: Tensor, largest: int) -> dict[str, Tensor]:
    """`left` and `right`, 0, and `left_basis` and `right_basis`, the axes as they are."""
    sides = {"left": p.shape[-2], "right": p.shape[-1]}
    grams = {side: square(p, k, k <= largest) for side, k in sides.items()}
    return grams | {f"{side}_basis": square(p, k, k <= largest, 1.0) for side, k in sides.items()}


def into(x: Tensor, left: Tensor, right: Tensor, q: Tensor, r: Tensor) -> Tensor:
    """Q_L^T X Q_R."""
    return between(q.mT, x, r)


def turned(x: Field, mem: Memory, back: bool = False) -> Field:
    """Q_L^T X Q_R, or Q_L X Q_R^T."""
    q, r = mem.left_basis, mem.right_basis
    return each(lambda q, x, r: between(q, x, r.mT) if back else between(q.mT, x, r), q, x, r)


def learn_(x: Tensor, left: Tensor, right: Tensor, q: Tensor, r: Tensor, *, beta: float) -> None:
    """L and R."""
    gram_(left, x, beta, 1 - beta)
    gram_(right, x.mT, beta, 1 - beta)


def turn_(v: Tensor, left: Tensor, right: Tensor, q: Tensor, r: Tensor, *, n: int, every: int) -> None:
    """The bases of what was seen before step n, at their times; the axes of v follow their order."""
    if n == 2:
        for a, basis in ((left, q), (right, r)):
            basis.copy_(eigh(a)[1].flip(-1))
    elif n > 2 and (n - 2) % every == 0:
        v.copy_(_iterate(right, r, _iterate(left, q, v.mT).mT))


def _iterate(a: Tensor, q: Tensor, v: Tensor) -> Tensor:
    """Q <- QR(A Q), the axes in the order of their eigenvalues; the columns of v in that order, too."""
    image = a @ q
    order = (q * image).sum(-2).argsort(-1, descending=True)[..., None, :]
    q.copy_(torch.linalg.qr(image.take_along_dim(order, -1))[0])
    return v.take_along_dim(order, -1) if v.shape[-1] == q.shape[-1] else v
