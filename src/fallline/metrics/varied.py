"""The variance of a momentum in the eigenbasis, beside another metric's direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..core.field import Field, each
from ..core.memory import Memory
from .bent import Bent
from .rotated import BASIS, basis_memory, into, learn_, turn_, turned
from .side import check_learning, rows


@final
@dataclass(frozen=True)
class Varied(Bent):
    """A fixed norm's direction d(U), longer where the momentum is larger than it usually is (DeVA, Schatten form).

        M <- b1 M + (1 - b1) G,    S_ij = |M~_i.| |M~_.j|,    V <- b2 V + (1 - b2) S,    X~ = Q_L^T X Q_R
        direction(U) = c_n Q_L [d(U)~ sqrt(S) / sqrt(V + eps)] Q_R^T,    c_n = sqrt(1 - b2^(n-1)) / (1 - b1^(n-1))

    Q as in `RotatedMoment`, which says when it moves; the first gradient only sets it. With beta2 = 0 the factor is 1,
    up to c_n. As published c_n undoes a bias of M that sqrt(S) / sqrt(V) hardly has: the first steps are long. Memory:
    `m` (its own: what a metric is asked about may be another filter's) and `v`, like the parameter, row and column
    lengths, Gram matrices and bases. Reference: Song et al., arXiv 2602.06880.

    >>> from fallline import Sign
    >>> print(Varied(Sign()))
    Varied(Sign())
    """

    beta1: float = 0.95
    beta2: float = 0.95
    eps: float = 1e-8
    every: int = 10
    largest: int = 10000

    def __post_init__(self) -> None:
        check_learning(self.beta1, self.every, self.largest)
        check_learning(self.beta2, self.every, self.largest)
        if not self.eps > 0:
            raise ValueError(f"Invalid epsilon value: {self.eps}")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """Momentum, its lengths, their products' average, and the basis."""
        lengths = {"rows": torch.zeros_like(p[..., :1]), "columns": torch.zeros_like(p[..., :1, :])}
        return {"m": torch.zeros_like(p), "v": torch.zeros_like(p), **lengths, **basis_memory(p, self.largest)}

    def observe(self, g: Field, mem: Memory, t: Tensor) -> None:
        """First the basis of all gradients before, then the momentum in it, then L and R."""
        n = int(t)
        for x, m, v, row, column, *basis in rows(g, mem, "m", "v", "rows", "columns", *BASIS):
            turn_(v, *basis, n=n, every=self.every)
            if n > 1:
                vary_(x, m, v, row, column, basis, (self.beta1, self.beta2))
            learn_(x, *basis, beta=self.beta2)

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """c_n Q_L [d(U)~ sqrt(S) / sqrt(V + eps)] Q_R^T."""
        age = (t - 1).clamp(min=1)
        factor = each(lambda r, c, v: (r * c / (v + self.eps)).sqrt(), mem.rows, mem.columns, mem.v)
        d = turned(self.metric.direction(u, mem, t), mem) * factor
        return turned(d, mem, back=True).mul((1 - self.beta2**age).sqrt() / (1 - self.beta1**age))

    def power(self, gram: Tensor, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """The metric's."""
        return self.metric.power(gram, g, mem, t)


def vary_(
    x: Tensor, m: Tensor, v: Tensor, row: Tensor, column: Tensor, basis: list[Tensor], b: tuple[float, float]
) -> None:
    """M, its lengths in the basis, and V."""
    now = into(m.mul_(b[0]).add_(x, alpha=1 - b[0]), *basis)
    row.copy_(now.norm(dim=-1, keepdim=True))
    column.copy_(now.norm(dim=-2, keepdim=True))
    v.mul_(b[1]).add_(row * column, alpha=1 - b[1])
