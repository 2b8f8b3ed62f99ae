"""Diagonal metrics: every coordinate has a cost of its own, learned from the gradients."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..core.field import Field, inner, total
from ..core.memory import Memory
from ..core.part import Preconditioner
from ..statistics.average import average_


@dataclass(frozen=True)
class Diagonal(Preconditioner):
    """A coordinate i costs D_i: norm(w)^2 = sum_i D_i w_i^2, direction(u) = u / D."""

    @abstractmethod
    def cost(self, mem: Memory, t: Tensor) -> Field:
        """D, like the parameter."""

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """u / D."""
        return u / self.cost(mem, t)

    def inner(self, a: Field, b: Field, mem: Memory, t: Tensor) -> Tensor:
        """<a, D b>."""
        return inner(a, b * self.cost(mem, t))

    def trace(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """sum_i 1 / D_i."""
        return total(self.cost(mem, t).reciprocal())


def check_squares(beta: float, eps: float) -> None:
    """Raise unless beta decays and eps is not negative."""
    if not 0.0 <= beta < 1.0:
        raise ValueError(f"Invalid beta: {beta!r}; a decay factor lies in [0, 1).")
    if not isinstance(eps, (int, float)) or not eps >= 0.0:
        raise ValueError(f"Invalid epsilon value: {eps}")


@dataclass(frozen=True)
class Squares(Diagonal):
    """What costs made of averaged squares have in common: v_n = beta v_{n-1} + (1 - beta) g_n^2, from 0."""

    beta: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        check_squares(self.beta, self.eps)

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The average of squares."""
        return {"v": torch.zeros_like(p)}

    def observe(self, g: Field, mem: Memory, t: Tensor) -> None:
        """v <- beta v + (1 - beta) g^2."""
        average_(mem.v, g.square(), 1 - self.beta)  # a square may overflow


@final
@dataclass(frozen=True)
class SecondMoment(Squares):
    """A coordinate costs what its gradient usually measures (RMSprop, Adam).

        v_n = beta v_{n-1} + (1 - beta) g_n^2       D = sqrt(v_n / (1 - beta^n)) + eps       direction(u) = u / D

    It watches the raw gradient g and shapes what the filter made of it, u. Unit ball: sum_i D_i w_i^2 <= 1.
    Memory: `v`, like the parameter. Units: the direction has none, so lr is a weight per step.
    beta: decay in [0, 1); eps > 0 in units of the gradient. Reference: Kingma & Ba, arXiv 1412.6980; torch.optim.Adam.

    >>> print(SecondMoment(0.99))
    SecondMoment(0.99)
    """

    def cost(self, mem: Memory, t: Tensor) -> Field:
        """sqrt(v / (1 - beta^n)) + eps."""
        return mem.v.div(1 - self.beta**t).sqrt().add(self.eps)
