"""Diagonal metrics whose half-axes are learned from the gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..core.field import Field, average_, inner, total
from ..core.memory import Memory
from ..core.part import Preconditioner


@final
@dataclass(frozen=True)
class SecondMoment(Preconditioner):
    """A coordinate costs what its gradient usually measures (RMSprop, Adam).

        v_n = beta v_{n-1} + (1 - beta) g_n^2       D = sqrt(v_n / (1 - beta^n)) + eps       direction(u) = u / D

    It watches the raw gradient g and shapes what the filter made of it, u. Unit ball: sum_i D_i w_i^2 <= 1.
    Memory: `v`, like the parameter. Units: the direction has none, so lr is a weight per step.
    beta: decay in [0, 1); eps > 0 in units of the gradient. Reference: Kingma & Ba, arXiv 1412.6980; torch.optim.Adam.

    >>> print(SecondMoment(0.99))
    SecondMoment(0.99)
    """

    beta: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        if not 0.0 <= self.beta < 1.0:
            raise ValueError(f"Invalid beta: {self.beta!r}; a decay factor lies in [0, 1).")
        if not isinstance(self.eps, (int, float)) or not self.eps >= 0.0:
            raise ValueError(f"Invalid epsilon value: {self.eps}")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The average of squares."""
        return {"v": torch.zeros_like(p)}

    def observe(self, g: Field, mem: Memory, t: Tensor) -> None:
        """v <- beta v + (1 - beta) g^2."""
        average_(mem.v, g.square(), 1 - self.beta)  # a square may overflow

    def _cost(self, mem: Memory, t: Tensor) -> Field:
        return mem.v.div(1 - self.beta**t).sqrt().add(self.eps)

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """u / D."""
        return u / self._cost(mem, t)

    def inner(self, a: Field, b: Field, mem: Memory, t: Tensor) -> Tensor:
        """<a, D b>."""
        return inner(a, b * self._cost(mem, t))

    def trace(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """sum_i 1 / D_i."""
        return total(self._cost(mem, t).reciprocal())
