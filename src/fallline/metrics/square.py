"""Diagonal metrics from squares without their root: curvatures that rescale with the weights' units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..core.field import Field
from ..core.memory import Memory
from .diagonal import Diagonal, Squares


@final
@dataclass(frozen=True)
class SquareMoment(Squares):
    """A coordinate costs the square of what its gradient usually measures (Adam-SQR): `SecondMoment` without the root.

        v_n = beta v_{n-1} + (1 - beta) g_n^2       D = v_n / (1 - beta^n) + eps       direction(u) = u / D

    A weight in units a times as small has a gradient a times as small and steps a times as large: where a step size
    asks for N' alone, scaling features changes nothing. Memory: `v`, like the parameter. Units: the direction is
    weight per unit of loss, like Newton's with loss 1. Reference: SANIA, arXiv 2312.17369.

    >>> print(SquareMoment(0.99))
    SquareMoment(0.99)
    """

    def cost(self, mem: Memory, t: Tensor) -> Field:
        """v / (1 - beta^n) + eps."""
        return mem.v.div(1 - self.beta**t).add(self.eps)


@final
@dataclass(frozen=True)
class SquareSum(Diagonal):
    """A coordinate costs all squares that its gradients have measured (AdaGrad-SQR): D = sum_k g_k^2 + eps.

    Units, memory and reference: as `SquareMoment`.

    >>> print(SquareSum())
    SquareSum(1e-08)
    """

    eps: float = 1e-8

    def __post_init__(self) -> None:
        if not self.eps >= 0.0:
            raise ValueError(f"Invalid epsilon value: {self.eps}")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The sum of squares."""
        return {"v": torch.zeros_like(p)}

    def observe(self, g: Field, mem: Memory, t: Tensor) -> None:
        """v <- v + g^2."""
        mem.v.add_(g.square())

    def cost(self, mem: Memory, t: Tensor) -> Field:
        """v + eps."""
        return mem.v.add(self.eps)
