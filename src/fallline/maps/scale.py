"""Rows and columns brought to comparable length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.field import Field, each
from ..core.memory import Memory
from ..core.part import Map

# Which sums are taken from the same matrix: over -1 for the rows, over -2 for the columns.
ORDERS = {
    "rows": ((-1,),),
    "columns": ((-2,),),
    "together": ((-1, -2),),
    "rows first": ((-1,), (-2,)),
    "columns first": ((-2,), (-1,)),
}


@final
@dataclass(frozen=True)
class RowColScale(Map):
    """Rows and columns divided by a power of their own p-norms (matrix equilibration).

        r_i = (sum_j |U_ij|^p + eps)^(1/p),  c_j alike        U <- diag(r)^-a U diag(c)^-a

    order: "rows" or "columns" alone, both from the same U ("together"), or one after the other ("rows first", "columns
    first"); sweeps: how often. a = 1: rows alone is RMNP and MuonEq-R, alternating is Sinkhorn (SinkGD).
    p: 1 or more, or inf. exponent: a > 0. Memory: none. Rows and columns of zeros stay; with eps = 0 the result scales
    like c^(1-a) for one side and c^(1-2a) for both together. Reference: MuonEq, arXiv 2603.28254; REG, arXiv
    2510.03691; arXiv 2502.06742.

    >>> from fallline.core.memory import Memory
    >>> RowColScale("rows")(torch.tensor([[3.0, 4.0], [0.0, -2.0]]), Memory({}), torch.tensor(1.0))
    tensor([[ 0.6000,  0.8000],
            [ 0.0000, -1.0000]])
    """

    order: str = "together"
    p: float = 2.0
    exponent: float = 1.0
    sweeps: int = 1
    eps: float = 0.0
    elementwise: ClassVar[bool] = False
    matrix: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise ValueError(f"Invalid order: {self.order!r}; choose one of {', '.join(map(repr, ORDERS))}.")
        if not self.p >= 1.0 or not self.exponent > 0.0 or not self.eps >= 0.0 or self.sweeps < 1:
            raise ValueError(f"Invalid {self}: p >= 1, exponent > 0, eps >= 0 and at least one sweep are needed.")

    def __call__(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """diag(r)^-a U diag(c)^-a."""
        return each(self._scaled, u)

    def _scaled(self, x: Tensor) -> Tensor:
        for sides in ORDERS[self.order] * self.sweeps:
            for factor in [self._factor(x, side) for side in sides]:
                x = x * factor
        return x

    def _factor(self, x: Tensor, side: int) -> Tensor:
        endless = self.p == float("inf")
        size = x.abs().amax(side, True) if endless else x.abs().pow(self.p).sum(side, True)
        return inverse(size + self.eps, self.exponent / (1.0 if endless else self.p))


def inverse(size: Tensor, power: float) -> Tensor:
    """size^-power, and 0 where there is nothing."""
    return torch.where(size > 0, size.clamp_min(torch.finfo(size.dtype).tiny) ** -power, 0.0)
