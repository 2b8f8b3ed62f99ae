"""A diagonal metric whose half-axes are curvatures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..core.field import Field, each, inner, lerp_, total
from ..core.memory import Memory
from ..core.part import Preconditioner
from ..core.turn import closing


@final
@dataclass(frozen=True)
class Hutchinson(Preconditioner):
    """A coordinate costs its curvature (OASIS; AdaHessian without its square).

        h_k = beta h_{k-1} + (1 - beta) z_k H z_k       D = max(|h_k / (1 - beta^k)|, floor)      direction(u) = u / D

    The samples z H z come as second gradients of the step, from the combine `Probed`; the first are not looked at.
    Corrected for bias; the paper starts from a mean of samples. Memory: `h`, like the parameter. Units:
    the direction is a weight, lr 1 is Newton's step. beta in [0, 1); floor > 0: a curvature. Reference: OASIS,
    arXiv 2109.05198.

    >>> print(Hutchinson(0.95))
    Hutchinson(0.95)
    """

    beta: float = 0.99
    floor: float = 1e-3

    def __post_init__(self) -> None:
        if not 0.0 <= self.beta < 1.0:
            raise ValueError(f"Invalid beta: {self.beta!r}; a decay factor lies in [0, 1).")
        if not (isinstance(self.floor, (int, float)) and self.floor > 0.0):
            raise ValueError(f"Invalid floor: {self.floor!r}; the least curvature is > 0, or flat coordinates leap.")

    def memory(self, p: Tensor) -> dict[str, Tensor]:
        """The average of samples."""
        return {"h": torch.zeros_like(p)}

    def observe(self, g: Field, mem: Memory, t: Tensor) -> None:
        """h <- beta h + (1 - beta) z H z, with every second gradient."""
        lerp_(mem.h, g, closing(t).to(t.dtype) * (1 - self.beta))

    def _cost(self, mem: Memory, t: Tensor) -> Field:
        unbiased = mem.h.div(1 - self.beta ** (t / 2).ceil())
        return each(lambda h: h.abs().clamp(min=self.floor), unbiased)

    def direction(self, u: Field, mem: Memory, t: Tensor) -> Field:
        """u / D."""
        return u / self._cost(mem, t)

    def inner(self, a: Field, b: Field, mem: Memory, t: Tensor) -> Tensor:
        """<a, D b>."""
        return inner(a, b * self._cost(mem, t))

    def trace(self, g: Field, mem: Memory, t: Tensor) -> Tensor:
        """sum_i 1 / D_i."""
        return total(self._cost(mem, t).reciprocal())
