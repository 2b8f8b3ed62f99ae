"""The second moment as a plain average from zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.field import Field
from ..core.memory import Memory, number
from ..statistics.average import average_
from .diagonal import Diagonal, check_squares


@final
@dataclass(frozen=True)
class RawMoment(Diagonal):
    """`SecondMoment` without the correction of its bias: a first step is 1 / sqrt(1 - beta) times as long.

        v_n = beta v_{n-1} + (1 - beta) g_n^2          D = sqrt(v_n) + eps unit          direction(u) = u / D

    unit is 1, or where the step weighs gradients what they count by now, so that eps stays small beside them. Unit
    ball: sum_i D_i w_i^2 <= 1. Memory: `v`, like the parameter; `unit`, once. Units: the direction has none, so lr is a
    weight per step. beta: decay in [0, 1); eps >= 0 in units of the gradient. Reference: Prodigy and D-Adaptation,
    arXiv 2306.06101 and 2301.07733, in whose official code it is the default.

    >>> print(RawMoment(0.99))
    RawMoment(0.99)
    """

    beta: float = 0.999
    eps: float = 1e-8
    floored: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_squares(self.beta, self.eps)

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The average of squares, and what gradients count by now."""
        return {"v": torch.zeros_like(p), "unit": number(1.0, p.device)}

    def observe(self, g: Field, mem: Memory, t: Tensor) -> None:
        """v <- beta v + (1 - beta) g^2."""
        average_(mem.v, g.square(), 1 - self.beta)

    def cost(self, mem: Memory, t: Tensor) -> Field:
        """sqrt(v) + eps unit."""
        return mem.v.sqrt().add(mem.unit * self.eps)
